"""Random damage to files from strangers: the readers answer with a result or with a sentence."""
