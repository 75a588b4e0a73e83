"""The ray caster against a plain one that tries every ray with every box, and its two back ends against each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from runvet_lab.panoramas.cast import GROUND, SKY, Boxes, cast
from runvet_lab.panoramas.sensors import camera, panorama


def pose(rng, spread=20.0, height=(0.5, 3.0), tilt=0.2):
    out = np.eye(4)
    angles = [rng.uniform(-np.pi, np.pi), *rng.uniform(-tilt, tilt, 2)]
    out[:3, :3] = Rotation.from_euler("ZYX", angles).as_matrix()
    out[:3, 3] = [*rng.uniform(-spread, spread, 2), rng.uniform(*height)]
    return out


def scene(seed, sensors=3, count=12):
    rng = np.random.default_rng(seed)
    poses = np.stack([pose(rng) for _ in range(sensors)])
    boxes = np.stack([[pose(rng, 30, (0, 6), 0.4) for _ in range(count)] for _ in range(sensors)])
    return poses, Boxes(boxes, rng.uniform(0.3, 5, (sensors, count, 3)), rng.random((sensors, count)) < 0.9)


def plainly(sensor, pose, boxes, row):
    """Every ray with every box, in world coordinates, by the six planes of each box."""
    rays = sensor.rays / np.linalg.norm(sensor.rays, axis=-1, keepdims=True) @ pose[:3, :3].T
    with np.errstate(divide="ignore"):
        best = np.where(rays[..., 2] < 0, -pose[2, 3] / rays[..., 2], np.inf)
    what = np.where(np.isfinite(best) & (best < 1e4), GROUND, SKY)
    best = np.where(what == SKY, np.inf, best)
    for number in np.flatnonzero(boxes.there[row]):
        inverse = np.linalg.inv(boxes.pose[row, number])
        start, along = inverse[:3, :3] @ pose[:3, 3] + inverse[:3, 3], rays @ inverse[:3, :3].T
        low, high = (-boxes.half[row, number] - start) / along, (boxes.half[row, number] - start) / along
        enter, leave = np.minimum(low, high).max(-1), np.maximum(low, high).min(-1)
        hit = (enter <= leave) & (enter > 0.05) & (enter < best)
        best, what = np.where(hit, enter, best), np.where(hit, number, what)
    return best, what


@pytest.mark.parametrize("sensor", [panorama(48, 12), camera(32, 24)], ids=["panorama", "camera"])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_agrees_with_trying_everything(sensor, seed):
    poses, boxes = scene(seed)
    seen = cast(sensor, poses, boxes)
    for row in range(len(poses)):
        distance, what = plainly(sensor, poses[row], boxes, row)
        same = seen.what[row] == what
        assert same.mean() > 0.99  # rays along an edge may fall to either side in float32
        finite = same & np.isfinite(distance)
        np.testing.assert_allclose(seen.distance[row][finite], distance[finite], rtol=2e-3)
        assert np.isinf(seen.distance[row][same & (what == SKY)]).all()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_numpy_and_torch_agree(seed):
    poses, boxes = scene(seed)
    one, other = cast(panorama(), poses, boxes), cast(panorama(), poses, boxes, backend="torch")
    same = one.what == other.what.numpy()
    assert same.mean() > 0.9999
    finite = same & np.isfinite(one.distance)
    np.testing.assert_allclose(one.distance[finite], other.distance.numpy()[finite], rtol=1e-5)


def test_an_empty_scene_is_ground_and_sky():
    level = np.eye(4)[None].copy()
    level[0, 2, 3] = 1.5
    none = Boxes(np.zeros((1, 0, 4, 4)), np.zeros((1, 0, 3)), np.zeros((1, 0), bool))
    seen = cast(panorama(36, 18), level, none)
    assert (seen.what[0, :9] == SKY).all()
    assert (seen.what[0, 9:] == GROUND).all()
    np.testing.assert_allclose(seen.distance[0, -1], 1.5 / np.sin(np.pi / 4 * 17 / 18), rtol=1e-5)


def test_an_unknown_backend_is_named():
    with pytest.raises(ValueError, match="numpy and torch"):
        cast(
            panorama(8, 4),
            np.eye(4)[None],
            Boxes(np.zeros((1, 0, 4, 4)), np.zeros((1, 0, 3)), np.zeros((1, 0), bool)),
            backend="jax",
        )
