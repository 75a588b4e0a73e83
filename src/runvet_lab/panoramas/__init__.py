"""Cylindrical panoramas of several cars to depth, relative pose, metric scale and masks, in healthy and sick configurations."""
