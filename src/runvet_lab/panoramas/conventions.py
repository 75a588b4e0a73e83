"""Axes and angles: the simulator's left-handed poses, the lab's right-handed ones, and OpenCV's cameras.

OPV2V writes a pose as [x, y, z, roll, yaw, pitch] in metres and degrees, in the axes of CARLA and Unreal: x forward, y
right, z up, left-handed. The lab's axes are x forward, y left, z up; OpenCV's x right, y down, z forward.
The matrix is that of OpenCOOD's `x_to_world` (opencood/utils/transformation_utils.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

F: TypeAlias = npt.NDArray[np.float64]

MIRROR = np.diag([1.0, -1.0, 1.0, 1.0])  # CARLA <-> the lab: y changes its sign
TO_OPENCV = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])  # from the lab's axes


def unreal(pose: Sequence[float] | F) -> F:
    """The 4 x 4 matrix from the frame of `pose` to the world, both left-handed: the right reading of OPV2V's numbers."""
    x, y, z, roll, yaw, pitch = (float(number) for number in pose)
    (cr, cy, cp), (sr, sy, sp) = (f(np.deg2rad([roll, yaw, pitch])) for f in (np.cos, np.sin))
    return np.array(
        [
            [cp * cy, cy * sp * sr - sy * cr, -cy * sp * cr - sy * sr, x],
            [sy * cp, sy * sp * sr + cy * cr, -sy * sp * cr + cy * sr, y],
            [sp, -cp * sr, cp * cr, z],
            [0, 0, 0, 1],
        ]
    )


def extrinsic_zyx(pose: Sequence[float] | F) -> F:
    """The same numbers read as Rx · Ry · Rz, as scipy's lower-case "zyx" does: wrong for OPV2V unless the road is flat."""
    x, y, z, roll, yaw, pitch = (float(number) for number in pose)
    return _matrix(_rx(roll) @ _ry(pitch) @ _rz(yaw), (x, y, z))


def right_handed_zyx(pose: Sequence[float] | F) -> F:
    """The same numbers read as Rz · Ry · Rx of right-handed axes: wrong for OPV2V unless the road is flat."""
    x, y, z, roll, yaw, pitch = (float(number) for number in pose)
    return _matrix(_rz(yaw) @ _ry(pitch) @ _rx(roll), (x, y, z))


CONVENTIONS: dict[str, Callable[[Sequence[float] | F], F]] = {
    "unreal": unreal,
    "extrinsic zyx": extrinsic_zyx,
    "right-handed ZYX": right_handed_zyx,
}


NAMES = {"carla": "unreal", "zyx": "extrinsic zyx", "ZYX": "right-handed ZYX"}


def named(euler: str) -> str:
    """The key of CONVENTIONS for `carla`, `zyx` (extrinsic, as scipy reads it) or `ZYX` (intrinsic). Raises ValueError."""
    if euler not in NAMES:
        raise ValueError(f"unknown convention {euler!r}; known are {', '.join(NAMES)}")
    return NAMES[euler]


def angles(matrix: F) -> F:
    """[x, y, z, roll, yaw, pitch] in metres and degrees, such that `unreal` gives the matrix again (|pitch| < 90)."""
    pitch = np.arcsin(np.clip(matrix[2, 0], -1, 1))
    yaw = np.arctan2(matrix[1, 0], matrix[0, 0])
    roll = np.arctan2(-matrix[2, 1], matrix[2, 2])
    return np.array([*matrix[:3, 3], *np.rad2deg([roll, yaw, pitch])])


def from_carla(matrix: F) -> F:
    """A pose (..., 4, 4) of left-handed axes in the lab's right-handed ones; its own inverse."""
    out: F = MIRROR @ matrix @ MIRROR
    return out


def to_opencv(matrix: F) -> F:
    """A pose (..., 4, 4), sensor to world in the lab's axes, as camera to world of OpenCV."""
    out: F = TO_OPENCV @ matrix @ np.linalg.inv(TO_OPENCV)
    return out


def proof(cords: Sequence[Sequence[float]], extrinsics: Sequence[F], lidar: Sequence[float]) -> dict[str, float]:
    """How far each convention is from the extrinsics of a frame: the largest error of an element of the 4 x 4 matrices.

    A data set proves its own convention, since extrinsic = inv(camera to world) · lidar to world.
    """
    errors = {}
    for name, convention in CONVENTIONS.items():
        world = convention(lidar)
        wrong = [
            np.abs(np.linalg.inv(convention(cord)) @ world - extrinsic).max()
            for cord, extrinsic in zip(cords, extrinsics, strict=True)
        ]
        errors[name] = float(max(wrong))
    return errors


def _matrix(rotation: F, place: Sequence[float]) -> F:
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = rotation, place
    return out


def _rx(degrees: float) -> F:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _ry(degrees: float) -> F:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _rz(degrees: float) -> F:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
