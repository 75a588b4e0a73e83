"""What the tensors of two saves have in common: names without wrappers, weights that moved, optimizer state."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np

from runvet.checkpoints.model import Checkpoint, Tensor
from runvet.evidence.curves import LearningRate
from runvet.run import number

WRAPPERS = frozenset(("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))
CONTAINERS = frozenset(
    "model state_dict model_state_dict model_state net network weights params state ema model_ema ema_model ema_state_dict"
    " model_ema_state_dict ema_params shadow shadow_params averaged_model n_averaged teacher target".split()
)
# Buffers, counters and caches: not trained, often rebuilt with another size.
_BUFFER = re.compile(
    r"(?i)(?:^|[._])(?:running_mean|running_var|num_batches_tracked|total_ops|total_params|inv_freq|\w*cached?|\w*mask\w*|position_ids|relative_position_index"
    r"|attn_bias|\w*buffer\w*|freqs_\w+|freqs|cos|sin|n_averaged|num_updates|update_count|initted|decay)$"
)
_LR = re.compile(r"(?:^|\.)param_groups\.\d+\.lr$")


@lru_cache(65_536)
def bare(name: str) -> str:
    """A tensor's name without wrappers (`module.`, `_orig_mod.`) and without the containers that it lies in."""
    parts = [p for p in name.split(".") if p not in WRAPPERS]
    while len(parts) > 1 and parts[0].lower() in CONTAINERS:
        parts = parts[1:]
    return ".".join(parts)


def is_float(tensor: Tensor) -> bool:
    """Whether a tensor holds real or complex numbers."""
    return tensor.dtype.startswith(("float", "bfloat", "complex"))


@lru_cache(65_536)
def is_buffer(name: str) -> bool:
    """Whether a name is one of running statistics, counters, masks and caches."""
    return _BUFFER.search(name) is not None


def trained(checkpoint: Checkpoint) -> Iterator[tuple[int, Tensor]]:
    """The tensors of the model that training may move, with their places in `tensors`."""
    for i, t in enumerate(checkpoint.tensors):
        if t.role == "model" and t.elements and t.layout != "unstored" and is_float(t) and not is_buffer(t.name):
            yield i, t


def digests(checkpoint: Checkpoint) -> dict[str, str]:
    """Digest of each weight of the model by name; only weights whose values were read."""
    values = checkpoint.values
    if values is None:
        return {}
    return {t.name: values.digest[i] for i, t in trained(checkpoint) if values.scanned[i]}


def moved(a: Checkpoint, b: Checkpoint) -> tuple[set[str], set[str]]:
    """Names of the weights that differ between two saves, and of those that are equal bit by bit."""
    first, second = digests(a), digests(b)
    both = first.keys() & second.keys()
    equal = {name for name in both if first[name] == second[name]}
    return both - equal, equal


def comparable(a: Checkpoint, b: Checkpoint) -> tuple[set[str], set[str]]:
    """As `moved`, over the weights whose shape and dtype are the same in both saves."""
    first, second = ({t.name: (t.shape, t.dtype) for _, t in trained(c)} for c in (a, b))
    same = {name for name in first.keys() & second.keys() if first[name] == second[name]}
    changed, equal = moved(a, b)
    return changed & same, equal & same


def overlap(a: set[str], b: set[str]) -> float:
    """The share of the smaller of two sets of names that the other one has, too."""
    return len(a & b) / max(1, min(len(a), len(b)))


def module(name: str) -> str:
    """The top-level module of a weight: `encoder` for `model.module.encoder.layers.0.weight`."""
    return bare(name).partition(".")[0]


def learning_rate(lr: LearningRate | None, a: Checkpoint, b: Checkpoint) -> tuple[float, float] | None:
    """The largest learning rate logged between two saves, and the largest of the whole run; None where unknown.

    Without a logged one, the second save's own (in its optimizer state) stands for both.
    """
    inside: list[float] = []
    peak: list[float] = []
    for series in lr.series if lr is not None else ():
        finite = np.isfinite(series.value)
        peak.append(float(series.value[finite].max()) if finite.any() else 0.0)
        for axis, start, end in ((series.step, a.step, b.step), (series.epoch, a.epoch, b.epoch)):
            if start is None or end is None or not np.isfinite(axis).any():
                continue
            within = finite & (axis > start) & (axis <= end)
            if within.any():
                inside.append(float(series.value[within].max()))
                break
    if inside:
        return max(inside), max(peak)
    own = [n for k, v in b.plain.items() if _LR.search(k) and (n := number(v)) is not None]
    return (max(own), max(own)) if own else None


def optimizer(checkpoint: Checkpoint, *kinds: str) -> dict[str, int]:
    """Places in `tensors` of the optimizer's states whose last name part is one of these, by the name before it."""
    return {
        t.name.rpartition(".")[0]: i
        for i, t in enumerate(checkpoint.tensors)
        if t.role == "optimizer" and t.name.rpartition(".")[2] in kinds
    }


def listed(names: Iterable[str], most: int = 3) -> str:
    """The first few of many names, in order."""
    shown = sorted(names)
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
