"""A map against a reference, and the samples that maps are judged by."""
