"""REG117 depth-mixed-with-holes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.holes import Overlay, Overlays
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import percent
from runvet.run import FloatArray, Run


@rule("REG117", "depth-mixed-with-holes", level="warning", since="0.1")
def depth_mixed_with_holes(
    overlays: Overlays,
    *,
    short: float = 0.25,  # share of pixels: an odd edge is no mixing
    long: float = 0.01,  # share of pixels: mixing with zeros only ever shortens
    spread: float = 0.2,  # of the log ratio, middle half: a constant factor is a scale
    fewest: float = 100,  # pixels
) -> Sick | Unsure | None:
    """Sparse depth was sampled between pixels, so that holes (0 metres) are mixed into it.

    ## What it checks
    Two depth maps of the same scenes in one file (as sampled, and of the nearest pixels): where both hold depth, one is
    shorter by a fifth or more at a quarter of the pixels, hardly ever longer (1 %), by no constant factor, and fills
    more pixels than the other.
    ## Why it matters
    Bilinear resizing takes a hole for a point at 0 metres. Every value beside a hole comes out too short, by any
    factor, and holes are filled with such values: the truth that a model is trained on bends towards the camera.
    ## What to do
    Take the nearest pixel for depth, or weigh by validity and divide; never resize depth with zeros in it.
    ## When to ignore it
    The second map is known to be too far.
    ## Known limits
    Both maps must lie in one array file, with names that tell they are depth.
    ## References
    - Uhrig et al. 2017, Sparsity invariant CNNs, doi 10.1109/3DV.2017.00012.
    """
    known = [one for one in overlays.all if len(one.ratio) >= fewest]
    if not known:
        return Unsure("too few pixels hold depth in both maps")
    for one in known:
        ratio = np.log(one.ratio)
        low, high = np.quantile(ratio, [0.25, 0.75])
        shorter, longer = float((one.ratio < 0.8).mean()), float((one.ratio > 1.05).mean())
        if shorter >= short and longer <= long and high - low >= spread and one.filled[0] > one.filled[1]:
            return _report(one, shorter)
    return None


def _report(one: Overlay, shorter: float) -> Sick:
    middle = float(np.median(one.ratio))
    return Sick(
        f"{one.first} is shorter than {one.second} by a fifth or more at {percent(shorter)} of the pixels, {middle:.2f} times in the median, "
        f"and never longer; it fills {percent(one.filled[0])} of the pixels, the other {percent(one.filled[1])}: holes were mixed in",
        (
            Measure("ratio, median", round(middle, 4), None, one.where),
            Measure("pixels that are shorter by a fifth", round(shorter, 4), "share"),
            Measure(f"pixels with depth in {one.first}", round(one.filled[0], 4), "share"),
            Measure(f"pixels with depth in {one.second}", round(one.filled[1], 4), "share"),
        ),
        innocent="the other map is too far",
        actions=(
            Action("Take the nearest pixel for depth, or weigh by validity, and prepare the data again", "a restart", "repair"),
        ),
    )  # fmt: skip


def _sparse(fill: float, seed: int) -> tuple[FloatArray, FloatArray]:
    """Depth with holes (n, h, w) by the nearest pixel, and bilinear between four pixels at random places."""
    rng = np.random.default_rng(seed)
    depth = rng.uniform(5, 40, (6, 1, 1)) * np.exp(0.005 * rng.standard_normal((6, 32, 48)))
    held = depth * (rng.random(depth.shape) < fill)
    x, y = rng.random((2, *depth.shape)) / 2
    right, below = np.roll(held, -1, 2), np.roll(held, -1, 1)
    mixed = (1 - x) * (1 - y) * held + x * (1 - y) * right + (1 - x) * y * below + x * y * np.roll(right, -1, 1)
    return held, mixed


def sick() -> Iterator[Run]:
    """Three, ten and forty pixels in a hundred."""
    for fill in (0.1, 0.2, 0.4):
        held, mixed = _sparse(fill, 1)
        yield made.with_files({"check/sampling.npz": {"depth_sampled": mixed, "depth_nearest": held}})


def healthy() -> Iterator[Run]:
    """Dense depth sampled between pixels, another scale, noise, and masked sampling."""
    held, _ = _sparse(1.0, 2)
    rng = np.random.default_rng(3)
    noise = np.exp(0.1 * rng.standard_normal(held.shape))
    yield made.with_files({"check/sampling.npz": {"depth_sampled": held * noise, "depth_nearest": held}})
    yield made.with_files({"check/sampling.npz": {"depth_sampled": 0.5 * held, "depth_nearest": held}})
    yield made.with_files({"check/sampling.npz": {"depth_sampled": held, "depth_nearest": held * (rng.random(held.shape) < 0.3)}})  # fmt: skip
