"""RES: restarts and the seams they leave."""
