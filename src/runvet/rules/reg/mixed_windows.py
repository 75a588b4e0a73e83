"""REG122 mixed-windows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.windows import Windows, WindowSets
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num, percent
from runvet.run import FloatArray, Run


@rule(
    "REG122",
    "mixed-windows",
    level="critical",
    since="0.1",
    explains=("REG101", "REG102", "REG120", "REG121", "LOSS104"),
)
def mixed_windows(windows: WindowSets, *, some: float = 0.01, many: float = 0.1, gap: float = 1.5) -> Iterator[Sick]:
    """Windows of the data join different objects, different recordings, or moments that are apart.

    ## What it checks
    Identities, recordings and times of the steps within each window, where the data keep them: an identity or a
    recording that changes, a time that goes back, or a step longer than 1.5 times the usual one. Critical where one
    window in ten is mixed, a warning from one in a hundred.
    ## Why it matters
    What goes on after such a seam has nothing to do with what came before; no model can predict it, and the mean is
    the best answer. Smoothed or clipped afterwards, the paths even look plausible.
    ## What to do
    Group by recording and identity first, sort by time, and drop windows that cross a gap.
    ## When to ignore it
    Frames are taken at uneven times on purpose.
    ## Known limits
    Needs timestamps or ids per step in the data.
    ## References
    - Windows over all recordings sorted by number: CarpeDiemYanXiao/V2X; layout: AIR-THU/DAIR-V2X-Seq.
    """
    for one in windows.all:
        parts = _mixed(one, gap)
        worst = max(parts, key=lambda p: float(p[1].mean()), default=None)
        if worst is not None and float(worst[1].mean()) >= some:
            any_ = np.logical_or.reduce([p[1] for p in parts if len(p[1]) == len(worst[1])])
            yield _report(one, parts, any_, many)


def _mixed(one: Windows, gap: float) -> list[tuple[str, np.ndarray[tuple[int], np.dtype[np.bool_]]]]:
    """(what is mixed, which windows), each (n,)."""
    out = []
    for what, codes in (
        ("join different objects", one.identities),
        ("cross from one recording into another", one.recordings),
    ):
        if len(codes):
            out.append((what, np.asarray((codes[:, 1:] != codes[:, :-1]).any(axis=1))))
    if len(one.times) and np.isfinite(one.times).all():
        step = np.diff(one.times, axis=1)
        usual = float(np.median(step))
        if usual > 0:
            out.append(("hold a gap in time", np.asarray((step > gap * usual + 1e-9).any(axis=1))))
            out.append(("go back in time", np.asarray((step < 0).any(axis=1))))
    return out


def _report(one: Windows, parts: list[tuple[str, np.ndarray[tuple[int], np.dtype[np.bool_]]]], mixed: np.ndarray[tuple[int], np.dtype[np.bool_]], many: float) -> Sick:  # fmt: skip
    told = sorted(((what, bad) for what, bad in parts if bad.any()), key=lambda p: -float(p[1].mean()))
    first = int(np.flatnonzero(mixed)[0])
    return Sick(
        f"{percent(float(mixed.mean()))} of {num(len(mixed))} windows in {one.where} do not belong together: " + "; ".join(f"{int(bad.sum())} {what}" for what, bad in told[:3]),
        (
            *(Measure(f"windows that {what}", int(bad.sum()), None, one.where) for what, bad in told),
            Measure("windows in all", len(mixed)),
            Measure("first such window", first, None, "counted from 0"),
        ),
        innocent="frames are taken at uneven times on purpose",
        actions=(Action("Build the windows again: group by recording and identity, sort by time, drop those that cross a gap", "the data set", "repair"),),
        level=None if float(mixed.mean()) >= many else "warning",
    )  # fmt: skip


def _times(n: int, *, broken: int = 0) -> FloatArray:
    times = np.arange(n)[:, None] * 0.1 + np.arange(12)[None] * 0.1
    times[:broken, 6:] += 7.0
    return times


def sick() -> Iterator[Run]:
    """Ids that change within windows, gaps in time, names of recordings."""
    rng = np.random.default_rng(0)
    paths = rng.normal(0, 9, (200, 12, 2))
    yield made.with_files({"data/train.npz": {"future": paths, "track_ids": rng.integers(0, 40, (200, 12))}})
    yield made.with_files({"data/train.npz": {"future": paths, "timestamps": _times(200, broken=30)}})
    names = [{"future": p.tolist(), "scene_ids": ["a"] * (12 if i % 5 else 6) + ["b"] * (0 if i % 5 else 6)} for i, p in enumerate(paths)]  # fmt: skip
    yield made.with_files({"data/train.json": names})


def healthy() -> Iterator[Run]:
    """One identity a window, even times with jitter, a single gap."""
    rng = np.random.default_rng(0)
    paths = np.cumsum(rng.normal(1, 0.1, (200, 12, 2)), axis=1)
    ids = np.repeat(rng.integers(0, 40, (200, 1)), 12, axis=1)
    times = _times(200) + rng.normal(0, 0.005, (200, 12))
    yield made.with_files({"data/train.npz": {"future": paths, "track_ids": ids, "timestamps": times}})
    yield made.with_files({"data/train.npz": {"future": paths, "timestamps": _times(200, broken=1)}})
