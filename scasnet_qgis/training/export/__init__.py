"""A model in another precision, and how far it is from the original."""
