"""A playable world model from video frames: tokenizer, latent actions, dynamics; in healthy and sick configurations."""
