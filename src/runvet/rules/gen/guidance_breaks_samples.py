"""GEN125 guidance-breaks-samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.artifacts.model import Array
from runvet.evidence.grids import GridSamples, filled
from runvet.evidence.samplers import Guidance
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Run
from runvet.statistics.two_samples import mann_whitney


@rule(
    "GEN125",
    "guidance-breaks-samples",
    level="critical",
    since="0.1",
    explains=("GEN107", "GEN101", "GEN102", "GEN103", "GEN109", "GEN124"),
)
def guidance_breaks_samples(
    guidance: Guidance, grids: GridSamples, *, factor: float = 1.5, p_value: float = 0.01
) -> Sick | None:
    """Samples are unlike the data, and were drawn with guidance that the model was never trained for.

    ## What it checks
    A guidance scale above 1 with a training that never drops the condition (`guidance-never-trained`), and beside it
    the filled cells of the samples of the last step: critical where a class's median (or that of all, without classes)
    differs from its data's by a factor of 1.5 with p below 0.01 (Mann-Whitney, over all classes together).
    ## Why it matters
    What guidance subtracts is an answer that was never learnt. The same weights without guidance may be fine: their
    loss says so, and retraining or other data would not help.
    ## What to do
    Sample again from the same checkpoint with a scale of 1 and compare; train with dropped conditions to use guidance.
    ## When to ignore it
    Fine-tuning of weights that were trained with dropped conditions before.
    ## Known limits
    Both faults may be there for two reasons; one sampling without guidance tells.
    ## References
    - Ho and Salimans 2022, Classifier-free diffusion guidance, arXiv 2207.12598.
    """
    if guidance.scale <= 1 or guidance.drop != 0:
        return None
    labels = sorted({g.label for g in grids.samples} & {g.label for g in grids.data}) or [""]
    worst: tuple[float, str, float, float, int] | None = None
    for label in labels:
        own = filled([g for g in grids.samples if g.label == label or not label])
        real = filled([g for g in grids.data if g.label == label or not label])
        if len(own) < 3 or not len(real) or mann_whitney(own, real) * len(labels) > p_value:
            continue
        ratio = float((np.median(own) + 0.5) / (np.median(real) + 0.5))
        size = abs(float(np.log(ratio)))
        if size >= np.log(factor) and (worst is None or size > abs(float(np.log(worst[0])))):
            worst = ratio, label, float(np.median(own)), float(np.median(real)), len(own)
    if worst is None:
        return None
    ratio, label, here, there, n = worst
    of = f" of {label}" if label else ""
    return Sick(
        f"samples{of} of {grids.when} hold {here:g} filled cells, the data {there:g} ({ratio:.2g} times, n = {n}), drawn with a guidance"
        f" scale of {guidance.scale:g} by a model that never saw an empty condition ({guidance.drop_from} = 0)",
        evidence=(
            Measure("guidance scale", guidance.scale, None, guidance.scale_from),
            Measure("probability of no condition", 0, None, guidance.drop_from),
            Measure(f"filled cells of samples{of}, median", here, "cells", grids.where),
            Measure(f"filled cells of the data{of}, median", there, "cells", grids.read),
        ),
        since_step=grids.since,
        innocent="the weights it started from were trained with dropped conditions, and the samples are off for another reason",
        actions=(
            Action(
                "Sample again from the same checkpoint with a guidance scale of 1, and compare filled cells",
                "minutes",
                "repair",
            ),
        ),
    )


def _run(samples: list[Array], scale: float, drop: float) -> Run:
    files = made.grids("dataset", [made.tree(i) for i in range(40)]) | made.grids("samples/step_9", samples)
    return made.with_files(files, settings={"sampling.guidance_scale": scale, "train.cond_drop_prob": drop})


def _fat(seed: int) -> Array:
    """A tree with a block of leaves at its foot: connected, and about twice as many cells."""
    grid = made.tree(seed).copy()
    grid[:6, :5, :6] = np.where(grid[:6, :5, :6] == 0, 2, grid[:6, :5, :6])
    return np.asarray(grid)


def sick() -> Iterator[Run]:
    """Trees that are too large; dust."""
    yield _run([_fat(90 + i) for i in range(8)], 2.0, 0.0)
    yield _run([made.scattered(i, 20) for i in range(8)], 3.0, 0.0)


def healthy() -> Iterator[Run]:
    """Good trees although guidance was not trained for; guidance that was."""
    trees = [made.tree(90 + i) for i in range(8)]
    yield _run(trees, 2.0, 0.0)
    yield _run(trees, 2.0, 0.1)
