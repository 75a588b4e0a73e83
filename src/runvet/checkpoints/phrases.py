"""How a person names checkpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from runvet.checkpoints.model import Checkpoint


def told(checkpoint: Checkpoint) -> str:
    """`step 44,000`, `epoch 7`, else the name of the file or folder."""
    if checkpoint.step is not None:
        return f"step {checkpoint.step:,}"
    if checkpoint.epoch is not None:
        return f"epoch {checkpoint.epoch:g}"
    return checkpoint.path.rpartition("/")[2]


def listed(several: Sequence[Checkpoint], among: Sequence[Checkpoint] = (), most: int = 4) -> str:
    """`step 26,000 and 44,000`; the middle is left out where there are many.

    Names of files stand for steps where others `among` which they are have the same step.
    """
    if not several:
        return "none"
    shared = Counter(c.step for c in among or several)
    steps = all(c.step is not None and shared[c.step] == 1 for c in several)
    unclear = any(shared[c.step] > 1 for c in several)
    names = [f"{c.step:,}" if steps else c.path.rpartition("/")[2] if unclear else told(c) for c in several]
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most} more", names[-1]]
    text = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
    return f"step {text}" if steps else text
