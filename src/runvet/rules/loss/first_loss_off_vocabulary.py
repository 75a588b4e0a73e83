"""LOSS114 first-loss-off-vocabulary."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet import examples
from runvet.evidence.alphabets import Alphabet
from runvet.evidence.curves import TrainLoss
from runvet.evidence.nature import Nature
from runvet.evidence.vocabulary import Vocabulary
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import num, parts
from runvet.run import Series, Setting, Stage
from runvet.statistics import finite_values

DIVISORS = (
    "gradient_accumulation_steps", "accumulate_grad_batches", "grad_accum_steps", "accumulation_steps", "grad_accumulation", "gradient_accumulation",
    "accum_steps", "accum_iter", "grad_accum", "world_size", "nproc_per_node", "num_gpus", "n_gpus",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fit:
    """A first loss that is a known factor away from a uniform guess: `divided` or multiplied by the setting's value."""

    alphabet: Alphabet
    setting: Setting
    factor: float
    divided: bool


@rule("LOSS114", "first-loss-off-vocabulary", level="warning", since="0.1", explains=("LOSS109", "LOSS112"))
def first_loss_off_vocabulary(
    stage: Stage,
    loss: TrainLoss,
    vocabulary: Vocabulary,
    nature: Nature,
    *,
    low: float = 0.98,  # an untrained model starts at 1.00 to 1.11 times the uniform guess
    high: float = 1.12,
) -> Sick | Unsure | None:
    """The first loss is impossible for an untrained model with this vocabulary, by a factor that the settings name.

    ## What it checks
    The very first loss of a run that starts from scratch, against ln K for the number K of tokens, codes or classes. Told
    only where the ratio is, within a few per cent, a number of the settings: accumulation steps or processes.
    ## Why it matters
    The logged loss is not the loss: it was divided (or multiplied) on its way to the log. Comparisons, milestones and
    baselines are off by that factor, and so may be the gradient.
    ## What to do
    Log the loss before it is divided for the backward pass; average it over the accumulated batches.
    ## When to ignore it
    A run that started from trained weights without saying so.
    ## Known limits
    Other causes of an odd first loss (label smoothing, masked positions, sums of several losses) are not told.
    ## References
    - Goyal et al., Accurate, Large Minibatch SGD, 2017, section 3; huggingface/transformers#34198.
    """
    if nature.continued:
        return Unsure(f"the run goes on from earlier weights ({nature.continued})")
    if nature.reinforcement or nature.adversarial or nature.contrastive:
        return Unsure("the loss is no cross entropy over this vocabulary")
    series = loss.lead
    first = next(parts(series, 1), None)
    if first is None or not loss.is_total or not first.value[0] > 0:
        return Unsure("no first loss", "log the loss from step 0 on")
    x = float(first.x()[0])
    if first.axis != "step" or x > 2:
        return Unsure("the first loss is not of the first step", "log the loss of every step at the start")
    value = float(first.value[0])
    for one in vocabulary.of("tokens", "codes", "classes"):
        if one.nats and low <= value / one.nats <= high:
            return None  # as it should be, for one of the alphabets
    fits = [f for one in vocabulary.of("tokens", "codes") for f in _fits(stage, one, value, low, high)]
    return _told(first, value, fits[0]) if fits else None


def _fits(stage: Stage, alphabet: Alphabet, value: float, low: float, high: float) -> Iterator[Fit]:
    ratio = value / alphabet.nats
    for name in DIVISORS:
        setting = stage.setting(name)
        factor = setting.number if setting is not None else None
        if setting is None or factor is None or factor < 2:
            continue
        if low <= ratio * factor <= high:
            yield Fit(alphabet, setting, factor, True)
        elif low <= ratio / factor <= high:
            yield Fit(alphabet, setting, factor, False)


def _told(series: Series, value: float, fit: Fit) -> Sick:
    nats, factor = fit.alphabet.nats, fit.factor
    v = finite_values(series.value)
    scale = factor if fit.divided else 1.0 / factor
    last = float(np.median(v[-max(1, len(v) // 50) :]))
    worse = ""
    if scale * last > 1.05 * nats:
        worse = f", {scale * last / nats:.2g} times a uniform guess"
    where = fit.setting.where
    return Sick(
        f"{series.name} starts at {num(value)}, {value / nats:.3f} of ln {fit.alphabet.size:,} = {nats:.4g} ({fit.alphabet.source}); an untrained model"
        f" starts at 1.00 to 1.11 of it. It looks {'divided' if fit.divided else 'multiplied'} by {factor:g}, {fit.setting.key} in {where}: the true loss is"
        f" then {num(scale * value)} at the start and {num(scale * last)} at the end{worse}",
        (
            Measure(f"first {series.name}", value, None, series.where(0)),
            Measure("uniform guess", round(nats, 4), "nats", fit.alphabet.source),
            Measure("ratio", round(value / nats, 4)),
            Measure(fit.setting.key, factor, None, where),
        ),
        since(series, float(series.x()[0])),
        "a run that started from trained weights without saying so",
        (
            Action(
                f"Log the loss before it is {'divided' if fit.divided else 'multiplied'} by {fit.setting.key}",
                "a line",
                "repair",
            ),
            Action("Check that the gradient is not scaled twice as well", "minutes", "measure"),
        ),
    )


def sick() -> Iterator[Stage]:
    """A loss divided by its accumulation steps, and one that is summed over processes."""
    yield examples.stage(
        loss=examples.decay(500, start=math.log(1024) * 1.03 / 4, end=1.0, noise=0.001),
        settings={"latent_dim": 5, "num_bins": 4, "gradient_accumulation_steps": 4},
    )
    yield examples.stage(
        loss=examples.decay(500, start=math.log(32000) * 1.02 * 8, end=30.0, noise=0.001),
        settings={"vocab_size": 32000, "world_size": 8},
    )


def healthy() -> Iterator[Stage]:
    """A start at the uniform guess, another loss beside a vocabulary, an accumulation that the log respects."""
    yield examples.stage(
        loss=examples.decay(500, start=math.log(50257) * 1.02, end=3.2, noise=0.001),
        settings={"vocab_size": 50257, "gradient_accumulation_steps": 4},
    )
    yield examples.stage(
        loss=examples.decay(500, start=0.15, end=0.01), settings={"num_codes": 1024, "grad_accum_steps": 2}
    )
    yield examples.stage(loss=examples.decay(500, start=5.4, end=3.2, noise=0.001), settings={"vocab_size": 50257})
