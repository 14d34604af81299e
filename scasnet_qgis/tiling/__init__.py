"""Windows, tiles, blending and the loop over them; numpy only."""
