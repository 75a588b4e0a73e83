"""Profiles of data as text for a terminal, and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from runvet.artifacts.against import Difference, compare, shared
from runvet.artifacts.measuring import One
from runvet.artifacts.profile import Profile
from runvet.artifacts.steps import StepSamples, ranked

ROWS = 12  # classes, shapes and steps that the text lists


def as_text(path: str, profiles: Sequence[Profile], against: str | None = None, other: Sequence[Profile] = ()) -> str:
    """The profiles of one path, and how the first of each path differ."""
    lines = [f"{path}   {len(profiles)} set{'s' if len(profiles) != 1 else ''}"]
    for one in profiles:
        lines += ["", *_profile(one)]
    if against is not None and other:
        lines += ["", f"Against {against}", *_profile(other[0]), "", *_differences(profiles[0], other[0])]
    return "\n".join(lines)


def _profile(one: Profile) -> Iterator[str]:
    read = f"{one.read:,} of {one.files:,} files read" if one.read < one.files else f"{one.files:,} files"
    yield f"{one.name}   {len(one.items):,} {one.kind}   {read}"
    if one.items:
        low, high = one.range
        shapes = ", ".join(f"{' x '.join(map(str, s))} ({n:,})" for s, n in list(one.shapes.items())[:4])
        yield f"  shapes      {shapes}" + (f" and {len(one.shapes) - 4} more" if len(one.shapes) > 4 else "")
        yield f"  values      {low:.6g} to {high:.6g}, mean {np.mean([i.mean for i in one.items]):.4g}, standard deviation within an item {np.median([i.sd for i in one.items]):.4g}"
        if np.isfinite(one.background):
            yield f"  background  {100 * one.background:.1f} % of the cells hold their item's most frequent value: a model that answers it everywhere is right as often"
    for guess in one.units[:ROWS]:
        yield f"  unit        {guess.name}: {guess.unit}{'' if guess.told else ' (a guess)'}, {guess.why}"
    if one.splits:
        yield "  splits      " + ", ".join(f"{k} {n:,}" for k, n in sorted(one.splits.items()))
    yield from _classes(one)
    yield from _faults(one)


def _classes(one: Profile) -> Iterator[str]:
    labels = one.labels
    if not labels:
        return
    counts = list(labels.values())
    yield f"  classes     {len(labels):,}, the largest {counts[0]:,}, the smallest {counts[-1]:,}"
    for label, n in list(labels.items())[:ROWS]:
        cells = [i.filled * float(np.prod(i.shape)) for i in one.items if i.label == label and np.isfinite(i.filled)]
        more = f"   {np.median(cells):,.0f} filled cells ({min(cells):,.0f} to {max(cells):,.0f})" if cells else ""
        yield f"    {label[:40]:40} {n:6,}{more}"
    if len(labels) > ROWS:
        yield f"    … {len(labels) - ROWS} more"


def _faults(one: Profile) -> Iterator[str]:
    copies = sum(len(g) - 1 for g in one.repeated)
    close, held = one.near_copies, one.near_overlap
    rows: list[tuple[str, int, str]] = [
        ("unreadable", len(one.unreadable), next((f"{n}: {w}" for n, w in one.unreadable.items()), "")),
        ("non-finite", len(one.broken), one.broken[0].name if one.broken else ""),
        ("constant", len(one.constant), one.constant[0].name if one.constant else ""),
        ("copies", copies, f"{one.repeated[0][0].name} = {one.repeated[0][1].name}" if copies else ""),
        ("near copies", sum(len(g) - 1 for g in close), f"{close[0][0].name} ~ {close[0][1].name}" if close else ""),
        ("in train too", len(one.overlap), one.overlap[0][0].name if one.overlap else ""),
        ("near train", len(held), f"{held[0][0].name} ~ {held[0][1].name}" if held else ""),
    ]
    found = [(what, n, where) for what, n, where in rows if n]
    for what, n, where in found:
        yield f"  {what:11} {n:,}   {where}"
    if one.remedy and one.unreadable:
        yield f"              {one.remedy}"
    if not found:
        yield "  no empty, constant, repeated, non-finite or unreadable item"


def _differences(first: Profile, second: Profile) -> Iterator[str]:
    yield f"  {'':22} {'here':>12} {'there':>12} {'ratio':>8}  p (n, m)"
    for d in compare(first, second):
        name = f"{d.what}{' of ' + d.label if d.label else ''}"
        yield f"  {name[:22]:22} {d.first:12.5g} {d.second:12.5g} {d.ratio:8.3g}  {d.p:.2g} ({d.n}, {d.m})"
    steps = ranked(first, second)
    if steps:
        yield "  steps, those with the samples nearest to the data first (median distance in spreads of the data)"
    for r in steps[:ROWS]:
        sure = "90 % interval {:.2f} to {:.2f}, ".format(*r.interval) if r.interval else ""
        yield f"    {r.axis} {r.step:,.0f}   {r.median:.2f}   {sure}{len(r.distances)} samples"
    both = shared(first, second)
    if both:
        yield f"  {len(both)} items are in both: {both[0][0]} = {both[0][1]}"


def as_dict(
    path: str, profiles: Sequence[Profile], against: str | None = None, other: Sequence[Profile] = ()
) -> dict[str, Any]:
    """The same as plain values; numbers that are not finite are null."""
    out: dict[str, Any] = {"path": path, "sets": [_plain(p) for p in profiles]}
    if against is not None and other:
        out["against"] = {"path": against, "set": _plain(other[0]), "differences": [_difference(d) for d in compare(profiles[0], other[0])],
                          "steps": [_step(r) for r in ranked(profiles[0], other[0])],
                          "in_both": len(shared(profiles[0], other[0]))}  # fmt: skip
    return out


def _plain(one: Profile) -> dict[str, Any]:
    low, high = one.range
    return {
        "name": one.name, "kind": one.kind, "files": one.files, "read": one.read, "items": len(one.items),
        "classes": one.labels, "splits": one.splits, "shapes": [{"shape": list(s), "items": n} for s, n in one.shapes.items()][:100],
        "low": _finite(low), "high": _finite(high), "background": _finite(one.background),
        "constant": _names(one.constant), "non_finite": _names(one.broken), "copies": sum(len(g) - 1 for g in one.repeated),
        "copy_groups": [_names(g) for g in one.repeated[:50]], "overlap": [[a.name, b.name] for a, b in one.overlap[:100]],
        "near_copies": [_names(g) for g in one.near_copies[:50]], "near_overlap": [[a.name, b.name] for a, b in one.near_overlap[:100]],
        "units": [{"name": g.name, "unit": g.unit, "why": g.why, "told": g.told} for g in one.units],
        "unreadable": dict(list(one.unreadable.items())[:100]), "remedy": one.remedy,
    }  # fmt: skip


def _names(items: Sequence[One]) -> list[str]:
    return [i.name for i in items[:100]]


def _difference(d: Difference) -> dict[str, Any]:
    return {
        "what": d.what,
        "class": d.label,
        "here": _finite(d.first),
        "there": _finite(d.second),
        "ratio": _finite(d.ratio),
        "n": d.n,
        "m": d.m,
        "p": d.p,
    }


def _step(r: StepSamples) -> dict[str, Any]:
    low, high = r.interval or (None, None)
    return {"step": r.step, "axis": r.axis, "distance": _finite(r.median), "low": low, "high": high, "samples": len(r.distances)}  # fmt: skip


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
