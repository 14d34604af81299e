"""Which files, which model and which command a map came from."""
