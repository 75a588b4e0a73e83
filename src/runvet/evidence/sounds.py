"""Recordings that the model made at its last step, beside those of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runvet.artifacts.grouping import Entry
from runvet.artifacts.model import Array, Artifacts, UnreadableError, evenly
from runvet.evidence import Missing, provides
from runvet.evidence.artifact_groups import ARRAYS, SOUNDS, Drawn, StageGroups
from runvet.run import FloatArray

SAMPLES, DATA = 64, 128
LENGTH = 400  # numbers of the shortest 1-D array that may be a recording
SILENT = 1e-4  # of full scale (-80 dB)
NAMES = frozenset("sound audio wav wave waveform samples speech music signal array arr_0 y x".split())


@dataclass(frozen=True, slots=True)
class Sound:
    """One recording: root mean square, highest amplitude, share of values at that amplitude, 1 for a constant one."""

    name: str
    rms: float
    peak: float
    clipped: float
    constant: bool
    seconds: float  # NaN where no rate is known

    @property
    def silent(self) -> bool:
        """Whether nothing is to be heard: a constant, or below -80 dB of full scale."""
        return self.constant or self.rms < SILENT


@dataclass(frozen=True, slots=True)
class SoundSamples(Drawn):
    """Recordings of the last step that has some; `data` may be empty."""

    sounds: tuple[Sound, ...]
    data: tuple[Sound, ...]
    where: str
    step: float | None
    axis: str


@provides
def sound_samples(found: StageGroups) -> SoundSamples | Missing:
    for group in found.samples:
        if group.entries[0].item.suffix not in SOUNDS + ARRAYS:
            continue
        made = _read(found.artifacts, group.last, SAMPLES)
        if made:
            real: list[Sound] = []
            for data in found.data:
                if data.entries[0].item.suffix in SOUNDS + ARRAYS:
                    real += _read(found.artifacts, data.entries, DATA)
            last = group.last[0]
            return SoundSamples(tuple(made), tuple(real), group.name, last.step, last.axis)
    return Missing("no recordings among the samples", "", applicable=False)


def _read(artifacts: Artifacts, entries: Sequence[Entry], most: int) -> list[Sound]:
    out: list[Sound] = []
    for entry in evenly(entries, most):
        try:
            contents = artifacts.read(entry.item)
        except UnreadableError:
            continue
        held = _waves(contents.arrays)
        if not held and entry.item.suffix in ARRAYS:
            break  # files of other things are not searched one after the other
        rate = contents.plain.get("rate") if isinstance(contents.plain, dict) else None
        for i, wave in enumerate(evenly(held, most)):
            name = f"{entry.item.name}[{i}]" if len(held) > 1 else entry.item.name
            out.append(measured(name, wave, float(rate) if rate else float("nan")))
    return out[:most]


def _waves(arrays: Mapping[str, Array]) -> list[FloatArray]:
    """The recordings in one file: (n,), (n, channels) or (several, n) of floats or 16-bit numbers."""
    for name, array in arrays.items():
        if name != "sound" and (name.lower() not in NAMES or array.dtype.kind not in "fi" or array.dtype == np.int8):
            continue
        if array.ndim == 1 and len(array) >= LENGTH:
            rows = array[None]
        elif array.ndim == 2 and array.shape[1] <= 2 < LENGTH <= array.shape[0]:
            rows = array.T[:1]
        elif array.ndim == 2 and array.shape[1] >= 4 * LENGTH:
            rows = array
        else:
            continue
        scale = float(np.iinfo(array.dtype).max) if array.dtype.kind == "i" else 1.0
        return [np.asarray(row, np.float64) / scale for row in rows]
    return []


def measured(name: str, wave: FloatArray, rate: float) -> Sound:
    """The numbers of one recording (n,)."""
    finite = wave[np.isfinite(wave)]
    if not len(finite):
        return Sound(name, 0.0, 0.0, 0.0, True, len(wave) / rate)
    centred = finite - finite.mean()
    peak = float(np.abs(finite).max())
    clipped = float(np.mean(np.abs(finite) >= peak * (1 - 1e-4))) if peak > 0 else 0.0
    return Sound(
        name, float(np.sqrt(np.mean(centred**2))), peak, clipped, bool(np.ptp(finite) <= 1e-9), len(wave) / rate
    )
