"""REG115 ray-depth-as-z."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.depths import DepthPairs, Fit
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import FloatArray, Run


@rule("REG115", "ray-depth-as-z", level="critical", since="0.1", explains=("PAR101",))
def ray_depth_as_z(depths: DepthPairs, *, explained: float = 0.85, centre: float = 0.03, near: float = 0.12) -> Iterator[Sick]:  # fmt: skip
    """One depth is the distance along the ray, the other the distance along the optical axis.

    ## What it checks
    Two depth maps of the same scenes (prediction and truth, or two arrays of one file): the ratio of each pixel,
    median over pictures, against 1/cos of the pixel's angle, whose focal length is fitted. Told where this shape
    explains 85 % of the ratio and the ratio is one in the middle (within 3 %). Critical where a calibration file
    confirms the focal length within 12 %, else a warning.
    ## Why it matters
    Ray distance read as z bends every wall: 10 % too far at 25 degrees off the axis, 56 % at 50 degrees.
    ## What to do
    Divide by the length of the pixel's ray (or multiply) in one place, and write which kind each file holds.
    ## When to ignore it
    Errors that grow towards the corners for another reason, such as distortion of the lens.
    ## Known limits
    Pinhole pictures of at least 8 by 8 pixels with the axis in the middle.
    ## References
    - Hartley, Zisserman 2004, doi 10.1017/CBO9780511811685.
    """
    for fit in depths.fits:
        if fit.explained < explained or abs(fit.centre) > centre or fit.corner < 1.05:
            continue
        known = fit.focal_known is not None
        if known and fit.focal_known is not None and abs(fit.focal / fit.focal_known - 1) > near:
            continue
        yield _report(fit, known)


def _report(fit: Fit, known: bool) -> Sick:
    first, second = ("along the ray", "along the axis (z)") if fit.sign > 0 else ("along the axis (z)", "along the ray")
    return Sick(
        f"{fit.first} is the distance {first}, {fit.second} that {second}: their ratio is one in the middle and {fit.corner ** fit.sign:.3g} in the corners, as 1/cos of the angle",
        (
            Measure("ratio in the corners", round(fit.corner**fit.sign, 4), None, fit.where),
            Measure("share of the ratio's variance that 1/cos explains", round(fit.explained, 4), None, f"{fit.pictures} pictures"),
            Measure("focal length fitted", round(fit.focal, 2), "pixels"),
            *((Measure("focal length of the calibration", round(fit.focal_known, 2), "pixels"),) if fit.focal_known else ()),
        ),
        innocent="the error grows towards the corners for another reason, such as distortion of the lens",
        actions=(Action("Multiply z by the length of the pixel's ray (or divide) in the one place where depth is read, and train again", "a restart", "repair"),),
        level=None if known else "warning",
    )  # fmt: skip


def _depths(n: int = 6, h: int = 24, w: int = 32, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    v = np.linspace(0, 1, h)[None, :, None]
    return np.asarray(rng.uniform(5, 40, (n, 1, 1)) * (1.2 - v) * np.exp(0.2 * rng.standard_normal((n, h, w))))


def _ray(h: int, w: int, f: float) -> FloatArray:
    u, v = np.meshgrid(np.arange(w) - (w - 1) / 2, np.arange(h) - (h - 1) / 2)
    return np.asarray(np.sqrt(1 + (u**2 + v**2) / f**2))


def sick() -> Iterator[Run]:
    """Predictions along the ray against z, noisy; the other way about with a calibration."""
    z = _depths()
    noise = np.exp(0.03 * np.random.default_rng(1).standard_normal(z.shape))
    yield made.with_files({"predictions.npz": {"pred_depth": z * _ray(24, 32, 16.0) * noise, "gt_depth": z}})
    camera = {"camera0": {"intrinsic": [[320.0, 0, 320], [0, 320.0, 240], [0, 0, 1]], "width": 640, "height": 480}}
    yield made.with_files({"data/calib.json": camera, "predictions.npz": {"pred_depth": z * noise, "gt_depth": z * _ray(24, 32, 16.0)}})  # fmt: skip


def healthy() -> Iterator[Run]:
    """Good depth, another scale, errors by row."""
    z = _depths()
    noise = np.exp(0.05 * np.random.default_rng(1).standard_normal(z.shape))
    yield made.with_files({"predictions.npz": {"pred_depth": z * noise, "gt_depth": z}})
    yield made.with_files({"predictions.npz": {"pred_depth": 1.1 * z * noise, "gt_depth": z}})
    rows = np.linspace(0.9, 1.2, 24)[None, :, None]
    yield made.with_files({"predictions.npz": {"pred_depth": z * rows, "gt_depth": z}})
