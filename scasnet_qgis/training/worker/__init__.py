"""The process that trains: its tasks and its protocol."""
