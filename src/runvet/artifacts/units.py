"""Guesses at units from the names and ranges of arrays: metres or millimetres, degrees or radians, 0..1 or 0..255.

A guess, never a verdict: each says the range that it rests on. Limits are physical (a full turn is 6.28 rad, no car
drives 100 m/s) or those of the formats (Unix times, 16-bit depth).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ANGLES = frozenset("yaw pitch roll heading headings angle angles theta phi rotation steer steering azimuth elevation orientation bearing".split())  # fmt: skip
SPEEDS = frozenset("speed speeds velocity velocities vel ego_speed".split())
LENGTHS = frozenset("depth depths distance distances range position positions translation waypoint waypoints trajectory trajectories traj xyz altitude".split())  # fmt: skip
TIMES = frozenset("time times timestamp timestamps stamp ts".split())
TOLD = {"m": "m", "cm": "cm", "mm": "mm", "km": "km", "deg": "degrees", "degrees": "degrees", "rad": "radians", "radians": "radians",
        "kmh": "km/h", "kph": "km/h", "mps": "m/s", "ms": "ms", "ns": "ns", "sec": "s", "seconds": "s", "hz": "Hz", "px": "pixels"}  # fmt: skip
_WORD = re.compile(r"[a-z]+")
TURN = 6.2832
_EPOCHS = ((1e8, 4e9, "s"), (1e11, 4e12, "ms"), (1e14, 4e15, "µs"), (1e17, 4e18, "ns"))


@dataclass(frozen=True, slots=True)
class Guess:
    """A guess at the unit of an array, and what it rests on; `told` where the name itself says the unit."""

    name: str
    unit: str
    why: str
    told: bool = False


def guesses(ranges: Mapping[str, tuple[float, float]], *, pictures: bool = False) -> tuple[Guess, ...]:
    """One guess for each array whose name (or, for pictures, whose range) allows one. `ranges` are lowest and highest."""
    found = [_levels(n, *r) if pictures else guess(n, *r) for n, r in ranges.items()]
    return tuple(g for g in found if g is not None)


def guess(name: str, low: float, high: float) -> Guess | None:
    """A guess from the words of a name and the range of finite values; None where they allow none."""
    if not low < high:
        return None
    words = _WORD.findall(name.lower())
    span = f"{low:.4g} to {high:.4g}"
    if len(words) > 1 and words[-1] in TOLD:
        return Guess(name, TOLD[words[-1]], f"its name says so; values {span}", told=True)
    kind = _kind(frozenset(words))
    if kind == "time":
        unit = next(((unit, " since 1970") for first, last, unit in _EPOCHS if first <= low and high <= last), None)
    else:
        unit = _RANGES[kind](max(abs(low), abs(high))) if kind else None
    return None if unit is None else Guess(name, unit[0], f"values {span}{unit[1]}")


def _kind(words: frozenset[str]) -> Literal["angle", "speed", "length", "time"] | None:
    if words & ANGLES:
        return "angle"
    if words & SPEEDS:
        return "speed"
    if words & LENGTHS:
        return "length"
    return "time" if words & TIMES else None


def _angle(far: float) -> tuple[str, str] | None:
    if far <= TURN * 1.001:
        # Small angles may be either.
        return ("radians", ", within one turn of 6.28") if far > 1.6 else None
    return ("degrees", ", more than one turn in radians") if far <= 720 else None


def _speed(far: float) -> tuple[str, str] | None:
    if 70 < far <= 400:
        return "km/h", f": as m/s up to {3.6 * far:.0f} km/h"
    return ("m/s", f": up to {3.6 * far:.0f} km/h if so") if 1 <= far <= 45 else None


def _length(far: float) -> tuple[str, str] | None:
    if 3000 < far <= 1e6:
        return "mm", ": as metres beyond any sensor's reach"
    return ("m", "") if 2 <= far <= 300 else None


_RANGES = {"angle": _angle, "speed": _speed, "length": _length}


def _levels(name: str, low: float, high: float) -> Guess | None:
    span = f"values {low:.4g} to {high:.4g}"
    if low < 0:
        return Guess(name, "-1 to 1", span) if low >= -1.001 and high <= 1.001 else None
    if high <= 1.001:
        return Guess(name, "0 to 1", span) if high > 0 else None
    return Guess(name, "0 to 255", span) if high <= 255 else None
