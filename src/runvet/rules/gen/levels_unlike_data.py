"""GEN108 levels-unlike-data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.likeness import Likeness
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.run import FloatArray, Run
from runvet.statistics.two_samples import mann_whitney


@rule("GEN108", "levels-unlike-data", level="warning", since="0.1")
def levels_unlike_data(
    samples: Likeness, *, contrast: float = 3.0, shift: float = 64.0, p_value: float = 0.001
) -> Sick | Unsure | None:
    """Sampled pictures are much darker, brighter, flatter or harsher than the data.

    ## What it checks
    Mean and standard deviation of grey levels (0 to 255, 16 x 16 cells) of each picture of the last step against the
    data's. A warning where the median contrast differs by a factor of three, or the median brightness by 64 levels,
    with p below 0.001 (Mann-Whitney).
    ## Why it matters
    Levels that are off point at scaling: pictures in 0..1 read as -1..1, a mean that is not added back, a clamp, a
    noise schedule that does not end in noise.
    ## What to do
    Send real pictures through the code that saves samples; compare the schedule's last step with pure noise.
    ## When to ignore it
    The samples were asked for other scenes (night, line drawings).
    ## Known limits
    Needs five samples and ten pictures of the data.
    ## References
    - Lin et al. 2023, Common diffusion noise schedules and sample steps are flawed, arXiv 2305.08891.
    """
    if samples.what != "pictures" or len(samples.names) < 5 or len(samples.data_names) < 10:
        return Unsure(
            "fewer than five sampled pictures or ten of the data",
            "keep 8 samples of each evaluation, and the data beside the run",
        )
    (mean, sd), (data_mean, data_sd) = samples.levels.T, samples.data_levels.T
    ratio = float((np.median(sd) + 1) / (np.median(data_sd) + 1))
    moved = float(np.median(mean) - np.median(data_mean))
    other = ratio < 1 / contrast or ratio > contrast
    if other and mann_whitney(sd, data_sd) < p_value:
        return _report(samples, f"{ratio:.2g} times the contrast of the data", sd, data_sd, "contrast")
    if abs(moved) > shift and mann_whitney(mean, data_mean) < p_value:
        return _report(samples, f"{moved:+.0f} levels of brightness from the data", mean, data_mean, "brightness")
    return None


def _report(samples: Likeness, text: str, own: FloatArray, data: FloatArray, what: str) -> Sick:
    return Sick(
        f"pictures of {samples.where} have {text}: median {what} {np.median(own):.1f} (n = {len(own)}) against {np.median(data):.1f} (n = {len(data)})",
        evidence=(
            Measure(f"{what} of samples, median", round(float(np.median(own)), 2), "levels of 255", samples.names[0]),
            Measure(
                f"{what} of the data, median", round(float(np.median(data)), 2), "levels of 255", samples.data_names[0]
            ),
            Measure("p of the Mann-Whitney test", float(f"{mann_whitney(own, data):.2g}")),
        ),
        since_step=samples.step,
        innocent="the samples were asked for other scenes than the data hold",
        actions=(
            Action(
                "Send ten pictures of the data through the code that saves samples, and compare their levels",
                "minutes",
                "repair",
            ),
        ),
    )


def _scaled(seed: int, gain: float, offset: float) -> made.Picture:
    return np.asarray(np.clip(made.scene(seed) * gain + offset, 0, 255), np.uint8)


def sick() -> Iterator[Run]:
    """Grey samples, bright ones."""
    data = made.pictures("data/train", [made.scene(i) for i in range(30)])
    yield made.with_files(data | made.pictures("samples/step_9", [_scaled(90 + i, 0.15, 110) for i in range(8)]))
    yield made.with_files(data | made.pictures("samples/step_9", [_scaled(90 + i, 0.5, 150) for i in range(8)]))


def healthy() -> Iterator[Run]:
    """Samples as the data; a little softer."""
    data = made.pictures("data/train", [made.scene(i) for i in range(30)])
    yield made.with_files(data | made.pictures("samples/step_9", [made.scene(90 + i) for i in range(8)]))
    yield made.with_files(data | made.pictures("samples/step_9", [_scaled(90 + i, 0.7, 38) for i in range(8)]))
