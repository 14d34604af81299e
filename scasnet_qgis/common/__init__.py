"""What every room uses: standard library and numpy only."""
