"""LOG: what the log says in words, and what it hides."""
