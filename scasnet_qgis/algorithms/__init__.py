"""The algorithms of the toolbox, one file each."""
