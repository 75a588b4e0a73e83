"""Predictions beside the truth: scatter with range bars, plan views, maps, masks; outputs of training and inference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from runvet.artifacts.model import Array, Artifacts, UnreadableError, evenly
from runvet.evidence.masks import Masks
from runvet.evidence.parity import Output, Parities, Parity, worst
from runvet.evidence.predictions import Pair, Predictions
from runvet.evidence.ranges import RangeLines
from runvet.figures.thumbnails import heat
from runvet.report import Figure
from runvet.run import FloatArray, Run

PAIRS = 4  # outputs of one stage
POINTS = 1_200  # points of a scatter plot
PATHS = 9  # trajectories of a plan view
LENGTH = 64  # points of one trajectory
MAPS = 4  # samples of maps
LINES = 14  # printed ranges
HISTORY = ("history", "hist", "past", "observed", "obs", "context")


def predictions(found: Predictions, run: Run) -> Iterator[Figure]:
    """Of each output: truth against prediction, and what it looks like where it is a path or a map."""
    for pair in found.pairs[:PAIRS]:
        name = pair.name or "prediction"
        if _is_path(pair.shape):
            yield _plan(name, pair, run)
        elif len(pair.shape) == 2 and min(pair.shape) >= 8:
            yield _maps(name, pair)
        yield scatter(f"{name}: prediction against truth", pair.true, pair.pred, where=pair.where, facts=_facts(pair))


def _facts(pair: Pair) -> str:
    return f"R² {pair.r2:.3g}, correlation {pair.correlation:.3g}, slope {pair.slope:.3g}, {pair.n:,} samples"


def scatter(
    title: str, true: FloatArray, pred: FloatArray, *, where: str = "", facts: str = "", axes: tuple[str, str] = ("truth", "prediction")
) -> Figure:  # fmt: skip
    """Points (truth, prediction) of arrays of the same shape, evenly chosen, with the range and middle of both sides."""
    x, y = true.ravel(), pred.ravel()
    chosen = np.unique(np.round(np.linspace(0, len(x) - 1, min(POINTS, len(x)))).astype(int))
    every = {int(i) for i in chosen} | {int(f(v)) for v in (x, y) for f in (np.argmin, np.argmax)}
    index = np.array(sorted(every))
    note = (
        f"{len(index):,} of {len(x):,} values, evenly chosen, and both extremes"
        if len(index) < len(x)
        else f"all {len(x):,} values"
    )
    return Figure("scatter", title=title, note=f"{note} · {where}" if where else note, data={
        "axes": list(axes), "facts": facts, "x": _numbers(x[index]), "y": _numbers(y[index]),
        "ranges": {"x": _range(x), "y": _range(y)},
    })  # fmt: skip


def _range(values: FloatArray) -> dict[str, float]:
    """Whole range and central 95 % of all values."""
    low, high = np.quantile(values, [0.025, 0.975])
    names = ("low", "high", "low95", "high95", "median")
    numbers = (values.min(), values.max(), low, high, np.median(values))
    return {k: float(f"{v:.6g}") for k, v in zip(names, numbers, strict=True)}


def _numbers(values: Array) -> list[float]:
    return [float(f"{v:.5g}") for v in np.asarray(values, np.float64).ravel()]


def _is_path(shape: Sequence[int]) -> bool:
    return len(shape) == 2 and shape[0] >= 3 and shape[1] in (2, 3)


def _plan(name: str, pair: Pair, run: Run) -> Figure:
    """Paths seen from above: truth, prediction, and the continuation of the known motion at constant velocity."""
    length, k = pair.shape
    true, pred = (a.reshape(-1, length, k)[:, :, :2] for a in (pair.true, pair.pred))
    steady: Array
    past = _history(run.artifacts, pair, len(true))
    if past is not None:
        steady = past[:, -1:, :2] + (past[:, -1:, :2] - past[:, -2:-1, :2]) * np.arange(1, length + 1)[None, :, None]
        told = "constant velocity: goes on from the last two known points"
    else:
        steady = true[:, :1] + (true[:, 1:2] - true[:, :1]) * np.arange(length)[None, :, None]
        told = "constant velocity: goes on from the first two true points (no history is stored)"
    error = np.linalg.norm(pred - true, axis=2).mean(axis=1)
    chosen = [int(np.argsort(error, kind="stable")[i]) for i in evenly(range(len(true)), PATHS)]
    thin = sorted({round(float(i)) for i in np.linspace(0, length - 1, min(length, LENGTH))})
    sides = (("truth", true), ("prediction", pred), ("steady", steady))
    shown: list[dict[str, Any]] = [
        {"name": f"sample {i:,}", "facts": f"mean error {error[i]:.4g}",
         "lines": [{"role": role, "points": _numbers(side[i][thin])} for role, side in sides]}
        for i in chosen
    ]  # fmt: skip
    errors = [("prediction", error), ("constant velocity", np.linalg.norm(steady - true, axis=2).mean(axis=1))]
    facts = "median error: " + ", ".join(f"{n} {np.median(e):.4g}" for n, e in errors)
    return Figure("paths", title=f"{name}: paths in plan view", data={"items": shown, "facts": facts},
                  note=f"{len(shown)} of {len(true):,} samples from the smallest to the largest error; {told} · {pair.where}")  # fmt: skip


def _history(artifacts: Artifacts | None, pair: Pair, n: int) -> Array | None:
    """Known positions (n, t, 2 or 3) before the predicted ones, from the same file; None where it has none."""
    item = next((i for i in artifacts.items if i.name == pair.where), None) if artifacts is not None else None
    try:
        arrays: Mapping[str, Array] = artifacts.read(item).arrays if artifacts is not None and item is not None else {}
    except UnreadableError:
        return None
    for name, array in arrays.items():
        fits = array.ndim == 3 and len(array) == n and array.shape[1] >= 2 and array.shape[2] in (2, 3)
        if fits and any(w in name.lower() for w in HISTORY) and array.dtype.kind in "fi":
            return np.nan_to_num(np.asarray(array, np.float64))
    return None


def _maps(name: str, pair: Pair) -> Figure:
    """Two-dimensional outputs as grey pictures: truth above prediction, one scale for both."""
    chosen = evenly(range(pair.n), MAPS)
    true, pred = (a.reshape(-1, *pair.shape)[chosen] for a in (pair.true, pair.pred))
    low, high = float(true.min()), float(true.max())
    groups = [
        {"label": label, "items": [_map(f"sample {i:,}", m, low, high) for i, m in zip(chosen, part, strict=True)]}
        for label, part in (("truth", true), ("prediction", pred))
    ]
    return Figure("sheet", title=f"{name}: truth and prediction", data={"groups": groups},
                  note=f"{len(chosen)} of {pair.n:,} samples, evenly chosen; black {low:.4g}, white {high:.4g} · {pair.where}")  # fmt: skip


def _map(name: str, values: Array, low: float, high: float) -> dict[str, Any]:
    return {"name": name, "facts": f"mean {float(np.mean(values)):.4g}", "boxes": [], **heat(values, low, high)}


def ranges(found: RangeLines, _: Run) -> Iterator[Figure]:
    """The ranges that the log prints, line by line: the truth's and the prediction's."""
    rows = []
    for i in evenly(range(len(found.events)), LINES):
        event = found.events[i]
        step = getattr(event, "step", None)
        at = (
            f"step {step:,.0f}"
            if step is not None and np.isfinite(step)
            else f"{event.source.rpartition('/')[2]}:{event.line}"
        )
        rows.append({"label": at, "bars": [{"role": role, "low": float(part[i, 0]), "high": float(part[i, 1])}
                                           for role, part in (("truth", found.true), ("prediction", found.pred))]})  # fmt: skip
    note = (
        f"{len(rows)} of {len(found.events)} lines" if len(rows) < len(found.events) else "every line that prints both"
    )
    yield Figure("ranges", title="Ranges that the log prints", note=note, data={"rows": rows})


def masks(found: Masks, _: Run) -> Iterator[Figure]:
    """The mean of each predicted mask beside the truth's."""
    rows = [
        {"label": m.name, "note": m.where, "bars": [{"role": "truth", "low": 0, "high": round(m.true, 5)},
                                                    {"role": "prediction", "low": 0, "high": round(m.pred, 5)}]}
        for m in found.masks[:LINES]
    ]  # fmt: skip
    yield Figure("ranges", title="Share of the mask that is set", note="mean over all pixels, 0 to 1",
                 data={"rows": rows, "low": 0, "high": 1})  # fmt: skip


def parities(found: Parities, run: Run) -> Iterator[Figure]:
    """The outputs that disagree most: maps beside each other, or one side against the other."""
    for parity in found.all[:PAIRS]:
        arrays = [_arrays(run.artifacts, name) for name in (parity.first, parity.second)]
        for output in (worst(parity) or list(parity.outputs))[:PAIRS]:
            sides = [a.get(output.name) for a in arrays]
            if sides[0] is not None and sides[1] is not None:
                yield _both(parity, output, np.asarray(sides[0], np.float64), np.asarray(sides[1], np.float64))


def _arrays(artifacts: Artifacts | None, name: str) -> Mapping[str, Array]:
    item = next((i for i in artifacts.items if i.name == name), None) if artifacts is not None else None
    try:
        return artifacts.read(item).arrays if artifacts is not None and item is not None else {}
    except UnreadableError:
        return {}


def _both(parity: Parity, output: Output, first: Array, second: Array) -> Figure:
    names = tuple(p.rpartition("/")[2].rpartition(".")[0] or p for p in (parity.first, parity.second))
    facts = f"correlation {output.correlation:.3g}, median difference {output.typical:.3g} standard deviations"
    if first.ndim < 3 or min(first.shape[-2:]) < 8:
        good = np.isfinite(first) & np.isfinite(second)
        return scatter(f"{output.name}: the same inputs, two ways", first[good], second[good], where=parity.second, facts=facts,
                       axes=(names[0], names[1]))  # fmt: skip
    a, b = (x.reshape(-1, *x.shape[-2:]) for x in (first, second))
    chosen = evenly(range(len(a)), MAPS)
    low, high = (float(f(a[np.isfinite(a)])) for f in (np.min, np.max))
    gap = np.abs(b - a)
    most = float(np.nanmax(gap[np.isfinite(gap)])) if np.isfinite(gap).any() else 1.0
    rows = ((names[0], a, low, high), (names[1], b, low, high), ("difference", gap, 0.0, most))
    groups = [
        {"label": label, "items": [_map(f"{output.name} {i}", x[i], lo, hi) for i in chosen]}
        for label, x, lo, hi in rows
    ]
    return Figure("sheet", title=f"{output.name}: the same inputs, two ways", data={"groups": groups},
                  note=f"{facts}; black {low:.4g}, white {high:.4g}; difference: black 0, white {most:.4g}")  # fmt: skip
