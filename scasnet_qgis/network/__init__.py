"""ScasNet in PyTorch; its modules need PyTorch, the package itself does not."""
