"""PAR114 input-holds-answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num
from runvet.run import Series, Stage

_COPY = re.compile(
    r"(?i)cop(?:y|ying|ied)_?(?:of_?)?(?:the_?)?inputs?|input_?cop(?:y|ied)|identity_?(?:baseline|accuracy|right)|(?:argmax|largest)_?(?:of_?)?(?:the_?)?input"
)


@rule(
    "PAR114",
    "input-holds-answer",
    level="critical",
    since="0.1",
    explains=("GEN101", "GEN102", "GEN105", "GEN109", "DATA106"),
)
def input_holds_answer(
    stage: Stage, loss: TrainLoss | None, *, nearly: float = 0.999, points: float = 5
) -> Sick | Unsure | None:
    """Copying the noisy input solves the task: it still holds the answer.

    ## What it checks
    A logged rate at which the input itself is the answer (`copying_input_right`, `identity_accuracy` …) of a model
    that is trained to denoise: critical where its median over the run is above 0.999.
    ## Why it matters
    Where a state should have been drawn from a distribution, the distribution itself was fed: its largest entry is
    the answer at every noise level. Loss and accuracy become excellent, the model learns to copy, and in sampling,
    where there is nothing to copy, it has never learnt to generate.
    ## What to do
    Draw the noisy state; check that the rate falls towards chance as the noise grows.
    ## When to ignore it
    A model of hardly any noise, such as one that only repairs.
    ## Known limits
    The rate has to be logged; it needs no model: one line of code.
    ## References
    - Austin et al. 2021, Structured denoising diffusion models in discrete state spaces, arXiv 2107.03006.
    """
    measured = False
    for series in stage.series:
        known = series.finite()
        if len(known) < points or not _COPY.search(re.sub(r"[^A-Za-z]+", "_", series.name)):
            continue
        measured, middle = True, float(np.median(known.value))
        if middle >= nearly and float(known.value.max()) <= 1.0 + 1e-6:
            return _report(series, known, middle, loss)
    return None if measured else Unsure("how often a copy of the input is right is not measured", applicable=False)


def _report(series: Series, known: Series, middle: float, loss: TrainLoss | None) -> Sick:
    beside = (
        f", beside {loss.lead.name} {num(float(loss.lead.finite().last))}"
        if loss is not None and len(loss.lead.finite())
        else ""
    )
    return Sick(
        f"copying the input is right in {middle:.4%} of the cells ({series.name}, {len(known)} points){beside}: the input holds the answer",
        evidence=(
            Measure(f"{series.name}, median", round(middle, 6), None, series.where(len(series) - 1)),
            Measure(f"{series.name}, lowest", round(float(known.value.min()), 6)),
        ),
        innocent="the model is only meant to repair inputs with hardly any noise",
        actions=(
            Action(
                "Feed the model a state that is drawn from the noisy distribution, not the distribution itself, and train again; loss and accuracy so far say nothing",
                "a restart",
                "stop",
            ),
        ),
    )


def sick() -> Iterator[Stage]:
    """A rate of 1 all the time, under two names."""
    yield examples.stage(loss=examples.decay(300), train__copying_input_right=np.full(60, 1.0))
    yield examples.stage(loss=examples.decay(300), identity_baseline=np.linspace(0.9995, 1.0, 40))


def healthy() -> Iterator[Stage]:
    """A rate as of drawn states; a share of copied words; a rate that is high at the start only."""
    rng = np.random.default_rng(0)
    yield examples.stage(loss=examples.decay(300), train__copying_input_right=0.5 + 0.02 * rng.standard_normal(60))
    honest = 0.4 + 0.02 * rng.standard_normal(60)
    yield examples.stage(loss=examples.decay(300), copied_words=np.full(60, 1.0), train__copying_input_right=honest)
    yield examples.stage(loss=examples.decay(300), identity_accuracy=np.linspace(1.0, 0.3, 60))
