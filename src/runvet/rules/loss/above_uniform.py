"""LOSS121 above-uniform."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss
from runvet.evidence.nature import Nature
from runvet.evidence.vocabulary import Vocabulary
from runvet.rules import BACK, Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import guilty, num, parts, place
from runvet.rules.loss.first_loss_off_vocabulary import DIVISORS
from runvet.run import Series, Stage
from runvet.statistics import finite_values


@rule("LOSS121", "above-uniform", level="critical", since="0.1", explains=("LOSS104", "LOSS112"))
def above_uniform(
    stage: Stage,
    loss: TrainLoss,
    vocabulary: Vocabulary,
    nature: Nature,
    *,
    low: float = 0.98,  # an untrained model starts at 1.00 to 1.11 times the uniform guess
    high: float = 1.12,
    worse: float = 1.15,  # times the uniform guess at the end
) -> Sick | Unsure | None:
    """The loss ends above that of a uniform guess: the model is confident and wrong.

    ## What it checks
    A loss over tokens or codes that begins at ln K, as an untrained model does (also after multiplication by the number of
    accumulation steps or processes that the settings name): the median of its last tenth against ln K.
    ## Why it matters
    A model that knows nothing is at ln K. Above it, the weights have left the range in which training works: no later step
    of this run will bring them back, and every checkpoint since is worse than none.
    ## What to do
    Go back to the lowest point, lower the learning rate, look at norms and the warm-up.
    ## When to ignore it
    Never seen in a sound run.
    ## Known limits
    Only for losses whose beginning shows that they are a cross entropy over the vocabulary that the settings name.
    ## References
    - Zhang et al. 2022, OPT, arXiv 2205.01068 (divergence and restarts); Wortsman et al. 2023, arXiv 2309.14322.
    """
    if nature.continued or nature.reinforcement or nature.adversarial or nature.contrastive or not loss.is_total:
        return Unsure("the loss does not begin untrained, or is no cross entropy over this vocabulary")
    series = loss.lead
    first = next(parts(series, 20), None)
    if first is None or not float(first.x()[0]) <= 2 or first.axis != "step":
        return Unsure("the first loss is not of the first step", "log the loss of every step at the start")
    last = list(parts(series, 20))[-1]
    level = float(np.median(finite_values(last.value)[-max(5, len(last) // 10) :]))
    for one in vocabulary.of("tokens", "codes"):
        for factor, key in ((1.0, ""), *_factors(stage)):
            ratio = factor * float(first.value[0]) / one.nats
            if low <= ratio <= high:
                if factor * level < worse * one.nats:
                    return None
                return _told(last, one.nats, one.source, factor, key, level)
    return None


def _factors(stage: Stage) -> Iterator[tuple[float, str]]:
    for name in DIVISORS:
        setting = stage.setting(name)
        if setting is not None and (value := setting.number) is not None and value >= 2:
            yield value, setting.key


def _told(series: Series, nats: float, source: str, factor: float, key: str, level: float) -> Sick:
    values, x = series.value * factor, series.x()
    lowest = int(np.nanargmin(values))
    above = np.flatnonzero(values[lowest:] > nats)
    start = float(x[lowest + int(above[0])]) if len(above) else float(x[lowest])
    scaled = f" (logged {num(level)} times {factor:g}, {key})" if key else ""
    return Sick(
        f"{series.name} ends at {num(factor * level)}{scaled}, {factor * level / nats:.2g} times the {nats:.4g} nats of a uniform guess ({source});"
        f" its lowest was {num(float(values[lowest]))} at {place(series, float(x[lowest]))}",
        (
            Measure(f"median of the last tenth of {series.name}", float(f"{factor * level:.5g}"), "nats", series.where(-1)),
            Measure("uniform guess", round(nats, 4), "nats", source),
            Measure("lowest", float(f"{values[lowest]:.5g}"), "nats", series.where(lowest)),
        ),
        since(series, start),
        "the loss holds other terms that grow by design",
        (
            Action(f"Go back to the last checkpoint before {place(series, start)}", BACK, "keep"),
            Action("Lower the peak learning rate tenfold, with norms before each layer and at the end", "a restart", "change"),
        ),
        guilty(series, start),
    )  # fmt: skip


def sick() -> Iterator[Stage]:
    """Falls, then climbs past the uniform guess; the same in a log that is divided by the accumulation."""
    base = examples.decay(800, start=math.log(1024) * 1.02, end=3.0, noise=0.002)
    curve = base + examples.rise(800, at=0.4, size=9.0)
    yield examples.stage(loss=curve, settings={"codebook_size": 1024})
    yield examples.stage(loss=curve / 4, settings={"num_codes": 1024, "gradient_accumulation_steps": 4})


def healthy() -> Iterator[Stage]:
    """Falls and stays; rises a little below the uniform guess; another loss."""
    good = examples.decay(800, start=math.log(1024) * 1.02, end=3.0, noise=0.002)
    yield examples.stage(loss=good, settings={"codebook_size": 1024})
    yield examples.stage(loss=good / 4, settings={"codebook_size": 1024, "gradient_accumulation_steps": 4})
    yield examples.stage(loss=examples.decay(800, start=0.2, end=0.02), settings={"codebook_size": 1024})
