"""REG112 wrong-euler-convention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.conventions import Proof
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import percent
from runvet.run import Run
from runvet.statistics.rotations import UNREAL, Convention, between

FAR = 40.0  # metres: the distance at which an angle is told as an offset


@rule("REG112", "wrong-euler-convention", level="critical", since="0.1", explains=("REG102", "REG101", "REG110"))
def wrong_euler_convention(proof: Proof, *, most: float = 0.9, none: float = 0.5) -> Sick | Unsure | None:
    """Angles are read by another convention than the data set's own matrices prove.

    ## What it checks
    Poses that a data set tells twice, as roll, pitch, yaw and as matrices (OPV2V: a camera's extrinsic is
    inv(camera pose) · lidar pose). All six orders and eight combinations of signs are tried, in degrees and radians.
    Critical where a setting (`euler_order: zyx` …) names a convention that the matrices rule out; a warning where
    no convention fits, or where some files follow another one than the rest.
    ## Why it matters
    On flat ground conventions look alike; on slopes they differ by degrees, which are metres at 40 m. The model then
    learns poses that the sensors never had, and its pose error stays flat.
    ## What to do
    Write one function that makes a matrix of angles, test it against the files' own matrices, and use it everywhere.
    ## When to ignore it
    Angles and matrices belong to different sensors.
    ## Known limits
    Code is not read: without a setting that names the convention only the data are judged.
    ## References
    - DerrickXuNu/OpenCOOD (x_to_world); scipy.spatial.transform.Rotation reads lower case as extrinsic.
    """
    if proof.share < most:
        off = proof.residuals[proof.residuals > 0.05]
        many = (
            "no Euler convention"
            if proof.share < none
            else f"{percent(1 - proof.share)} of the poses follow no convention that"
        )
        tail = "explains the matrices" if proof.share < none else f"the others follow ({proof.fits[0]})"
        return Sick(
            f"{many} {tail}: angles and matrices of {len(proof.residuals)} poses differ by a median of {np.median(off):.3g} degrees at best",
            (
                Measure("poses that agree", round(proof.share, 4), "share", proof.observed.where[int(proof.residuals.argmax())]),
                Measure("difference of the others, median", float(f"{np.median(off):.4g}"), "degrees"),
                Measure("best convention", str(proof.fits[0])),
            ),
            innocent="angles and matrices belong to different sensors",
            actions=(Action("Check which of the two is right before poses are used: draw one scene with each", "minutes", "repair"),),
            level="warning",
        )  # fmt: skip
    if proof.claimed is None:
        return None
    if proof.claimed in proof.fits or np.median(_apart(proof)) < 0.05:
        return None
    return _contradicted(proof)


def _apart(proof: Proof) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Degrees between the poses that the claimed and the proven convention make."""
    assert proof.claimed is not None
    return between(proof.claimed.matrix(proof.observed.second), proof.fits[0].matrix(proof.observed.second))


def _contradicted(proof: Proof) -> Sick:
    apart, right = _apart(proof), _told(proof.fits)
    typical, worst = float(np.median(apart)), float(apart.max())
    metres = 2 * FAR * np.sin(np.radians(worst) / 2)
    claim = proof.claim
    place = f"{claim.key} in {claim.source}" if claim else ""
    return Sick(
        f"{place} reads the angles as {proof.claimed}, but the data set's own matrices prove {right}: the poses differ by a median of {typical:.2g} and up to {worst:.3g} degrees, {metres:.2g} m at {FAR:g} m",
        (
            Measure("convention in use", str(proof.claimed), None, place),
            Measure("convention that the matrices prove", right, None, f"{len(apart)} poses"),
            Measure("difference, median", float(f"{typical:.3g}"), "degrees"),
            Measure("difference, largest", float(f"{worst:.3g}"), "degrees", proof.observed.where[int(apart.argmax())]),
            Measure("residual of the proven convention, largest", float(f"{proof.residuals.max():.2g}"), "degrees"),
        ),
        innocent="the setting belongs to another data set or to a sensor without matrices",
        actions=(Action(f"Read roll, pitch and yaw as {right}, and build the targets again before training on", "a restart", "repair"),),
    )  # fmt: skip


def _told(fits: tuple[Convention, ...]) -> str:
    return f"{UNREAL} (as CARLA and Unreal)" if UNREAL in fits else str(fits[0])


def _frames(convention: Convention, n: int = 12, *, spoiled: int = 0) -> dict[str, Any]:
    """Frames as OPV2V has them, with extrinsics by a convention; the last `spoiled` of them by another one."""
    rng = np.random.default_rng(3)
    out = {}
    for i in range(n):
        used = Convention("xyz", (1, 1, 1)) if i >= n - spoiled else convention
        lidar, cords = (np.append(rng.uniform(-60, 60, 3), rng.uniform(-1, 1, 3) * [4, 170, 8]) for _ in range(2))
        a, b = (used.matrix(np.radians(c[[3, 5, 4]])[None])[0] for c in (cords, lidar))
        extrinsic = np.eye(4)
        extrinsic[:3, :3], extrinsic[:3, 3] = a.T @ b, a.T @ (lidar[:3] - cords[:3])
        camera = {"cords": cords.tolist(), "extrinsic": extrinsic.tolist(), "intrinsic": [[335.6, 0, 400], [0, 335.6, 300], [0, 0, 1]]}  # fmt: skip
        out[f"data/train/641/{i:06d}.yaml"] = {"camera0": camera, "lidar_pose": lidar.tolist()}
    return out


def sick() -> Iterator[Run]:
    """scipy's extrinsic zyx on CARLA's angles, a mixture of two conventions, matrices of other sensors."""
    yield made.with_files(_frames(UNREAL), settings={"data.euler_order": "zyx"})
    yield made.with_files(_frames(UNREAL, spoiled=4))
    turned = [{"roll": 0.1, "pitch": 0.2 * i, "yaw": 0.3, "rotation": Convention("zyx", (1, 1, 1)).matrix(np.array([[0.4, 0.5, i]]))[0].tolist()} for i in range(9)]  # fmt: skip
    yield made.with_files({"data/poses.json": turned})


def healthy() -> Iterator[Run]:
    """The convention that the data prove, with and without a setting; radians."""
    yield made.with_files(_frames(UNREAL), settings={"data.euler_order": "carla"})
    yield made.with_files(_frames(Convention("zyx", (1, 1, 1))), settings={"data.euler_convention": "ZYX"})
    one = Convention("xyz", (1, 1, 1))
    poses = [{"roll": 0.1 * i, "pitch": 0.05 * i, "yaw": -0.2 * i, "rotation": one.matrix(np.array([[0.1 * i, 0.05 * i, -0.2 * i]]))[0].tolist()} for i in range(9)]  # fmt: skip
    yield made.with_files({"data/poses.json": poses})
