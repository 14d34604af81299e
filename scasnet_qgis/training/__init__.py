"""Training of ScasNet; its modules need PyTorch, the package itself does not."""
