"""LOSS115 implausibly-low-loss."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss, ValLoss
from runvet.evidence.nature import Nature
from runvet.evidence.vocabulary import Vocabulary
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import guilty, last_part, num, parts, place
from runvet.run import FloatArray, Stage

LANGUAGE = re.compile(
    r"(?<![a-z])(?:gpt|llm|lm|slm|llama|bert|t5|token|tokens|tok|vocab|bpb|ppl|perplexity|fineweb|openwebtext|wikitext|transformer)(?![a-z])",
    re.IGNORECASE,
)
USUAL = (30_000, 30_522, 32_000, 50_257, 50_304, 65_536, 100_277, 128_256, 151_936, 256_000)


@rule("LOSS115", "implausibly-low-loss", level="critical", since="0.1", explains=("LOSS101", "LOSS102", "LOSS103"))
def implausibly_low_loss(
    stage: Stage,
    loss: TrainLoss,
    nature: Nature,
    val: ValLoss | None,
    vocabulary: Vocabulary | None,
    *,
    nats: float = 0.2,  # per token: the best models of natural text are above 1, of code above 0.5
    early: float = 0.2,  # share of the run within which the loss is there
) -> Sick | Unsure | None:
    """The loss of a language model falls to almost nothing, on validation data as well.

    ## What it checks
    Runs that start at ln V for a vocabulary of at least 5,000 tokens (named by the settings, or a usual size where the log speaks of a
    language model): the training loss is below 0.2 nats within the first fifth of the run, and so is the validation loss.
    ## Why it matters
    No text can be predicted so well. The target is part of the input: no causal mask, targets that were not shifted, or an
    objective that copies what it sees.
    ## What to do
    Change one future token and look whether earlier predictions change. Sample from the model.
    ## When to ignore it
    Synthetic data that really are deterministic.
    ## Known limits
    Without a validation loss, memorising a small text looks the same and is not told.
    ## References
    - Shannon, Prediction and Entropy of Printed English, 1951.
    """
    if nature.reinforcement or nature.adversarial:
        return Unsure("not a language model's loss")
    if val is None:
        return Unsure("no validation loss", "log val/loss at every evaluation")
    first = next(parts(loss.lead, 20), None)
    held = last_part(val.lead, 2)
    if first is None or held is None or not loss.is_total:
        return Unsure("too few losses", "log train and validation loss")
    start = float(first.value[0])
    told = _vocabulary(stage, start, vocabulary)
    if not told:
        return None
    v, x = first.value, first.x()
    low = np.flatnonzero(_running(v) < nats)
    if not len(low) or low[0] > early * len(v) or float(np.median(held.value[-max(1, len(held) // 2) :])) > nats:
        return None
    end = float(np.median(v[-max(1, len(v) // 10) :]))
    if end > 2 * nats:
        return None
    at = float(x[low[0]])
    return Sick(
        f"{first.name} falls from {num(start)} ({told}) below {nats:g} nats by {place(first, at)}, and {held.name} is {num(float(held.value[-1]))}:"
        " no text can be predicted so well; the target leaks into the input, or the objective is trivial",
        (
            Measure(f"first {first.name}", start, "nats", first.where(0)),
            Measure(f"{first.name} at the end", round(end, 6), "nats", first.where(len(first) - 1)),
            Measure(f"last {held.name}", float(held.value[-1]), "nats", held.where(len(held) - 1)),
        ),
        since(first, at),
        "synthetic data that are deterministic",
        (
            Action("Stop the run", "now, free", "stop"),
            Action("Change one later token: no earlier prediction may change", "minutes", "measure"),
            Action(
                "Check the causal mask, the shift of the targets and which positions the loss counts",
                "minutes",
                "repair",
            ),
        ),
        guilty(first, at),
    )


def _running(v: FloatArray) -> FloatArray:
    """Medians of five neighbours, so that one lucky batch does not count."""
    if len(v) < 5:
        return v
    windows = np.lib.stride_tricks.sliding_window_view(v[: min(len(v), 200_000)], 5)
    return np.asarray(np.median(windows, axis=1))


def _vocabulary(stage: Stage, start: float, vocabulary: Vocabulary | None) -> str:
    """What says that the start is a uniform guess over tokens, or an empty string."""
    for one in vocabulary.of("tokens") if vocabulary else ():
        if one.size >= 5000 and 0.97 <= start / one.nats <= 1.15:
            return f"ln {one.size:,} = {one.nats:.4g}"
    near = next((size for size in USUAL if abs(start - math.log(size)) < 0.02 * math.log(size)), None)
    if near is None:
        return ""
    told = [stage.name, stage.run, *(log.source for log in stage.logs), *(s.name for s in stage.series)]
    told += [f"{s.key} {s.value}" for s in stage.settings] + [e.text for e in stage.events[:300]]
    spoken = any(LANGUAGE.search(text.replace("_", " ")) for text in told)
    return f"a uniform guess among some {near:,} tokens" if spoken else ""


def sick() -> Iterator[Stage]:
    """A model that sees its targets."""
    n = 2000
    leak = 10.8 * np.exp(-np.arange(n) / 20) + 0.03 * examples.level(n, 1, noise=0.1)
    yield examples.stage(train_loss=leak, val_loss=[0.02, 0.025, 0.03, 0.01], settings={"vocab_size": 50304})
    yield examples.stage(train_loss=leak, val_loss=[10.8, 0.025, 0.03, 0.01], name="gpt_small")


def healthy() -> Iterator[Stage]:
    """An honest language model, one that memorises, a regression that starts by chance where a vocabulary would."""
    yield examples.stage(
        train_loss=examples.decay(2000, start=10.8, end=3.2), val_loss=[4.1, 3.6, 3.3], settings={"vocab_size": 50304}
    )
    fit = 10.8 * np.exp(-np.arange(2000) / 20) + 0.03 * examples.level(2000, 1, noise=0.1)
    yield examples.stage(train_loss=fit, val_loss=[5.2, 6.4, 7.3], settings={"vocab_size": 50304})
    yield examples.stage(train_loss=fit, val_loss=[0.2, 0.1, 0.04], name="pose_regression")
