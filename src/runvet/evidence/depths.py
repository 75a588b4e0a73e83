"""Two depth maps of the same scenes: does their ratio follow 1/cos of the angle to the optical axis?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet.artifacts.grouping import words
from runvet.artifacts.model import Array, Artifacts, UnreadableError, evenly
from runvet.evidence import Missing, provides
from runvet.evidence.calibrations import Calibrations
from runvet.evidence.predictions import Predictions
from runvet.run import FloatArray, Run

DEPTH = frozenset("depth depths distance distances range z ray radial".split())
SMALL = 8  # pixels of the shorter side
FILES = 16
PICTURES = 64
FOCALS = np.geomspace(0.2, 4.0, 90)  # of the width: 136 to 14 degrees of view


@dataclass(frozen=True, slots=True)
class Fit:
    """`first` / `second` fitted by exp(centre) · ray(focal)^sign; `explained` is the share of variance over pixels.

    `corner` is the length of the corner's ray. `focal` and `focal_known` are in pixels of these maps.
    """

    first: str
    second: str
    where: str
    centre: float
    sign: int
    focal: float
    focal_known: float | None
    corner: float
    explained: float
    pictures: int


@dataclass(frozen=True, slots=True)
class DepthPairs:
    """One fit for each pair of depth maps; never empty."""

    fits: tuple[Fit, ...]


@provides
def depth_pairs(run: Run, predictions: Predictions | None, described: Calibrations | None) -> DepthPairs | Missing:
    relative = _focal(described)
    found: list[Fit] = []
    for pair in predictions.pairs if predictions else ():
        if len(pair.shape) == 2 and set(words(pair.name)) & DEPTH:
            shape = (pair.n, *pair.shape)
            found += _fit("the prediction", "the truth", pair.where, pair.pred.reshape(shape), pair.true.reshape(shape), relative)  # fmt: skip
    if run.artifacts is not None and not found:
        for one, two, where, a, b in both(run.artifacts):
            found += _fit(one, two, where, a, b, relative)
    return DepthPairs(tuple(found)) if found else Missing("no two depth maps of one scene", "", applicable=False)


def _focal(described: Calibrations | None) -> float | None:
    """The focal length over the width of the picture, where all cameras agree."""
    told = [c.intrinsic[0, 0] / c.width for r in (described.records if described else ()) for c in r.cameras]
    return float(np.median(told)) if told and np.ptp(told) < 0.05 * np.median(told) else None


def both(artifacts: Artifacts) -> Iterator[tuple[str, str, str, Array, Array]]:
    """Two arrays of one file that are both depth and of one shape: `depth` and `ray_distance`, or points' z and length."""

    def may(shapes: dict[str, tuple[int, ...]]) -> list[str]:
        return [n for n, s in shapes.items() if len(s) in (2, 3) and set(words(n)) & DEPTH and not set(words(n)) & {"pred", "gt"}]  # fmt: skip

    candidates = []
    for item in evenly([i for i in artifacts.items if i.peek is not None and i.suffix == ".npz"], 256):
        try:
            names = may({n: s for n, (s, _) in (item.peek() if item.peek else {}).items()})
        except UnreadableError:
            continue
        if len(names) == 2:
            candidates.append((item, names))
    for item, (one, two) in candidates[:FILES]:
        try:
            held = artifacts.read(item).arrays
        except UnreadableError:
            continue
        if one in held and two in held and held[one].shape == held[two].shape:
            a, b = (held[n] if held[n].ndim == 3 else held[n][None] for n in (one, two))
            yield one, two, item.name, a, b


def _fit(one: str, two: str, where: str, a: Array, b: Array, relative: float | None) -> list[Fit]:
    a, b = (np.asarray(x[:PICTURES], np.float64) for x in (a, b))
    h, w = a.shape[1:]
    if min(h, w) < SMALL or a.dtype.kind not in "f":
        return []
    good = (a > 0) & (b > 0) & np.isfinite(a) & np.isfinite(b)
    with np.errstate(all="ignore"):
        ratio = np.where(good, np.log(np.where(good, a, 1.0) / np.where(good, b, 1.0)), np.nan)
        middle = np.nanmedian(np.where(good.any(axis=0), ratio, 0.0), axis=0)
    use = good.sum(axis=0) >= max(1, len(a) // 4)
    if use.mean() < 0.3:
        return []
    best = max((_shape(middle, use, f * w) for f in FOCALS), key=lambda s: s[0])
    explained, centre, sign, focal = best
    corner = float(np.sqrt(1 + ((w - 1) ** 2 + (h - 1) ** 2) / 4 / focal**2))
    known = None if relative is None else relative * w
    return [Fit(one, two, where, centre, sign, focal, known, corner, explained, len(a))]


def _shape(ratio: FloatArray, use: Array, focal: float) -> tuple[float, float, int, float]:
    """Variance explained, offset, sign and focal length of the better of ray(focal)^±1."""
    h, w = ratio.shape
    u, v = np.meshgrid(np.arange(w) - (w - 1) / 2, np.arange(h) - (h - 1) / 2)
    ray = 0.5 * np.log1p((u**2 + v**2) / focal**2)[use]
    told = ratio[use]
    rest = float(np.sum((told - told.mean()) ** 2))
    out = []
    for sign in (1, -1):
        centre = float(np.median(told - sign * ray))
        error = float(np.sum((told - centre - sign * ray) ** 2))
        out.append((1 - error / rest if rest > 1e-9 else 0.0, centre, sign, focal))
    return max(out)
