"""The facts of a stage, without judgement: what was logged, how far it came, how fast, how long to go."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from runvet import statistics
from runvet.config import Config
from runvet.evidence import Missing
from runvet.evidence.curves import train_loss
from runvet.evidence.events import plan_of
from runvet.report import SeriesSummary, StageSummary, Steps, Verdict, WindowSummary
from runvet.run import FloatArray, Series, Stage

SPARKS = 64  # medians kept for a drawing of the lead curve
HUGE = 1e290  # sums of values above may overflow
AXES = ("step", "epoch", "clock")


def summarise(stage: Stage, verdict: Verdict, config: Config | None = None) -> StageSummary:
    """All facts of one stage for the report."""
    lead = lead_of(stage)
    timed = lead if lead is not None else max(stage.series, key=len, default=None)
    steps = _steps(stage, timed)
    speed = _speed(stage, timed)
    left = (
        None if steps.planned is None or steps.last is None else max(steps.planned - steps.last - _zero_based(steps), 0)
    )
    eta = {k: left / v for k, v in speed.items() if left is not None and isinstance(v, float) and v > 0}
    return StageSummary(
        name=stage.name,
        verdict=verdict,
        run=stage.run,
        steps=steps,
        lead=lead.name if lead is not None else None,
        windows=_windows(lead, (config or Config()).window) if lead is not None else (),
        series=tuple(_series(s) for s in _telling_first(stage.series)),
        speed={**speed, "unit": f"{timed.axis if timed is not None else 'step'}/s"} if speed else {},
        eta_s=eta,
        sparkline=_sparks(lead) if lead is not None else (),
        segments=1 + max((int(s.segment.max()) for s in stage.series if len(s)), default=0),
        sources=tuple(dict.fromkeys(log.source for log in stage.logs)),
    )


def _zero_based(steps: Steps) -> int:
    """Steps counted from 0 have done one more than their last number."""
    return 1 if steps.first == 0 and steps.axis == "step" else 0


def lead_of(stage: Stage) -> Series | None:
    """The curve that stands for the stage: its training loss, else its longest curve with a known direction."""
    loss = train_loss(stage)
    if not isinstance(loss, Missing):
        return loss.lead
    told = [s for s in stage.series if s.direction and len(s) > 1]
    return max(told, key=lambda s: s.total, default=None)


def _steps(stage: Stage, series: Series | None) -> Steps:
    if series is None or not len(series):
        return Steps()
    plan, x = plan_of(stage), series.x()
    planned = None
    if plan is not None:
        planned = plan.steps if series.axis == "step" else plan.epochs if series.axis == "epoch" else None
    return Steps(float(x.min()), float(x.max()), planned, series.axis)


def _speed(stage: Stage, series: Series | None) -> dict[str, float | str]:
    """Overall and recent speed of the densest series that has times; empty where none has."""
    candidates = [series] if series is not None else []
    candidates += sorted((s for s in stage.series if s is not series), key=lambda s: -len(s))
    for one in candidates:
        if len(one) > 2 and one.axis == "step" and np.isfinite(one.time).all():
            measured = statistics.speed(one.time, one.step)
            if measured is not None and math.isfinite(measured.overall) and measured.overall > 0:
                return {"overall": measured.overall, "recent": measured.recent}
    return {}


def _series(series: Series) -> SeriesSummary:
    finite = series.value[np.isfinite(series.value)]
    return SeriesSummary(
        series.name,
        series.role,
        series.total,
        _finite(series.first),
        _finite(series.last),
        _finite(series.minimum),
        _finite(series.maximum),
        _middle(finite)[1] if len(finite) else None,
        series.direction,
        series.non_finite,
        series.stride,
    )


def _telling_first(series: Sequence[Series]) -> list[Series]:
    """The mean of an evaluation before the batches it was taken over; otherwise the order of the log."""
    names = [s.name for s in series]
    batches = [s for s in series if s.split in ("val", "test") and f"{s.name} (mean)" in names]
    return [s for s in series if not any(s is b for b in batches)] + batches


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _middle(values: FloatArray) -> tuple[float, float]:
    """Mean and median of finite values, also of those whose sum is beyond the range of a double."""
    low, high = float(values.min()), float(values.max())
    if max(-low, high) <= HUGE:
        return float(values.mean()), float(np.median(values))
    scale = 2.0 * len(values)
    v = values / scale
    return min(max(float(v.mean()) * scale, low), high), min(max(float(np.median(v)) * scale, low), high)


def _windows(series: Series, length: float | None) -> tuple[WindowSummary, ...]:
    """Mean and median of the curve in round windows of steps."""
    series = series.finite()
    if len(series) < 4 or series.axis == "point":
        return ()
    x = series.x()
    out = []
    for start, end in edges(float(x.min()), float(x.max()), length):
        inside = series.value[(x >= start) & (x < end)]
        if len(inside):
            out.append(WindowSummary(start, end, *_middle(inside)))
    return tuple(out)


def edges(first: float, last: float, length: float | None) -> Sequence[tuple[float, float]]:
    """The report's windows: round ones, or of a length that the user chose."""
    if length is None:
        return statistics.window_edges(first, last)
    starts = np.arange(first // length * length, last + 1, length)
    return [(float(s), float(s + length)) for s in starts[:1000]]


def _sparks(series: Series) -> tuple[float, ...]:
    values: FloatArray = series.finite().value
    if len(values) <= SPARKS:
        return tuple(float(v) for v in values)
    return tuple(_middle(part)[1] for part in np.array_split(values, SPARKS))
