"""Joining the logs of one stage: what is told twice is dropped, what goes on is appended as a new segment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from runvet.repeats import begins, close, part, repeats
from runvet.run import Log, Series


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


def same_numbers(a: Sequence[Log], b: Sequence[Log]) -> bool:
    """Whether two groups of logs share most of the curves of the smaller one."""
    mine = {key(s.name): s for log in a for s in log.series if len(s) >= 3}
    theirs = {key(s.name): s for log in b for s in log.series if len(s) >= 3}
    moving = [n for n in mine.keys() & theirs.keys() if mine[n].minimum < mine[n].maximum and not _is_axis(mine[n], n)]
    same = [n for n in moving if close(mine[n], theirs[n])]
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
                (i for i, other in enumerate(mine) if close(one, other) or begins(one, other) or part(one, other)),
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
        if one.role is None or not any(other.role == one.role and repeats(one, other) for other in out):
            out.append(one)
    kept = {id(s) for s in out}
    return tuple(s for s in series if id(s) in kept)
