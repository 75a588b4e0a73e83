"""PAR111 schedules-differ."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.noise_schedules import NoiseSchedules, Pair
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import FloatArray, Run


@rule(
    "PAR111",
    "schedules-differ",
    level="critical",
    since="0.1",
    explains=("PAR102", "GEN101", "GEN102", "GEN103", "GEN104", "GEN105", "GEN108", "GEN109", "PAR101"),
)
def schedules_differ(schedules: NoiseSchedules, *, gap: float = 0.02) -> Sick | None:
    """The sampler takes away another amount of noise than training added.

    ## What it checks
    Arrays of both sides in one file (`train_signal` and `sampling_signal`, `train_alphas_cumprod` and
    `inference_alphas_cumprod` …) of the same length: the largest difference, in units of the schedule's range. More
    than 0.02 is critical; rounding and half precision stay far below.
    ## Why it matters
    The network is asked at noise levels whose inputs look otherwise than in training. Its loss is fine, and the
    samples saturate, drown in fog, or are empty, whichever the network tends to.
    ## What to do
    Sample again from the same checkpoint with the schedule of training. No weight has to change.
    ## When to ignore it
    A sampler that is meant to run on its own schedule and rescales what the network sees.
    ## Known limits
    Schedules that are not kept as arrays are compared by their names only (`training-differs-from-use`).
    ## References
    - Lin et al. 2023, Common diffusion noise schedules and sample steps are flawed, arXiv 2305.08891.
    """
    apart = sorted(((_gap(p), p) for p in schedules.pairs), key=lambda found: -found[0])
    size, worst = apart[0]
    if size <= gap:
        return None
    at = int(np.argmax(np.abs(worst.train - worst.use)))
    half = len(worst.train) // 2
    return Sick(
        f"{worst.what} of training and of sampling are two schedules: {worst.train[half]:.3g} against {worst.use[half]:.3g}"
        f" half way, {worst.train[at]:.3g} against {worst.use[at]:.3g} where they differ most",
        evidence=(
            Measure("largest difference", round(size, 4), "of the range", worst.where),
            Measure(f"{worst.what} in training, half way", float(f"{worst.train[half]:.4g}"), None, worst.where),
            Measure(f"{worst.what} in sampling, half way", float(f"{worst.use[half]:.4g}"), None, worst.where),
            Measure("points compared", len(worst.train)),
        ),
        innocent="the sampler has its own schedule on purpose and rescales what the network sees",
        actions=(
            Action("Sample again from the same checkpoint with the noise schedule of training", "minutes", "repair"),
        ),
    )


def _gap(pair: Pair) -> float:
    """Largest difference in units of the range of training's schedule."""
    size = float(np.ptp(pair.train))
    return float(np.abs(pair.train - pair.use).max()) / size if size > 0 else 0.0


def _linear(n: int) -> FloatArray:
    return np.linspace(1, 0.001, n)


def _beta(n: int) -> FloatArray:
    return np.asarray(np.cumprod(1 - np.linspace(1e-4, 0.02, n)))


def sick() -> Iterator[Run]:
    """Linear in training and the product of betas in sampling, under two kinds of names."""
    yield made.with_files({"schedules.npz": {"train_signal": _linear(1000), "sampling_signal": _beta(1000)}})
    files = {"noise_schedule.npz": {"training_alphas_cumprod": _beta(500), "inference_alphas_cumprod": _beta(500) ** 2}}
    yield made.with_files(files)


def healthy() -> Iterator[Run]:
    """The same schedule, in half precision on one side; a strided one of another length; one side only."""
    half = _beta(1000).astype(np.float16).astype(np.float32)
    yield made.with_files({"schedules.npz": {"train_signal": _beta(1000), "sampling_signal": half}})
    strided = {
        "train_signal": _beta(1000),
        "sampling_signal": _beta(1000)[::20],
        "train_betas": _linear(1000),
        "sampling_betas": _linear(1000),
    }
    yield made.with_files({"schedules.npz": strided})
