"""LOSS: what the curves of losses and metrics tell."""
