"""Noise schedules that a run keeps as arrays: what training adds, and what the sampler takes away."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runvet.artifacts.model import Array, UnreadableError
from runvet.evidence import Missing, provides
from runvet.run import FloatArray, Run

SUFFIXES = (".npz", ".json")
LARGEST = 4 << 20  # bytes of a file that may hold schedules
_FILE = re.compile(r"(?i)schedul|alpha|beta|sigma|noise|diffusion")
# What is left of the signal, or how much noise there is, as a function of time.
_WHAT = re.compile(r"(?i)signal|alphas?_?(?:cum_?prod|bar)|a_?bar|snr|sigmas?|betas?|noise")
_TRAIN = re.compile(r"(?i)(?:^|[_./])(?:train|training|trainer|forward)(?=$|[_./])")
_USE = re.compile(r"(?i)(?:^|[_./])(?:sample|sampler|sampling|infer|inference|generate|generation|reverse)(?=$|[_./])")


@dataclass(frozen=True, slots=True)
class Pair:
    """One schedule of both sides on the same times: `train` and `use`, (n,)."""

    what: str
    where: str
    train: FloatArray
    use: FloatArray


@dataclass(frozen=True, slots=True)
class NoiseSchedules:
    """Pairs of schedules; never empty."""

    pairs: tuple[Pair, ...]


@provides
def noise_schedules(run: Run) -> NoiseSchedules | Missing:
    kept = run.artifacts
    found: list[Pair] = []
    for item in kept.items if kept is not None else ():
        if item.suffix not in SUFFIXES or item.size > LARGEST or not _FILE.search(item.parts[-1]):
            continue
        try:
            arrays = kept.read(item).arrays if kept is not None else {}
        except UnreadableError:
            continue
        found += _pairs(item.name, arrays)
    if not found:
        return Missing("no noise schedules of training and of sampling are kept as arrays", "", applicable=False)
    return NoiseSchedules(tuple(found))


def _pairs(where: str, arrays: Mapping[str, Array]) -> list[Pair]:
    """Arrays of one name but for the word that says whose they are, of one length: a strided one has other times."""
    curves = {name: a for name, a in arrays.items() if _WHAT.search(name) and _curve(a)}
    own = {_TRAIN.sub("", name).strip("_./"): a for name, a in curves.items() if _TRAIN.search(name)}
    other = {_USE.sub("", name).strip("_./"): a for name, a in curves.items() if _USE.search(name)}
    return [
        Pair(what, where, np.asarray(own[what], np.float64), np.asarray(other[what], np.float64))
        for what in sorted(set(own) & set(other))
        if own[what].shape == other[what].shape
    ]


def _curve(array: Array) -> bool:
    return array.ndim == 1 and len(array) >= 8 and array.dtype.kind == "f" and bool(np.isfinite(array).all())
