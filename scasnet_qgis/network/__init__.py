"""ScasNet in PyTorch."""
