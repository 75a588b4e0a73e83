"""Words for examples: small stages that a rule must find sick or must spare, made in memory.

examples.stage(loss=examples.decay(), lr=0.001, grad_norm=[1.0, 0.9, ...])
examples.stage(loss=examples.decay(600) + examples.rise(600, at=0.5))
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from runvet.artifacts.memory import in_memory
from runvet.checkpoints.model import Checkpoint
from runvet.examples_checkpoints import adam, checkpoint, trained, training
from runvet.examples_checkpoints import weights as checkpoint_weights
from runvet.roles import assign
from runvet.run import Event, FloatArray, Log, Run, Setting, Stage
from runvet.sink import Sink

__all__ = [
    "adam",
    "checkpoint",
    "checkpoint_weights",
    "cosine",
    "decay",
    "event",
    "level",
    "rise",
    "run",
    "slug",
    "stage",
    "step_up",
    "trained",
    "training",
]

Values = Sequence[float] | npt.NDArray[Any] | float | int


def decay(
    n: int = 1000, start: float = 4.0, end: float = 1.0, *, noise: float = 0.05, power: float = 0.5, seed: int = 0
) -> FloatArray:
    """A power-law loss from about `start` to about `end`, shape (n,), with relative Gaussian noise."""
    x = np.arange(1, n + 1, dtype=np.float64) ** -power
    curve = end + (start - end) * (x - x[-1]) / (x[0] - x[-1])
    return np.asarray(curve * (1 + noise * np.random.default_rng(seed).standard_normal(n)))


def level(n: int = 1000, value: float = 1.0, *, noise: float = 0.05, seed: int = 0) -> FloatArray:
    """A constant with relative Gaussian noise, shape (n,)."""
    return np.asarray(value * (1 + noise * np.random.default_rng(seed).standard_normal(n)))


def rise(n: int = 1000, *, at: float = 0.5, size: float = 1.0) -> FloatArray:
    """0 up to the share `at` of the points, then a straight line up to `size`; shape (n,). Add it to a curve."""
    x = np.linspace(0, 1, n)
    return np.asarray(np.clip((x - at) / (1 - at), 0, None) * size)


def step_up(n: int = 1000, *, at: float = 0.5, size: float = 1.0) -> FloatArray:
    """0 up to the share `at` of the points, then `size`; shape (n,). Add it to a curve."""
    return np.where(np.arange(n) >= at * n, size, 0.0)


def cosine(n: int = 1000, peak: float = 1e-3, *, warmup: float = 0.05, floor: float = 0.0) -> FloatArray:
    """Linear warm-up to `peak`, then half a cosine down to `floor`; shape (n,)."""
    x = np.linspace(0, 1, n)
    down = floor + (peak - floor) * 0.5 * (1 + np.cos(np.pi * (x - warmup) / max(1 - warmup, 1e-9)))
    return np.where(x < warmup, peak * (x + 1 / n) / max(warmup, 1e-9), down)


def stage(
    *,
    steps: Values | None = None,
    epochs: Values | None = None,
    times: Values | None = None,
    settings: Mapping[str, Any] | None = None,
    events: Iterable[Event] = (),
    console: bool = False,
    name: str = "train",
    **series: Values,
) -> Stage:
    """A stage with the given series. A name such as `train_loss`, `val_loss`, `lr`, `grad_norm` gives its role;
    a double underscore stands for a slash (`val__accuracy`).

    The longest series has one point a step; a shorter one is spread evenly over the same steps and ends at the
    last one. A number stands for a constant. `steps`, `epochs`, `times` (seconds) are of the longest length.
    A step that goes back starts a new segment.
    """
    sink = Sink("train.log" if console else "metrics.csv", "text" if console else "examples")
    columns = {
        k.replace("__", "/"): v if isinstance(v, (float, int)) else np.asarray(v, np.float64) for k, v in series.items()
    }
    n = max((len(v) for v in columns.values() if not isinstance(v, (float, int))), default=0)
    axis = np.arange(n, dtype=np.float64) if steps is None else np.asarray(steps, np.float64)
    for key, value in columns.items():
        values = np.full(n, float(value)) if isinstance(value, (float, int)) else value
        at = np.round(np.linspace(0, n - 1, len(values) + 1)[1:]).astype(np.int64) if len(values) < n else np.arange(n)
        epoch = None if epochs is None else np.asarray(epochs, np.float64)[at]
        time = None if times is None else np.asarray(times, np.float64)[at]
        sink.columns(key, values, step=axis[at], epoch=epoch, time=time, line=at + 1)
    for key, setting in (settings or {}).items():
        sink.setting(key, setting, line=1)
    (log,) = sink.close()
    log = replace(log, events=tuple(events), settings=tuple(replace(s, source="config.yaml") for s in log.settings))
    return _of(log, name)


def _of(log: Log, name: str) -> Stage:
    numbered = []
    for one in log.series:
        back = np.concatenate([[0], np.cumsum(np.diff(one.step) < 0)]) if len(one) else np.zeros(0)
        numbered.append(replace(one, segment=back.astype(np.int64)))
    return Stage(name, "", assign(numbered), log.events, log.settings, (log,), log.seams)


def event(kind: str, text: str, *, line: int = 1, **more: Any) -> Event:
    """One event of a console log."""
    return Event(kind, text, "train.log", line, **more)


def run(
    *stages: Stage,
    settings: Mapping[str, Any] | None = None,
    files: Mapping[str, Any] | None = None,
    checkpoints: Iterable[Checkpoint] = (),
) -> Run:
    """A run of stages; settings of the whole run come from `config.yaml`.

    `files` are artifacts by name: a mapping of arrays for an npz file or a picture, other values for JSON.
    `checkpoints` are made by `examples.checkpoint` or `examples.training`.
    """
    told = tuple(Setting(k, v, "config.yaml") for k, v in (settings or {}).items())
    artifacts = in_memory(files) if files else None
    return Run("example", tuple(stages), settings=told, artifacts=artifacts, checkpoints=tuple(checkpoints))


def slug(text: str) -> str:
    """`Rising loss!` -> `rising-loss`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
