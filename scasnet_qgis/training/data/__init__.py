"""Images and labels of a training as memory maps, blocks and crops."""
