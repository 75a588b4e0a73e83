"""LOSS123 at-marginals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.references import Marginals
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import guilty, num
from runvet.run import Stage


@rule("LOSS123", "at-marginals", level="critical", since="0.1", explains=("LOSS104", "LOSS108", "LOSS122", "GEN131"))
def at_marginals(
    marginals: Marginals,
    *,
    share: float = 0.95,  # of the entropy of the tokens that the loss must not come below
    gain: float = 0.1,  # of its level that a loss which still falls gains over its second half
    fewest: float = 4,
) -> Sick | Unsure | None:
    """The model has learnt how often each token occurs, and nothing else.

    ## What it checks
    The cross entropy of held-out data beside the entropy of the tokens' frequencies (`val/unigram_entropy`). A finding where
    the last half of the evaluations never comes below 95 % of that entropy and no longer falls.
    ## Why it matters
    That entropy is what one reaches without any input. It lies far below ln(vocabulary), so the curve looks as if the model
    had learnt a lot.
    ## What to do
    Check that context and conditions reach the model; lower the learning rate, above all with post-norm layers.
    ## When to ignore it
    Tokens that are independent of each other by construction.
    ## Known limits
    The entropy must be logged; it depends on the data, no setting tells it.
    ## References
    - Shannon 1951, Prediction and Entropy of Printed English.
    """
    loss, entropy = marginals.loss.finite(), marginals.entropy.finite()
    if len(loss) < fewest or not len(entropy):
        return Unsure(f"{marginals.loss.name} was measured {len(loss)} times", "evaluate at least four times")
    level = float(np.median(entropy.value))
    half = loss.value[len(loss) // 2 :]
    if level <= 0 or float(half.min()) < share * level:
        return None
    quarter = max(1, len(half) // 2)
    if float(np.median(half[:quarter]) - np.median(half[-quarter:])) > gain * float(np.median(half)):
        return Unsure(f"{loss.name} is above the entropy of the tokens, and still falls", "train longer")
    start = float(loss.x()[len(loss) // 2])
    last = float(np.median(half))
    return Sick(
        f"{loss.name} stays at {num(last)} nats over its second half (lowest {num(float(half.min()))}); the frequencies of the tokens alone reach"
        f" {num(level)} ({entropy.name})",
        (
            Measure(f"median of {loss.name}, second half", float(f"{last:.5g}"), "nats", loss.where(-1)),
            Measure(entropy.name, float(f"{level:.5g}"), "nats", entropy.where(-1)),
            Measure("ratio", round(last / level, 3)),
        ),
        since(loss, start),
        "the tokens are independent of each other by construction",
        (
            Action("Lower the learning rate tenfold and train for as many steps again", "a restart", "change"),
            Action("Shuffle the context: if the loss stays the same, the model does not use it", "minutes", "measure"),
        ),
        guilty(loss, start),
    )  # fmt: skip


def sick() -> Iterator[Stage]:
    """Flat at the entropy of the tokens, and a little above it."""
    for level in (2.55, 2.9):
        curve = level + 4 * np.exp(-np.arange(12.0))
        yield examples.stage(
            train_loss=examples.level(600, level), val__ce=curve, val__unigram_entropy=np.full(12, 2.544)
        )


def healthy() -> Iterator[Stage]:
    """Far below; passing through on its way down."""
    n = 600
    yield examples.stage(
        train_loss=examples.decay(n), val__ce=np.linspace(4, 1.2, 12), val__unigram_entropy=np.full(12, 2.5)
    )
    yield examples.stage(
        train_loss=examples.decay(n), val__ce=np.linspace(5, 2, 12), val__unigram_entropy=np.full(12, 2.5)
    )
