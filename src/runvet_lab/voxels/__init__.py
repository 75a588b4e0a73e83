"""Text to Minecraft structures: discrete and continuous diffusion over block grids, in healthy and sick configurations."""
