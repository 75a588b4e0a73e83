"""LR102 missing-warmup-spike."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import LearningRate, TrainLoss
from runvet.evidence.nature import Nature
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num, place, since, span
from runvet.run import Stage
from runvet.statistics import noise

FEWEST = 100  # points of the loss
HEAD = 3  # points that tell the level at the very start
EARLY, LONGEST = 0.1, 200  # the start: this share of the points, at most so many
FULL = 0.5  # of the highest rate: from here on a rate is full


@rule("LR102", "missing-warmup-spike", level="warning", since="0.1")
def missing_warmup_spike(
    loss: TrainLoss, rates: LearningRate, nature: Nature, *, times: float = 2.5, sigmas: float = 8.0
) -> Sick | Unsure | None:
    """The loss shoots up in the first steps, at the full learning rate.

    ## What it checks
    The first tenth of the points of a run that starts at its first step with at least half of its highest learning
    rate: whether the loss climbs (running median of five) to more than `times` its first level and more than
    `sigmas` times the noise around it. Reinforcement learning and adversarial training are left alone, as are losses
    that are not positive.
    ## Why it matters
    The first updates of an adaptive optimiser are too large without a warm-up; they destroy pretrained weights and
    good initialisations, and the run needs long to come back, if it does.
    ## What to do
    Warm the learning rate up over a few hundred steps, or lower it.
    ## When to ignore it
    A loss term is switched on or ramped up in these steps.
    ## Known limits
    Needs loss and learning rate from the first steps on.
    ## References
    - Catalogue of failures, optimisation: no warm-up.
    """
    if nature.reinforcement or nature.adversarial:
        return None
    part, rate = next(loss.lead.segments()).finite(), next(rates.lead.segments()).finite()
    if len(part) < FEWEST or len(rate) < HEAD:
        return Unsure("too few points at the start", "log loss and lr at every step")
    x, v = part.x(), part.value
    if (part.axis == "step" and x[0] > 0.02 * x[-1]) or part.axis != rate.axis:
        return Unsure("the log does not hold the first steps", "log loss and lr from the first step on")
    head = min(max(20, int(EARLY * len(v))), LONGEST)
    if rate.value[0] < FULL * rate.value.max() or v.min() <= 0:
        return None
    smooth = np.array([np.median(v[i : i + 5]) for i in range(head - 4)])
    first, top = float(np.median(v[:HEAD])), int(np.argmax(smooth))
    peak = float(smooth[top])
    after = noise(v[top : top + 3 * head])
    if peak <= times * first or peak - first <= sigmas * after or peak <= times * float(np.median(v[-head:])):
        return None
    return Sick(
        f"{part.name} climbs from {num(first)} to {num(peak)} by {place(part.axis, float(x[top]))} while {rate.name} is"
        f" {num(float(rate.value[0]))} from the first point on",
        evidence=(
            Measure(f"first {part.name}", first, None, part.where(0)),
            Measure(f"highest {part.name} (median of 5)", peak, None, part.where(top)),
            Measure(f"first {rate.name}", float(rate.value[0]), None, rate.where(0)),
        ),
        since_step=since(part, float(x[top])),
        innocent="a loss term is switched on or ramped up in these steps",
        actions=(
            Action(
                f"Warm {rate.name} up to {num(float(rate.value.max()))} over a few hundred steps, or lower it", "config"
            ),
        ),
        window=span(part, float(x[0]), float(x[min(head, len(x) - 1)])),
    )


def _start(size: float, n: int = 2000) -> Stage:
    bump = size * np.exp(-(((np.arange(n) - 40) / 25.0) ** 2))
    return examples.stage(loss=examples.decay(n) + bump, lr=examples.cosine(n, warmup=0.0))


def sick() -> Iterator[Stage]:
    """From 4 to 14 in 40 steps; from a good start to a bad one."""
    yield _start(14.0)
    good = examples.decay(2000, start=0.4, end=0.3, noise=0.1) + 3.0 * np.exp(-(((np.arange(2000) - 60) / 40.0) ** 2))
    yield examples.stage(loss=good, lr=1e-3)


def healthy() -> Iterator[Stage]:
    """No climb, a climb with warm-up, heavy-tailed losses, and one bad batch."""
    yield _start(0.0)
    bump = 14.0 * np.exp(-(((np.arange(2000) - 40) / 25.0) ** 2))
    yield examples.stage(loss=examples.decay(2000) + bump, lr=examples.cosine(2000, warmup=0.1))
    heavy = examples.decay(2000) * (1 + 0.3 * np.abs(np.random.default_rng(2).standard_t(2, 2000)))
    yield examples.stage(loss=heavy, lr=1e-3)
    once = examples.decay(2000)
    once[30] = 60.0
    yield examples.stage(loss=once, lr=1e-3)
