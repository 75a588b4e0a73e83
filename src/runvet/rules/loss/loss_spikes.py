"""LOSS103 loss-spikes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss
from runvet.evidence.nature import Nature
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import guilty, num, parts, place
from runvet.run import Stage
from runvet.statistics import spikes


@rule("LOSS103", "loss-spikes", level="warning", since="0.1", explains=("LOSS119",))
def loss_spikes(
    loss: TrainLoss,
    nature: Nature,
    *,
    rate: float = 0.005,  # of the points: single spikes happen in sound runs
    fewest: float = 8.0,  # spikes, so that short logs are not judged by a few
    single: float = 0.02,  # of the points, where each spike is a single one: a hard batch that leaves no trace
) -> Sick | Unsure | None:
    """The training loss spikes often, or a spike is not over.

    ## What it checks
    Points that exceed the 128 before them by 6 robust deviations, a factor of 2 and the usual upper tail, all at
    once. Told when they are more than 0.5 % of all points (2 % where each is over at the next point) and at least eight.
    ## Why it matters
    Each spike throws the optimiser's averages off, and steps are lost until the loss is back.
    ## What to do
    Look at the batches there; clip the gradient norm, lower the learning rate or Adam's beta2.
    ## When to ignore it
    Losses of single samples, whose difficulty differs by nature.
    ## Known limits
    Logs that were averaged over many steps hide spikes. Reinforcement learning and adversaries are not judged.
    ## References
    - Takase et al., Spike No More, arXiv 2312.16903; karpathy/llm.c#637; facebookresearch/metaseq#521.
    """
    if nature.reinforcement or nature.adversarial:
        return Unsure("losses of reinforcement learning and of adversaries spike in healthy runs")
    if not loss.is_total:
        return Unsure("only terms of the loss are logged", "log the total loss")
    for part in parts(loss.lead, 200):
        found = spikes(part.value)
        if found.rate <= (single if found.longest <= 1 else rate) or len(found.indices) < fewest:
            continue
        x, at = part.x(), found.indices
        worst = int(at[np.argmax(part.value[at])])
        return Sick(
            f"{part.name} spikes {len(at)} times in {len(part):,} points ({found.rate:.1%}), worst to {num(float(part.value[worst]))} at"
            f" {place(part, float(x[worst]))}; the slowest took {found.longest} points to come back",
            (
                Measure("spikes", len(at), f"of {len(part)} points", part.where(int(at[0]))),
                Measure("worst value", float(part.value[worst]), None, part.where(worst)),
                Measure("longest recovery", found.longest, "points"),
            ),
            since(part, float(x[at[0]])),
            "losses of single samples or tiny batches, which differ by nature",
            (
                Action(f"Look at the batches around {place(part, float(x[worst]))}", "minutes", "measure"),
                Action("Clip the gradient norm or lower the learning rate", "config", "change"),
            ),
            guilty(part, float(x[at[0]]), float(x[at[-1]])),
        )
    return None


def sick() -> Iterator[Stage]:
    """A loss that is thrown off every hundred steps, positive or not."""
    thrown = np.where(np.arange(3000) > 200, np.exp(-((np.arange(3000) - 200) % 150) / 3.0), 0.0)
    spiky = examples.decay(3000) * (1 + 5 * thrown)
    yield examples.stage(loss=spiky)
    low = examples.decay(3000, noise=0.02) - 5 + 12 * thrown
    yield examples.stage(loss=low)


def healthy() -> Iterator[Stage]:
    """Heavy tails, one spike, plain noise."""
    yield examples.stage(loss=examples.decay(3000) * np.exp(0.6 * np.random.default_rng(0).standard_normal(3000)))
    one = examples.decay(3000)
    one[1500] *= 9
    yield examples.stage(loss=one)
    yield examples.stage(loss=examples.decay(3000, noise=0.3))
