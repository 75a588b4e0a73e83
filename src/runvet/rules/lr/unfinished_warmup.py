"""LR107 unfinished-warmup."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import LearningRate
from runvet.evidence.events import Events, Plan
from runvet.evidence.settings import name_of, place_of
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num, percent, place, since, span
from runvet.run import Series, Setting, Stage

FEWEST = 10  # points of the learning rate
TRIAL = 100  # steps; what is shorter tries whether the program runs
COMPLETE = 0.95  # of the plan
WARMUPS = frozenset({
    "warmup_steps", "num_warmup_steps", "lr_warmup_steps", "n_warmup_steps", "warmup_num_steps", "warmup_iters",
    "lr_warmup_iters", "warmup_updates", "warmup_iterations", "num_warmup_updates", "warmup_step", "warmup",
    "warmup_epochs", "lr_warmup_epochs", "num_warmup_epochs",
})  # fmt: skip
RATES = frozenset({"learning_rate", "lr", "peak_lr", "max_lr", "base_lr", "peak_learning_rate", "max_learning_rate"})


@rule("LR107", "unfinished-warmup", level="warning", since="0.1")
def unfinished_warmup(
    stage: Stage, rates: LearningRate, plan: Plan | None, events: Events, *, reached: float = 0.9
) -> Sick | Unsure | None:
    """The whole run is warm-up: the learning rate never gets to its peak.

    ## What it checks
    A learning rate that never falls and still rises at the last point, together with a warm-up in the settings that is
    as long as the planned run or longer; or, where the run is complete, one that is longer than the run, or a peak in
    the settings of which less than `reached` was seen. A run that is on its way through a shorter warm-up is fine, and
    so is a trial of fewer than 100 steps.
    ## Why it matters
    The model is trained at a fraction of the rate that was asked for, and without the decay in which most of the
    quality comes. It looks like a slow model, and nothing but the learning rate shows it.
    ## What to do
    Set the warm-up to a few per cent of the planned optimiser steps (counted after gradient accumulation), and train
    again, or go on with the schedule set right.
    ## When to ignore it
    The run was meant to find the largest stable rate.
    ## Known limits
    Needs a logged learning rate, and the warm-up's length or the peak in the settings.
    ## References
    - Failure reports: Morizeyao/GPT2-Chinese#60, gaoyixu/CAIL2020-Argument-Mining#1.
    """
    part = max((p.finite() for p in rates.lead.segments()), key=lambda p: float(p.x()[-1]) if len(p) else -1.0)
    if len(part) < FEWEST or not _rising(part):
        return None
    warmup = next((s for s in stage.settings if name_of(s) in WARMUPS and (s.number or 0) > 1), None)
    unit = "epoch" if warmup is not None and "epoch" in name_of(warmup) else "step"
    made = _made(part, unit)
    planned = None if plan is None else plan.epochs if unit == "epoch" else plan.steps
    if (unit == "step" and max(made or 0.0, planned or 0.0) < TRIAL) or made is None:
        return None
    length = None if warmup is None else warmup.number
    complete = _complete(part, plan) or bool(events.of("finished"))
    top = float(part.value[-1])
    peak = next((s for s in stage.settings if name_of(s) in RATES and (s.number or 0) > 0), None)
    low = peak is not None and peak.number is not None and top < reached * peak.number
    if length is not None and planned is not None and length >= planned:
        why = f"the warm-up takes {num(length)} {unit}s and the run has {num(planned)}"
    elif complete and length is not None and length >= made:
        why = f"the warm-up takes {num(length)} {unit}s and the run had {num(made)}"
    elif complete and low and length is None:
        why = "the run is complete"
    elif complete and length is None and peak is None:
        return Unsure("the rate rises to the last point, and the warm-up is not told", "warmup_steps in the settings")
    else:
        return None
    return _report(part, why, warmup, peak if low else None, (length, planned or made, unit))


def _rising(part: Series) -> bool:
    """Whether a rate rises from a low start to its last point, and never falls."""
    rate = part.value
    late = rate[-max(3, len(rate) // 5) :]
    falls = np.any(np.diff(rate) < -1e-9 * rate.max())
    return bool(rate[0] < 0.5 * rate[-1] and not falls and late[-1] > late[0] * 1.001 and rate[-1] > rate[-3])


def _made(part: Series, unit: str) -> float | None:
    """Steps or epochs that the rate was logged for."""
    axis = part.epoch if unit == "epoch" else part.step
    known = axis[np.isfinite(axis)]
    return float(known.max()) if len(known) else None


def _complete(part: Series, plan: Plan | None) -> bool:
    if plan is None:
        return False
    shares = ((_made(part, unit), planned) for unit, planned in (("step", plan.steps), ("epoch", plan.epochs)))
    return any(made is not None and planned and made + 1 >= COMPLETE * planned for made, planned in shares)


def _report(
    part: Series,
    why: str,
    warmup: Setting | None,
    peak: Setting | None,
    lengths: tuple[float | None, float, str],
) -> Sick:
    top, x = float(part.value[-1]), part.x()
    length, planned, unit = lengths
    evidence = [Measure(f"last and highest {part.name}", top, None, part.where(-1))]
    share = ""
    if peak is not None and peak.number is not None:
        share = f", {percent(top / peak.number)} of the {num(peak.number)} that was asked for"
        evidence.append(Measure(f"{peak.key} asked for", peak.number, None, place_of(peak)))
    if warmup is not None and length is not None:
        evidence.append(Measure("warm-up asked for", length, f"{unit}s", place_of(warmup)))
    return Sick(
        f"{part.name} still rises at {place(part.axis, float(x[-1]))}, where it is {num(top)}{share}: {why}",
        evidence=tuple(evidence),
        since_step=since(part, float(x[-1])),
        innocent="the run was meant to find the largest stable rate",
        actions=(
            Action(
                f"Set the warm-up to a few per cent of {num(planned)} {unit}s, then train again or go on from the last"
                " checkpoint",
                "config",
                "change",
            ),
        ),
        window=span(part, float(x[0]), float(x[-1])),
    )


def _ramp(steps: int, warmup: int, peak: float = 3e-4, **settings: float) -> Stage:
    lr = peak * np.minimum(1.0, (np.arange(steps) + 1) / warmup)
    return examples.stage(loss=examples.decay(steps), lr=lr, settings=settings)


def sick() -> Iterator[Stage]:
    """A warm-up four times as long as the run, seen at the end and early, and a complete run that got half of its rate."""
    yield _ramp(5000, 20_000, max_steps=5000, warmup_steps=20_000, lr=3e-4)
    yield _ramp(600, 20_000, max_steps=5000, warmup_steps=20_000, lr=3e-4)
    yield _ramp(1000, 2000, max_steps=1000, learning_rate=3e-4)
    yield _ramp(300, 500, max_steps=300, warmup_steps=500)


def healthy() -> Iterator[Stage]:
    """A warm-up that ended, one on its way, a trial, a rate that rises again after a fall, and a search for a rate."""
    yield _ramp(5000, 500, max_steps=5000, warmup_steps=500, lr=3e-4)
    yield _ramp(400, 2000, max_steps=50_000, warmup_steps=2000, lr=3e-4)
    yield _ramp(50, 1000, max_steps=50, warmup_steps=1000, lr=3e-4)
    cyclic = np.abs(np.linspace(-1, 1, 1000)) * 1e-3 + 1e-5
    yield examples.stage(loss=examples.decay(1000), lr=cyclic, settings={"max_steps": 1000, "warmup_steps": 1000})
    search = 1e-7 * 10 ** np.linspace(0, 7, 200)
    yield examples.stage(loss=examples.decay(200), lr=search, settings={"num_training": 200, "min_lr": 1e-7})
