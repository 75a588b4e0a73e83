"""Rotations against scipy: Euler conventions, alignment, angles between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from runvet.statistics.rotations import (
    UNREAL,
    Convention,
    align,
    between,
    conventions,
    from_name,
    orthonormality,
    turned_each,
)

ANGLES = st.lists(st.tuples(*[st.floats(-3.1, 3.1)] * 3), min_size=1, max_size=8).map(np.array)


@settings(max_examples=40, deadline=None)
@given(ANGLES)
def test_every_convention_is_scipys_intrinsic_rotation(angles: np.ndarray) -> None:
    for one in conventions():
        by_axis = {a: s * angles[:, i] for i, (a, s) in enumerate(zip("xyz", one.signs, strict=True))}
        ours = one.matrix(angles)
        theirs = Rotation.from_euler(one.order.upper(), np.column_stack([by_axis[a] for a in one.order])).as_matrix()
        assert np.abs(ours - theirs).max() < 1e-12


@pytest.mark.parametrize("name", ["xyz", "zyx", "ZYX", "yxz", "XZY", "zxy"])
def test_names_are_read_as_scipy_reads_them(name: str) -> None:
    angles = np.random.default_rng(0).uniform(-3, 3, (20, 3))
    one = from_name(name)
    assert one is not None
    columns = ["xyz".index(c) for c in name.lower()]
    assert np.abs(one.matrix(angles) - Rotation.from_euler(name, angles[:, columns]).as_matrix()).max() < 1e-12


def test_no_other_text_is_a_convention() -> None:
    assert from_name("CARLA") == UNREAL
    for text in ("xyx", "", "roll", "zy", "xyzx", "true"):
        assert from_name(text) is None


def test_unreal_is_the_matrix_of_the_simulator() -> None:
    roll, pitch, yaw = np.radians([3.0, -7.0, 120.0])
    cr, sr, cp, sp, cy, sy = (f(a) for a in (roll, pitch, yaw) for f in (np.cos, np.sin))
    rows = [
        [cp * cy, cy * sp * sr - sy * cr, -cy * sp * cr - sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, -sy * sp * cr + cy * sr],
        [sp, -cp * sr, cp * cr],
    ]
    assert np.abs(UNREAL.matrix(np.array([[roll, pitch, yaw]]))[0] - rows).max() < 1e-12


@pytest.mark.parametrize(
    ("angles", "scipys", "product", "metres"),
    # Offsets at 40 m between the simulator's matrix and two other readings of the same numbers, in (roll, yaw, pitch).
    [((1, 90, 3), 4.47, 6.32, (3.1, 4.4)), ((2, 120, 6), 6.32, 12.65, (4.4, 8.8))],
)
def test_how_far_conventions_are_apart_on_slopes(angles: tuple, scipys: float, product: float, metres: tuple) -> None:
    roll, yaw, pitch = np.radians(angles)
    told = np.array([[roll, pitch, yaw]])
    right = UNREAL.matrix(told)
    for name, degrees, far in (("zyx", scipys, metres[0]), ("ZYX", product, metres[1])):
        one = from_name(name)
        assert one is not None
        apart = float(between(one.matrix(told), right)[0])
        assert apart == pytest.approx(degrees, abs=0.02)
        assert 80 * np.sin(np.radians(apart) / 2) == pytest.approx(far, abs=0.06)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 3))
def test_alignment_finds_the_map_and_never_makes_it_worse(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.normal(size=(40, k))
    q = np.linalg.qr(rng.normal(size=(k, k)))[0]
    found = align(p, p @ q.T)
    assert found.after == pytest.approx(1)
    assert np.abs(found.matrix - q).max() < 1e-9
    assert found.mirrored == (np.linalg.det(q) < 0)
    noisy = align(p, rng.normal(size=(40, k)))
    assert noisy.after >= noisy.before - 1e-12


def test_the_angle_of_an_alignment_is_scipys() -> None:
    rng = np.random.default_rng(3)
    for one in Rotation.random(20, random_state=1):
        p = rng.normal(size=(50, 3))
        found = align(p, one.apply(p))
        assert found.angle == pytest.approx(np.degrees(one.magnitude()), abs=1e-4)
        ours, _ = Rotation.align_vectors(one.apply(p), p)
        assert np.abs(found.matrix - ours.as_matrix()).max() < 1e-6


def test_angles_between_are_exact_near_zero() -> None:
    base = Rotation.random(30, random_state=2)
    for degrees in (1e-5, 0.01, 1.0, 90.0, 180.0):
        turn = Rotation.from_rotvec(np.radians(degrees) * np.array([0.6, 0.0, 0.8]))
        found = between(base.as_matrix(), (base * turn).as_matrix())
        assert found == pytest.approx(np.full(30, degrees), rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_similarities_are_rotations_with_a_scale(seed: int, scale: float) -> None:
    many = Rotation.random(6, random_state=seed).as_matrix()
    found, error, determinant = orthonormality(scale * many)
    assert found == pytest.approx(np.full(6, scale))
    assert error.max() < 1e-9
    assert determinant == pytest.approx(np.ones(6))
    assert orthonormality(-many)[2] == pytest.approx(-np.ones(6))
    bent = many.copy()
    bent[:, 0] *= 1.2
    assert orthonormality(bent)[1].min() > 0.05


def test_paths_are_turned_by_their_own_angle() -> None:
    rng = np.random.default_rng(0)
    paths, angle = rng.normal(size=(30, 9, 2)), rng.uniform(-np.pi, np.pi, 30)
    turned = np.stack(
        [Rotation.from_euler("z", a).as_matrix()[:2, :2] @ p.T for a, p in zip(angle, paths, strict=True)]
    )
    found, back = turned_each(paths, np.swapaxes(turned, 1, 2))
    assert found == pytest.approx(angle)
    assert np.abs(back - np.swapaxes(turned, 1, 2)).max() < 1e-9


def test_a_convention_tells_itself_in_words() -> None:
    assert str(Convention("zyx", (-1, -1, 1))) == "Rz(yaw)·Ry(-pitch)·Rx(-roll)"
