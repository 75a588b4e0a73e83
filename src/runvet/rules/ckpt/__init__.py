"""CKPT: what checkpoints hold, and whether one can go back to them."""
