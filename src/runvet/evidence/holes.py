"""Two depth maps of the same scenes, one of which may be mixed with the other's holes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runvet.evidence import Missing, provides
from runvet.evidence.depths import PICTURES, both
from runvet.run import FloatArray, Run


@dataclass(frozen=True, slots=True)
class Overlay:
    """Where both maps hold depth: `ratio` first / second, (n,). `filled` are the shares of pixels that hold any."""

    first: str
    second: str
    where: str
    ratio: FloatArray
    filled: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Overlays:
    """One for each order of each pair of maps; never empty."""

    all: tuple[Overlay, ...]


@provides
def overlays(run: Run) -> Overlays | Missing:
    found: list[Overlay] = []
    for one, two, where, a, b in both(run.artifacts) if run.artifacts is not None else ():
        a, b = (np.asarray(x[:PICTURES], np.float64) for x in (a, b))
        use = (a > 0) & (b > 0) & np.isfinite(a) & np.isfinite(b)
        filled = float((a > 0).mean()), float((b > 0).mean())
        if use.any():
            found.append(Overlay(one, two, where, a[use] / b[use], filled))
            found.append(Overlay(two, one, where, b[use] / a[use], filled[::-1]))
    return Overlays(tuple(found)) if found else Missing("no two depth maps of one scene", "", applicable=False)
