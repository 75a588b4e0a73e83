"""Joining the logs of one stage: what is told twice is dropped, what goes on is appended as a new segment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from runvet.run import Log, Series

PROBES = 64  # points of a series that are looked up in another


def key(name: str) -> str:
    """A metric's name without case and with one separator, to compare names across tools."""
    return re.sub(r"[/. _-]+", "_", name.lower()).strip("_")


def purge(logs: Sequence[Log]) -> list[Log]:
    """Apply purges: a TensorBoard file that restarts at step N takes back what earlier files say from N on."""
    out = list(logs)
    for later, log in enumerate(logs):
        for event in log.events:
            if event.kind == "start" and event.value == "purge" and event.step is not None:
                folder = PurePosixPath(log.source).parent
                for i in range(len(out)):
                    if PurePosixPath(out[i].source).parent == folder and out[i].source < logs[later].source:
                        out[i] = _before(out[i], event.step)
    return out


def _before(log: Log, step: float) -> Log:
    kept = tuple(s.pick(~(s.step >= step)) for s in log.series)
    return replace(log, series=tuple(s for s in kept if len(s)))


def _close(a: Series, b: Series) -> bool:
    """Whether two series tell the same numbers, up to the digits that one of them printed."""
    if abs(a.total - b.total) > max(2, 0.02 * max(a.total, b.total)) or a.stride != b.stride:
        return False
    n = min(len(a), len(b))
    if n == 0:
        return False
    at = np.unique(np.linspace(0, n - 1, min(n, 64)).astype(np.int64))
    x, y = a.value[at], b.value[at]
    good = np.isfinite(x) & np.isfinite(y)
    if not good.any():
        return bool(len(a) == len(b))
    return bool(np.mean(np.isclose(x[good], y[good], rtol=5e-3, atol=1e-12)) > 0.9)


def same_numbers(a: Sequence[Log], b: Sequence[Log]) -> bool:
    """Whether two groups of logs share most of the curves of the smaller one."""
    mine = {key(s.name): s for log in a for s in log.series if len(s) >= 3}
    theirs = {key(s.name): s for log in b for s in log.series if len(s) >= 3}
    moving = [n for n in mine.keys() & theirs.keys() if mine[n].minimum < mine[n].maximum and not _is_axis(mine[n], n)]
    same = [n for n in moving if _close(mine[n], theirs[n])]
    return bool(same) and 2 * len(same) >= len(moving) and 3 * len(same) >= min(len(mine), len(theirs))


def _is_axis(series: Series, name: str) -> bool:
    return name in ("epoch", "step", "iter", "lr", "learning_rate") or bool(np.array_equal(series.value, series.step))


def continues(a: Sequence[Log], b: Sequence[Log]) -> bool:
    """Whether one group goes on where the other ended: steps follow with at most a tenth of overlap or gap."""
    spans = []
    for logs in (a, b):
        steps = [s.step for log in logs for s in log.series if len(s) and np.isfinite(s.step).all()]
        if not steps:
            return False
        spans.append((min(float(s.min()) for s in steps), max(float(s.max()) for s in steps)))
    (a0, a1), (b0, b1) = sorted(spans)
    length = max(a1 - a0, 1.0)
    return b0 > a0 + 0.5 * length and b0 <= a1 + 0.1 * length and b1 > a1


def join(logs: Sequence[Log]) -> tuple[Series, ...]:
    """The series of a stage. Of two that tell the same numbers the richer stays; others of one name are appended
    in the order of the logs, each as new segments; two that ran side by side are kept apart by their file.
    """
    kept: dict[str, list[Series]] = {}
    for log in logs:
        for one in log.series:
            if not len(one):
                continue
            one = _once(one)
            mine = kept.setdefault(key(one.name), [])
            twin = next(
                (i for i, other in enumerate(mine) if _close(one, other) or _begins(one, other) or _part(one, other)),
                None,
            )
            if twin is None:
                mine.append(one)
            elif _richness(one) > _richness(mine[twin]):
                mine[twin] = one
    out: list[Series] = []
    for several in kept.values():
        out += _chain(several)
    return tuple(out)


def _begins(a: Series, b: Series) -> bool:
    """Whether the shorter series is the beginning of the other: a record kept beside each checkpoint."""
    n = min(len(a), len(b))
    if n < 2 or a.stride != b.stride or not np.array_equal(a.step[:n], b.step[:n], equal_nan=True):
        return False
    return bool(np.isfinite(a.step[:n]).all() and np.array_equal(a.value[:n], b.value[:n], equal_nan=True))


def _part(a: Series, b: Series) -> bool:
    """Whether all points of the shorter series stand in the other at the same steps, up to the digits it was printed with."""
    few, many = sorted((a, b), key=lambda s: s.total)
    if len(few) < 5 or few.files == many.files or not (np.isfinite(few.step).all() and np.isfinite(many.step).all()):
        return False
    if few.minimum == few.maximum:
        return False
    order = np.argsort(many.step, kind="stable")
    steps, values = many.step[order], many.value[order]
    for i in np.unique(np.linspace(0, len(few) - 1, PROBES).astype(np.int64)).tolist():
        low, high = np.searchsorted(steps, few.step[i]), np.searchsorted(steps, few.step[i], side="right")
        near = np.abs(values[low:high] - few.value[i]) <= last_digit(float(few.value[i]))
        if not (near.any() or (np.isnan(few.value[i]) and np.isnan(values[low:high]).any())):
            return False
    return True


def last_digit(value: float) -> float:
    """Half a unit of the last digit that a value was printed with (and a little), as far as its digits tell."""
    digits, _, power = f"{value:.12g}".partition("e")
    return 0.51 * 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))


def _richness(series: Series) -> tuple[int, int, int]:
    axes = sum(int(len(a) > 0 and np.isfinite(a).all()) for a in (series.step, series.epoch, series.time))
    digits = int(np.mean([len(f"{v:.12g}") for v in series.value[:50]]))
    return series.total, axes, digits


def _once(series: Series) -> Series:
    """Drop exact repeats of the point before (every rank printed the same line)."""
    if len(series) < 2 or not np.isfinite(series.step).all():
        return series
    repeat = np.ones(len(series) - 1, bool)
    for column in (series.step, series.value, series.segment):
        repeat &= column[1:] == column[:-1]
    if repeat.mean() < 0.2:
        return series
    return series.pick(np.concatenate([[True], ~repeat]))


def _chain(several: list[Series]) -> list[Series]:
    chains: list[list[Series]] = []
    for one in several:
        for chain in chains:
            if _follows(chain[-1], one):
                chain.append(one)
                break
        else:
            chains.append([one])
    out = [_append(chain) for chain in chains]
    if len(out) > 1:
        out = [
            replace(s, name=s.name if i == 0 else f"{s.name} ({PurePosixPath(s.files[0]).stem})")
            for i, s in enumerate(out)
        ]
    return out


def _follows(before: Series, after: Series) -> bool:
    """Whether `after` may be the continuation of `before`: it is not a parallel record of the same steps."""
    if (
        np.isfinite(before.time).all()
        and np.isfinite(after.time).all()
        and before.time[0] > 1e8
        and after.time[0] > 1e8
    ):
        return bool(after.time[0] >= before.time[-1] - 0.1 * (before.time[-1] - before.time[0]))
    if np.isfinite(before.step).all() and np.isfinite(after.step).all():
        return bool(after.step[0] > before.step[0] + 0.3 * (before.step[-1] - before.step[0]))
    return False


def _append(chain: list[Series]) -> Series:
    if len(chain) == 1:
        return chain[0]
    files: list[str] = []
    segment, file, offset = [], [], 0
    for one in chain:
        file.append(one.file + len(files))
        files += one.files
        segment.append(one.segment + offset)
        offset = int(segment[-1].max()) + 1
    finite = [s for s in chain if np.isfinite(s.minimum)]
    return replace(
        chain[0],
        value=np.concatenate([s.value for s in chain]),
        step=np.concatenate([s.step for s in chain]),
        epoch=np.concatenate([s.epoch for s in chain]),
        time=np.concatenate([s.time for s in chain]),
        line=np.concatenate([s.line for s in chain]),
        file=np.concatenate(file),
        segment=np.concatenate(segment),
        files=tuple(files),
        total=sum(s.total for s in chain),
        non_finite=sum(s.non_finite for s in chain),
        minimum=min((s.minimum for s in finite), default=float("nan")),
        maximum=max((s.maximum for s in finite), default=float("nan")),
    )


def distinct(series: Sequence[Series]) -> tuple[Series, ...]:
    """Drop series that repeat a denser one of the same role, such as the console's every tenth value of a CSV."""
    out: list[Series] = []
    for one in sorted(series, key=lambda s: -s.total):
        if one.role is None or not any(other.role == one.role and _repeats(one, other) for other in out):
            out.append(one)
    kept = {id(s) for s in out}
    return tuple(s for s in series if id(s) in kept)


def _repeats(sparse: Series, dense: Series) -> bool:
    """Whether nearly all points of one series stand in another at the same steps (or all one step beside)."""
    if len(sparse) < 5 or sparse.files == dense.files or sparse.segment.max() != dense.segment.max():
        return False
    if not (np.isfinite(sparse.step).all() and np.isfinite(dense.step).all()):
        return False
    order = np.argsort(dense.step, kind="stable")
    steps, values = dense.step[order], dense.value[order]
    for shift in (0.0, 1.0, -1.0):
        at = np.searchsorted(steps, sparse.step + shift)
        found = (at < len(steps)) & (steps[np.minimum(at, len(steps) - 1)] == sparse.step + shift)
        if found.mean() > 0.9:
            mine, theirs = sparse.value[found], values[at[found]]
            if np.mean(np.isclose(mine, theirs, rtol=5e-3, atol=1e-12, equal_nan=True)) > 0.9:
                return True
    return False
