"""PAR: the same inputs give the same outputs, in training and at inference."""
