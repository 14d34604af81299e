"""What a model or a map says of itself, in words and as a page."""
