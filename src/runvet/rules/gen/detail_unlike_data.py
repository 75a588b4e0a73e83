"""GEN114 detail-unlike-data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from runvet import examples_artifacts as made
from runvet.artifacts.texture import roughness
from runvet.evidence.pictures import Picture, PictureSamples, PictureSeries
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.run import FloatArray, Run
from runvet.statistics.two_samples import mann_whitney


@rule("GEN114", "detail-unlike-data", level="critical", since="0.1", explains=("GEN105", "GEN108", "GEN109"))
def detail_unlike_data(
    samples: PictureSamples, *, noise: float = 0.7, calm: float = 0.4, soft: float = 0.2, p_value: float = 0.001
) -> Sick | Unsure | None:
    """Generated pictures are noise, or far softer than the data.

    ## What it checks
    How much neighbouring pixels differ, in units of the picture's own variance (von Neumann's ratio: 1 for white noise,
    0.01 to 0.3 for pictures). Critical where the median of the last step is above 0.7, that of the data below 0.4, and
    samples of an earlier step show that this is not the beginning; a warning at the first step, and where the median is
    below a fifth of the data's. p below 0.001 (Mann-Whitney) in every case.
    ## Why it matters
    Noise shows that the sampler does not undo what training added: another schedule, another target (noise, velocity,
    picture), a missing scale. Softness shows an average of many answers.
    ## What to do
    Compare schedule, target and scaling of sampler and training; start the sampler from a real picture with little
    noise: it has to come back.
    ## When to ignore it
    The first samples of a training, which are noise in every run.
    ## Known limits
    Needs four samples and ten pictures of the data. Patterns of one pixel are read as noise.
    ## References
    - von Neumann 1941, Distribution of the ratio of the mean square successive difference to the variance.
    - Sampling with another target than trained: bghira/SimpleTuner#211.
    """
    series = max(samples.series, key=lambda s: len(s.last))
    own, data = _rough(series.last), _rough(samples.data)
    if len(own) < 4 or len(data) < 10:
        return Unsure(f"{len(own)} samples, {len(data)} pictures of the data", "keep 8 samples, and the data beside the run")  # fmt: skip
    here, there = float(np.median(own)), float(np.median(data))
    p = mann_whitney(own, data)
    noisy, blurred = here > noise and there < calm, here < soft * there
    if p > p_value or not (noisy or blurred):
        return None
    first = len({q.step for q in series.pictures}) < 2
    return _report(series, own, data, p, noisy=noisy, first=first)


def _rough(pictures: Sequence[Picture]) -> FloatArray:
    values = np.array([roughness(p.image) for p in pictures], np.float64)
    return values[np.isfinite(values)]


def _report(series: PictureSeries, own: FloatArray, data: FloatArray, p: float, *, noisy: bool, first: bool) -> Sick:
    here, there = float(np.median(own)), float(np.median(data))
    step = series.last[0].step
    when = f"{series.axis} {step:,.0f}" if step is not None else "the last samples"
    what = "are noise" if noisy else "are far softer than the data"
    return Sick(
        f"pictures of {when} {what}: neighbouring pixels differ by {here:.2g} of the variance (white noise: 1), in the data by {there:.2g}; n = {len(own)} and {len(data)}",
        evidence=(
            Measure("von Neumann's ratio of samples, median", round(here, 4), None, series.last[0].name),
            Measure("von Neumann's ratio of the data, median", round(there, 4), None, f"{len(data)} pictures"),
            Measure("p of the Mann-Whitney test", float(f"{p:.2g}"), None, f"{len(own)} samples"),
        ),
        since_step=step if series.axis == "step" else None,
        innocent="these are the first samples of the training" if noisy else "the samples were asked for plain scenes",
        actions=(
            Action("Compare what training predicts (noise, velocity or picture), its schedule and its scaling with the sampler's; start the sampler from"
                   " a real picture with a little noise: it has to come back", "minutes", "repair")
            if noisy
            else Action("Draw samples with more steps and without averaging of weights, and compare their detail with the data's", "minutes", "measure"),
        ),
        level=None if noisy and not first else "warning",
    )  # fmt: skip


def _noise(seed: int) -> made.Picture:
    return np.random.default_rng(seed).integers(0, 256, (48, 48, 3)).astype(np.uint8)


def _soft(seed: int) -> made.Picture:
    y, x = np.mgrid[:48, :48] / 48
    a, b = np.random.default_rng(seed).uniform(-1, 1, 2)
    return np.asarray(np.repeat((127 + 60 * (a * x + b * y))[..., None], 3, axis=2), np.uint8)


def sick() -> Iterator[Run]:
    """Noise after a thousand steps; noise at the only step; gradients where the data have edges."""
    data = made.pictures("data/train", [made.scene(i) for i in range(24)])
    early = made.pictures("samples/step_100", [_noise(50 + i) for i in range(6)])
    yield made.with_files(data | early | made.pictures("samples/step_9000", [_noise(i) for i in range(6)]))
    yield made.with_files(data | made.pictures("samples", [_noise(i) for i in range(6)]))
    yield made.with_files(data | made.pictures("samples/step_9000", [_soft(i) for i in range(8)]))


def healthy() -> Iterator[Run]:
    """Samples as detailed as the data; early noise that became pictures; data that are noise themselves."""
    data = made.pictures("data/train", [made.scene(i) for i in range(24)])
    good = made.pictures("samples/step_9000", [made.scene(90 + i) for i in range(6)])
    yield made.with_files(data | good)
    yield made.with_files(data | good | made.pictures("samples/step_100", [_noise(i) for i in range(6)]))
    rough = made.pictures("data/train", [_noise(100 + i) for i in range(24)])
    yield made.with_files(rough | made.pictures("samples/step_9000", [_noise(i) for i in range(6)]))
