"""What can be wrong with one checkpoint by itself: one table of codes, and the error that readers raise."""

from __future__ import annotations

from dataclasses import dataclass

# name -> (code, whether the checkpoint is unusable because of it). A code never changes its meaning.
PROBLEMS = {
    "empty-checkpoint": ("CKPT101", True),
    "damaged-checkpoint": ("CKPT102", True),
    "missing-shards": ("CKPT103", True),
    "non-finite-weights": ("CKPT104", True),
    "code-in-checkpoint": ("CKPT105", True),
    "unread-checkpoint": ("CKPT106", False),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a checkpoint: a name of `PROBLEMS`, and a sentence with numbers for a person."""

    name: str
    message: str

    @property
    def code(self) -> str:
        """The rule's code, for example CKPT101."""
        return PROBLEMS[self.name][0]

    @property
    def unusable(self) -> bool:
        """Whether nobody should go back to a checkpoint with this problem."""
        return PROBLEMS[self.name][1]


class Damaged(ValueError):
    """The bytes are not what the format promises: cut off, inconsistent, or made to do harm."""


class Unread(ValueError):
    """A file that is known but cannot be read here: an extra is missing, or the format is closed."""
