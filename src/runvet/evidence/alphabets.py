"""One number of outcomes that a model chooses from, and how settings spell such numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runvet.run import Plain, Setting, number


@dataclass(frozen=True, slots=True)
class Alphabet:
    """A number of outcomes (`size` > 1), what they are and where that is told.

    `what` is `classes`, `tokens`, `codes`, `prototypes` (the head of a self-distilled model) or `candidates` (the
    pairs that a contrastive loss tells apart).
    """

    size: int
    what: str
    source: str

    @property
    def nats(self) -> float:
        """The cross entropy of a uniform guess."""
        return math.log(self.size)


def whole(value: Plain) -> int | None:
    """A whole number above 1, as a number, as digits, or as the length of a list of names; None for anything else."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 16:
        value = int(value)
    if isinstance(value, list) and len(value) > 1 and all(isinstance(v, str) for v in value):
        return len(value)
    if isinstance(value, dict) and len(value) > 1:
        return len(value)
    size = number(value)
    return int(size) if size is not None and size > 1 and size.is_integer() else None


def told_in(*settings: Setting) -> str:
    """`latent_dim and num_bins in config.yaml`."""
    return " and ".join(s.key for s in settings) + f" in {settings[0].where}"
