"""Units are guessed from names and ranges where physics allows one reading, and left open elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runvet.artifacts import api
from runvet.artifacts.units import guess, guesses


@pytest.mark.parametrize(
    ("name", "low", "high", "unit"),
    [
        ("yaw", -3.14, 3.14, "radians"),
        ("heading", -179.0, 180.0, "degrees"),
        ("steering_angle", -0.2, 0.3, None),  # small angles may be either
        ("speed", 0.0, 131.0, "km/h"),
        ("ego.speed", 0.0, 33.0, "m/s"),
        ("speed", 0.0, 55.0, None),  # a slow road in km/h, or a fast one in m/s
        ("depth", 400.0, 65000.0, "mm"),
        ("depth", 0.5, 80.0, "m"),
        ("depth_cm", 50.0, 800.0, "cm"),
        ("timestamp", 1.70e9, 1.71e9, "s"),
        ("timestamp", 1.70e18, 1.71e18, "ns"),
        ("loss", 0.0, 3.0, None),
        ("yaw", 0.0, 0.0, None),
    ],
)
def test_units(name: str, low: float, high: float, unit: str | None) -> None:
    found = guess(name, low, high)
    assert (found.unit if found else None) == unit
    if found:
        assert f"{low:.4g} to {high:.4g}" in found.why


def test_levels_of_pictures() -> None:
    assert [guesses({"image": r}, pictures=True)[0].unit for r in ((0, 255), (0, 1), (-1, 1))] == ["0 to 255", "0 to 1", "-1 to 1"]  # fmt: skip
    assert guesses({"image": (0, 4000)}, pictures=True) == ()


def test_a_profile_tells_its_guesses(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", images=rng.random((6, 16, 16, 3)))
    assert [g.unit for g in api.profile(tmp_path).units] == ["0 to 1"]
