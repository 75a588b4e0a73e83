"""LR: learning-rate schedules."""
