"""What a checkpoint holds beside the weights so that training can go on from it."""

from __future__ import annotations

from collections.abc import Iterator

from runvet.checkpoints.model import Checkpoint
from runvet.checkpoints.names import words

_WORDS = {
    "schedule": ("scheduler", "schedulers", "sched", "lr_schedulers", "lr_scheduler", "param_schedulers"),
    "random state": ("rng", "random"),
}
PARTS = ("optimizer", *_WORDS)


def has(checkpoint: Checkpoint, part: str) -> bool:
    """Whether one of `PARTS` is there, by the names of states, files and values; an empty optimizer state counts."""
    if part == "optimizer":
        return any(t.role == "optimizer" for t in checkpoint.tensors) or any(
            "optim" in n.lower() for n in _places(checkpoint)
        )
    return any(word == place or word in words(place) for place in set(_places(checkpoint)) for word in _WORDS[part])


def _places(checkpoint: Checkpoint) -> Iterator[str]:
    """The outermost names: of tensors that are not the model's, of values, of empty states, of files."""
    yield from (t.name.partition(".")[0] for t in checkpoint.tensors if t.role == "other")
    yield from (key.partition(".")[0] for key in checkpoint.plain)
    yield from checkpoint.empty_states
    yield from (part.path.rpartition("/")[2] for part in checkpoint.parts)


def state(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The parts that are there, and `step` or `epoch` where the checkpoint says how far training was."""
    counter = "step" if checkpoint.step is not None else "epoch" if checkpoint.epoch is not None else ""
    return (*(p for p in PARTS if has(checkpoint, p)), *((counter,) if counter else ()))
