"""REG111 invalid-rotations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.calibrations import RotationStacks
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import percent
from runvet.run import FloatArray, Run
from runvet.statistics.rotations import orthonormality


@rule("REG111", "invalid-rotations", level="critical", since="0.1", explains=("REG102",))
def invalid_rotations(
    rotations: RotationStacks, *, error: float = 0.02, some: float = 0.02, many: float = 0.2
) -> Iterator[Sick]:
    """Matrices that are used as rotations are none: their columns are not perpendicular, or they mirror.

    ## What it checks
    Arrays and calibration files whose names speak of poses or rotations: RᵀR against the identity (a common scale is
    taken off first) and the determinant. Critical where one matrix in five has an entry of RᵀR more than 0.02 off, or
    where some mirror and some do not; a warning from one in fifty, or where all mirror.
    ## Why it matters
    A matrix that is no rotation bends and shears everything it is applied to; errors in metres follow that no training
    removes. A mirror (determinant -1) comes from axes of the other handedness.
    ## What to do
    Find who writes the matrix: nine raw outputs of a head need an orthogonalisation (SVD, Gram-Schmidt), interpolation
    belongs on quaternions, and a change between left- and right-handed axes must be applied on both sides.
    ## When to ignore it
    The array holds general affine maps.
    ## Known limits
    Names decide what is a rotation. A wrong rotation that is a rotation is not seen here.
    ## References
    - Levinson et al. 2020, arXiv 2006.14616 (SVD for rotations). Failure reports: BundleTrack#67, nerf_pl#135.
    """
    for name, stack in rotations.stacks:
        found = _judge(name, stack, error, some, many)
        if found is not None:
            yield found


def _judge(name: str, stack: FloatArray, error: float, some: float, many: float) -> Sick | None:
    scale, off, determinant = orthonormality(stack)
    bent = off > error
    share, mirrored = float(bent.mean()), determinant[~bent] < 0
    flipped = float(mirrored.mean()) if len(mirrored) else 0.0
    if share < some and flipped < some:
        return None
    evidence = (
        Measure("matrices that are no rotation", round(share, 4), "share", name),
        Measure("matrices that mirror (determinant -1)", round(flipped, 4), "share", f"{len(stack)} matrices"),
        Measure("largest entry of RᵀR - 1, median", float(f"{np.median(off):.3g}")),
        Measure("scale, median", float(f"{np.median(scale):.4g}")),
    )
    if share >= some:
        return Sick(
            f"{percent(share)} of {len(stack)} rotations in {name} are none: the columns are not perpendicular or not of one length (RᵀR is off by a median of {np.median(off[bent]):.2g})",
            evidence,
            innocent="the array holds general affine maps",
            actions=(Action(f"Check who writes {name}: bring each matrix to the nearest rotation (SVD), and find why it is none", "minutes", "repair"),),
            level=None if share >= many else "warning",
        )  # fmt: skip
    mixed = flipped < 1 - some
    return Sick(
        f"{percent(flipped)} of {len(stack)} rotations in {name} mirror (determinant -1)"
        + ("; the others do not, so two handednesses are mixed" if mixed else ""),
        evidence,
        innocent="a left-handed frame is stored on purpose, and every reader knows it",
        actions=(Action(f"Check the handedness of the axes of {name}, and change it on both sides of the matrix", "minutes", "repair"),),
        level=None if mixed else "warning",
    )  # fmt: skip


def _rotations(n: int, seed: int = 0) -> FloatArray:
    q = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, 3, 3)))[0]
    return np.asarray(q * np.sign(np.linalg.det(q))[:, None, None])


def sick() -> Iterator[Run]:
    """Nine raw outputs, a mirror among rotations, bent poses of a data set."""
    good = _rotations(60)
    raw = good + 0.1 * np.random.default_rng(1).standard_normal(good.shape)
    yield made.with_files({"predictions.npz": {"pred_rotation": raw, "gt_rotation": good}})
    mixed = good.copy()
    mixed[::3] *= -1
    yield made.with_files({"data/poses.npz": {"rotations": mixed}})
    frames = [{"transform_matrix": np.block([[m, np.ones((3, 1))], [np.zeros((1, 3)), np.ones((1, 1))]]).tolist()} for m in raw]  # fmt: skip
    yield made.with_files({"data/transforms.json": {"frames": frames}})


def healthy() -> Iterator[Run]:
    """Rotations of half precision, a similarity, missing poses as zeros."""
    good = _rotations(60)
    yield made.with_files({"predictions.npz": {"pred_rotation": good.astype(np.float16), "gt_rotation": good}})
    yield made.with_files({"data/poses.npz": {"extrinsics": 2.5 * good}})
    missing = good.copy()
    missing[:9] = 0
    yield made.with_files({"data/poses.npz": {"rotations": missing}})
