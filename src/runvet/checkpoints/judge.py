"""What is wrong with one file by itself, without its siblings: empty, or not finite."""

from __future__ import annotations

import re

import numpy as np

from runvet.checkpoints.model import Checkpoint, Role, Tensor
from runvet.checkpoints.names import words
from runvet.checkpoints.problems import Problem

_MODEL_STATES = {
    "model",
    "state",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "generator",
    "policy",
    "ema",
    "unet",
    "vae",
    "encoder",
    "decoder",
}
# Infinite on purpose: masks (not mask tokens, which are trained), and extremes that nothing was seen of yet.
_MASKS = re.compile(
    r"(?i)(?:^|[._])(?:(?:\w+_)?mask(?:s|_bias|ed_bias)?|running_(?:min|max)|min_val|max_val|(?:neg_?)?inf(?:inity)?)$"
)


def own_problems(checkpoint: Checkpoint, root: str, role: Role | None) -> list[Problem]:
    """Problems of a read file. `root` is what its outermost value is, `role` what its name says."""
    if any(p.name in ("damaged-checkpoint", "unread-checkpoint") for p in checkpoint.problems):
        return []
    found = [*_empty(checkpoint, root, role), *non_finite(checkpoint)]
    if any(p.name == "damaged-checkpoint" for p in checkpoint.problems):
        return [p for p in found if p.name != "empty-checkpoint"]
    return found


def _empty(checkpoint: Checkpoint, root: str, role: Role | None) -> list[Problem]:
    if role == "other" or (checkpoint.dangerous and not checkpoint.tensors):
        return []
    hollow = [
        n
        for n in checkpoint.empty_states
        if words(n) & _MODEL_STATES and not words(n) & {"optimizer", "optim", "scheduler"}
    ]
    if not checkpoint.tensors:
        if role == "optimizer" and root != "empty":
            return []  # an optimizer without momentum keeps nothing
        states = ", ".join(checkpoint.empty_states[:4])
        what = (
            "it is an empty dictionary"
            if root == "empty"
            else f"its {states} {'are' if ',' in states else 'is'} empty"
            if states
            else "only plain values"
        )
        return [Problem("empty-checkpoint", f"holds no tensors: {what}")]
    models = [t for t in checkpoint.tensors if t.role in ("model", "ema")]
    if not models and hollow and (role is None or any("model" in words(n) for n in hollow)):
        return [
            Problem(
                "empty-checkpoint", f"its {hollow[0]} is empty, while it holds {len(checkpoint.tensors)} other tensors"
            )
        ]
    return hollow_tensors(models)


def hollow_tensors(models: list[Tensor]) -> list[Problem]:
    """Names with shapes of size 0: weights that were gathered nowhere."""
    hollow = sum(t.elements == 0 for t in models)
    if len(models) > 1 and hollow > len(models) / 2:
        return [Problem("empty-checkpoint", f"{hollow} of {len(models)} tensors have size 0: names without weights")]
    return []


def infinite_on_purpose(name: str) -> bool:
    """Whether a tensor of this name (a mask, a running extreme) holds infinities in healthy models."""
    return _MASKS.search(name) is not None


def non_finite(checkpoint: Checkpoint) -> list[Problem]:
    """Values that are NaN or infinite where they should not be, by tensor."""
    if checkpoint.values is None:
        return []
    counts = np.where(checkpoint.values.scanned, checkpoint.values.non_finite, 0)
    bad = [
        (t, int(n))
        for t, n in zip(checkpoint.tensors, counts, strict=True)
        if n and t.role != "other" and not infinite_on_purpose(t.name)
    ]
    if not bad:
        return []
    total, elements = sum(n for _, n in bad), sum(t.elements for t, _ in bad)
    names = ", ".join(t.name[:80] for t, _ in bad[:3]) + (" …" if len(bad) > 3 else "")
    return [
        Problem(
            "non-finite-weights",
            f"{total:,} of {elements:,} values are NaN or infinite, in {len(bad)} of {len(checkpoint.tensors)} tensors: {names}",
        )
    ]
