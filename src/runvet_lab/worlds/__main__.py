"""`python -m runvet_lab.worlds`, also below torchrun."""

from runvet_lab.worlds.cli import command

command()
