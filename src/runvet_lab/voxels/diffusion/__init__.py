"""Diffusion processes: masked, uniform (both discrete) and continuous."""
