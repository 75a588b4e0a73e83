"""CKPT120 pretrained-prefix-mismatch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from runvet import examples
from runvet.checkpoints.model import Checkpoint
from runvet.evidence.checkpoints import Checkpoints, broken
from runvet.evidence.pretrained import Pretrained
from runvet.evidence.weights import bare, overlap, trained
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import percent
from runvet.rules.ckpt._saves import DEEP, told
from runvet.run import Run

CHANCE = 4.0  # standard errors of the difference of two such scatters that small matrices may differ by


@rule("CKPT120", "pretrained-prefix-mismatch", level="warning", since="0.1", explains=("LOG104",))
def pretrained_prefix_mismatch(
    checkpoints: Checkpoints, start: Pretrained, *, raw: float = 0.1, stripped: float = 0.9, apart: float = 0.2
) -> Sick | Unsure | None:
    """The pretrained weights were not taken over: their file names them with another prefix than the model does.

    ## What it checks
    The names in the file that the configuration or log names as pretrained weights, and in the first save of the run:
    hardly any in common (`raw`), nearly all (`stripped`) without the prefixes of wrappers. And the values: the
    spread of the matrices of the first save differs by more than the share `apart` in the middle one, and none is equal.
    ## Why it matters
    `strict=False` loads nothing and says nothing; the run trains from scratch with settings made for fine-tuning.
    ## What to do
    Strip the prefix (`module.`, `_orig_mod.`, `model.`) before loading, load strictly, and print what was taken over.
    ## When to ignore it
    The loader renames, and the weights had moved far by the first save.
    ## Known limits
    Judged only where the pretrained file is within reach and its values are read; prefixes of your own are not known.
    ## References
    - pytorch/pytorch#101107, huggingface/pytorch-image-models#2003, facebookresearch/fairseq#5096.
    """
    before = start.checkpoint
    first = next((s for s in checkpoints.saves if not broken(s) and s.path != before.path and s.tensors), None)
    if first is None or broken(before):
        return Unsure("no save to compare the pretrained weights with", "keep the first checkpoint")
    old = {t.name: bare(t.name) for _, t in trained(before)}
    new = {t.name: bare(t.name) for _, t in trained(first)}
    if len(old) < 2 or len(new) < 2 or overlap(set(old), set(new)) > raw:
        return None
    if overlap(set(old.values()), set(new.values())) < stripped:
        return None
    spread = _spread(before, first)
    if spread is None:
        return Unsure(f"names differ between {start.path} and {told(first)}, and their values were not read", DEEP)
    if spread <= apart:
        return None  # the loader took the prefix away
    name = next(iter(new))
    was = next(n for n, base in old.items() if base == new[name]) if new[name] in old.values() else next(iter(old))
    return Sick(
        f"{start.path} names the weights as {was!r}, the run as {name!r}, and {told(first)} does not hold its values:"
        f" the spread of the matrices differs by {percent(spread)}",
        evidence=(
            Measure("names in common", len(set(old) & set(new)), f"of {len(new)}", first.path),
            Measure("names in common without prefixes", len(set(old.values()) & set(new.values())), f"of {len(new)}", first.path),
            Measure("middle difference of the spread", round(spread, 4), None, first.path),
            Measure("pretrained weights", start.path, None, start.where),
        ),
        since_step=0.0,
        innocent="the loader renames the weights, and they had moved far by the first save",
        actions=(
            Action(
                f"Stop, rename the keys of {start.path} ({was!r} to {name!r}), load strictly, and start again",
                "a restart",
                "stop",
            ),
        ),
    )  # fmt: skip


def _spread(a: Checkpoint, b: Checkpoint) -> float | None:
    """Middle |log(std / std)| over the matrices of both, beyond chance; 0 where one is equal bit by bit, None without values."""
    if a.values is None or b.values is None:
        return None
    first, second = ({bare(t.name): (t.shape, c.values, i) for i, t in trained(c) if len(t.shape) > 1} for c in (a, b))
    ratios = []
    for name in first.keys() & second.keys():
        (shape, old, i), (other, new, j) = first[name], second[name]
        if shape != other or old is None or new is None:
            continue
        if old.digest[i] == new.digest[j]:
            return 0.0
        if old.std[i] > 0 and new.std[j] > 0:
            chance = CHANCE / math.sqrt(math.prod(shape))  # log(std) of n values scatters by sqrt(1/(2 n))
            ratios.append(max(0.0, abs(math.log(new.std[j] / old.std[i])) - chance))
    return float(np.median(ratios)) if ratios else None


def _run(prefix: str, *, loaded: bool, settings: str = "pretrained") -> Run:
    """A finished model with wider weights, and a run that started from it, or did not."""
    finished = {f"{prefix}{n}": a * np.float32(3) for n, a in examples.checkpoint_weights(7, prefix="").items()}
    before: Any = examples.checkpoint(None, finished, path="init/finished.pt")
    saves = []
    for step in (200, 400):
        own = examples.trained(step, prefix="")
        arrays = {n: a * np.float32(3) for n, a in examples.checkpoint_weights(7, prefix="").items()} if loaded else {}
        saves.append(
            examples.checkpoint(
                step, {n: arrays.get(n, a * 0) + a * np.float32(0.1 if loaded else 1) for n, a in own.items()}
            )
        )
    stage = examples.stage(loss=examples.decay(1000), settings={settings: "/data/init/finished.pt"})
    return examples.run(stage, checkpoints=[before, *saves])


def sick() -> Iterator[Run]:
    """Wrappers of distributed and compiled modules, and values of a fresh model."""
    yield _run("module.", loaded=False)
    yield _run("_orig_mod.", loaded=False, settings="model.init_from")


def healthy() -> Iterator[Run]:
    """A loader that strips the prefix; the same names."""
    yield _run("module.", loaded=True)
    yield _run("", loaded=True)
