"""Which Euler convention a data set's own matrices prove: angles and matrices of the same pose must agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet.evidence import Missing, provides
from runvet.evidence.calibrations import Calibrations, Description
from runvet.run import FloatArray, Run, Setting
from runvet.statistics.rotations import Convention, between, conventions, from_name

TOLERANCE = 0.05  # degrees; files are written with six digits or more
CLAIMS = (
    "euler_order",
    "euler_convention",
    "euler_seq",
    "rotation_order",
    "angle_order",
    "rotation_convention",
    "euler",
)
MOST = 512


@dataclass(frozen=True, slots=True)
class Observed:
    """Angles about x, y, z in radians of two poses, (n, 3) each, and the rotation between them, (n, 3, 3).

    The rotation is inv(R(first)) · R(second); where only one pose is known, `first` is zero. `where` names n places.
    """

    first: FloatArray
    second: FloatArray
    rotation: FloatArray
    where: tuple[str, ...]

    def residual(self, convention: Convention) -> FloatArray:
        """Degrees between the stored rotation and the one that a convention gives, (n,)."""
        a, b = convention.matrix(self.first), convention.matrix(self.second)
        return between(np.swapaxes(a, 1, 2) @ b, self.rotation)


@dataclass(frozen=True, slots=True)
class Proof:
    """What the files prove. `fits` are the conventions with the least residuals (degrees, over observations that agree).

    `share` of the observations agree with the first of them; `residuals` are its own. `claimed` is what a setting
    names, with its place; None where no setting does.
    """

    observed: Observed
    fits: tuple[Convention, ...]
    share: float
    residuals: FloatArray
    claimed: Convention | None
    claim: Setting | None


@provides
def proof(run: Run, described: Calibrations) -> Proof | Missing:
    seen = list(_observations(described))[:MOST]
    if len(seen) < 4:
        return Missing("fewer than four poses are told both as angles and as matrices", "", applicable=False)
    first, second, rotation = (np.array([s[i] for s in seen]) for i in range(3))
    places = tuple(s[3] for s in seen)
    best: tuple[int, tuple[Convention, ...], Observed] | None = None
    for unit in (np.pi / 180, 1.0):
        for turned in (rotation, np.swapaxes(rotation, 1, 2)):
            observed = Observed(unit * first, unit * second, turned, places)
            table = np.array([observed.residual(c) for c in conventions()])
            agree = (table < TOLERANCE).sum(axis=1)
            if best is None or agree.max() > best[0]:
                fits = tuple(c for c, n in zip(conventions(), agree, strict=True) if n == agree.max())
                best = (int(agree.max()), fits, observed)
    if best is None or np.abs(np.concatenate([first, second])).max() < 1e-3:
        return Missing("all angles are zero", "", applicable=False)
    claim = next((s for s in _settings(run) if s.key.rsplit(".", 1)[-1].lower() in CLAIMS and from_name(str(s.value))), None)  # fmt: skip
    return Proof(best[2], best[1], best[0] / len(seen), best[2].residual(best[1][0]), from_name(str(claim.value)) if claim else None, claim)  # fmt: skip


def _settings(run: Run) -> Iterator[Setting]:
    yield from run.settings
    for stage in run.stages:
        yield from stage.settings


def _observations(described: Calibrations) -> Iterator[tuple[FloatArray, FloatArray, FloatArray, str]]:
    """(angles of the first pose, of the second, rotation between, place)."""
    for record in described.records:
        for camera in record.cameras:
            if camera.cords is not None and camera.extrinsic is not None and record.lidar is not None:
                yield _xyz(camera.cords), _xyz(record.lidar), camera.extrinsic[:3, :3], f"{record.where}: {camera.name}"
        yield from _named(record)


def _named(record: Description) -> Iterator[tuple[FloatArray, FloatArray, FloatArray, str]]:
    """roll, pitch, yaw beside one matrix of the same dict: the matrix of that pose."""
    for prefix, angles in record.angles.items():
        beside = [k for k in record.matrices if k.rpartition(".")[0] == prefix.rstrip(".")]
        if len(beside) == 1:
            yield np.zeros(3), angles, record.matrices[beside[0]][:3, :3], f"{record.where}: {beside[0]}"


def _xyz(cords: FloatArray) -> FloatArray:
    """x, y, z, roll, yaw, pitch (CARLA's order) as angles about x, y and z."""
    return np.array([cords[3], cords[5], cords[4]])
