"""REG131 two-metric-definitions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.artifacts.grouping import words
from runvet.evidence.path_metrics import PathMetrics, Told
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num
from runvet.run import FloatArray, Run

UPTO = frozenset("upto avg average mean cumulative ade until".split())
AT = frozenset("fde point final end endpoint".split())


@rule("REG131", "two-metric-definitions", level="warning", since="0.1")
def two_metric_definitions(metrics: PathMetrics, *, near: float = 0.01, apart: float = 1.3) -> Sick | None:
    """One name stands for two errors: of the position at a time, and of all positions up to it.

    ## What it checks
    Errors at the farthest horizon that curves and metrics files tell (`l2_4.5s`, `ADE@8`), against both definitions
    computed from saved paths. Told where one name has the value of the one in one place and of the other elsewhere
    (within 1 %), or where the name says the one (`upto`, `avg`; `fde`, `final`) and the value is the other, and both
    are a factor of 1.3 apart.
    ## Why it matters
    Both are called L2 at t in published tables and differ by a factor of two and more. A comparison across the two
    looks like progress.
    ## What to do
    Give both a name of their own, and print both.
    ## When to ignore it
    The two places are never compared.
    ## Known limits
    Needs the saved paths of the same evaluation.
    ## References
    - hustvl/VAD#47; OpenDriveLab/UniAD#166: the same model has 1.65 m or 0.91 m at 3 s.
    """
    if metrics.upto <= 0 or metrics.at < apart * metrics.upto:
        return None
    at = [t for t in metrics.told if abs(t.value / metrics.at - 1) < near]
    upto = [t for t in metrics.told if abs(t.value / metrics.upto - 1) < near]
    for one in at:
        other = next((u for u in upto if u.name == one.name), None)
        if other is not None or (set(words(one.name)) & UPTO and not set(words(one.name)) & AT):
            return _report(metrics, one, other, "at")
    for one in upto:
        if set(words(one.name)) & AT and not set(words(one.name)) & UPTO:
            return _report(metrics, one, None, "up to")
    return None


def _report(metrics: PathMetrics, one: Told, other: Told | None, kind: str) -> Sick:
    what = f"{one.name} is {num(one.value)} in {one.where}, the error {kind} that time"
    rest = (
        f", and {num(other.value)} in {other.where}, the mean error up to it"
        if other
        else ", which its name does not say"
    )
    return Sick(
        what + rest,
        (
            Measure(one.name, float(f"{one.value:.6g}"), None, one.where),
            *((Measure(other.name, float(f"{other.value:.6g}"), None, other.where),) if other else ()),
            Measure("mean error of the last position", float(f"{metrics.at:.6g}"), None, f"{metrics.where}, {metrics.samples} samples"),
            Measure("mean error of all positions", float(f"{metrics.upto:.6g}"), None, metrics.where),
        ),
        innocent="the two are never compared with each other",
        actions=(Action(f"Name both definitions ({one.name}_at, {one.name}_upto), print both, and compare like with like", "minutes", "change"),),
    )  # fmt: skip


def _paths() -> tuple[FloatArray, FloatArray, float, float]:
    """Predicted and true paths (200, 9, 2), the error at the end and the mean error."""
    rng = np.random.default_rng(0)
    true = np.cumsum(rng.normal(0, 3, (200, 1, 2)) + rng.normal(0, 0.3, (200, 9, 2)), axis=1)
    pred = true + 0.2 * rng.standard_normal((200, 1, 2)) * np.arange(1, 10)[None, :, None]
    off = np.linalg.norm(pred - true, axis=-1)
    return pred, true, float(off[:, -1].mean()), float(off.mean())


def sick() -> Iterator[Run]:
    """The mean in the log and the end in the file; the end under the name of the mean."""
    pred, true, at, upto = _paths()
    saved = {"predictions.npz": {"pred": pred, "gt": true}}
    yield made.with_files({**saved, "metrics.json": {"l2_2.5s": 0.3 * at, "l2_4.5s": at, "val": {"l2_2.5s": 0.4 * upto, "l2_4.5s": upto}}})  # fmt: skip
    yield made.with_files({**saved, "metrics.json": {"l2_upto_2.5s": 0.3 * at, "l2_upto_4.5s": at}})


def healthy() -> Iterator[Run]:
    """Both under names of their own; one definition only; an error that does not grow."""
    pred, true, at, upto = _paths()
    saved = {"predictions.npz": {"pred": pred, "gt": true}}
    yield made.with_files({**saved, "metrics.json": {"l2_at_2.5s": 0.3 * at, "l2_at_4.5s": at, "l2_upto_2.5s": 0.4 * upto, "l2_upto_4.5s": upto}})  # fmt: skip
    yield made.with_files({**saved, "metrics.json": {"l2_2.5s": 0.3 * at, "l2_4.5s": at}})
