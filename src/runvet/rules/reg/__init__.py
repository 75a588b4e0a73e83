"""REG: predictions against the truth."""
