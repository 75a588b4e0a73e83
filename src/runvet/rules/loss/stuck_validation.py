"""LOSS108 stuck-validation."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss, ValLoss, ValMetrics
from runvet.evidence.nature import Nature
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import ends, guilty, last_part, num, parts, shared_axis
from runvet.run import Series, Stage
from runvet.statistics import finite_values, kendall, noise

VALUE = re.compile(
    r"mean_?q\b|q_?values?\b|critic_loss|loss_critic|value_loss|qf\d?_loss|td_loss|actor_loss|(?:^|[/_])q\d?_?(?:mean|max)",
    re.IGNORECASE,
)


@rule("LOSS108", "stuck-validation", level="critical", since="0.1", explains=("LOSS119",))
def stuck_validation(
    stage: Stage,
    nature: Nature,
    loss: TrainLoss | None,
    val: ValLoss | None,
    metrics: ValMetrics | None,
    *,
    fewest: float = 8.0,  # evaluations
    learned: float = 0.3,  # share of its loss that training must have lost meanwhile
    stuck: float = 0.03,  # relative change of a validation curve that counts as none
    runaway: float = 4.0,  # times: growth of value estimates or losses beside a reward that does not move
) -> Sick | Unsure | None:
    """Validation does not improve while training does; or the reward stays while the values run away.

    ## What it checks
    At least eight evaluations of which no loss and no metric is better at the end than at the start, while the
    training loss fell by 30 % in the same time. In reinforcement learning: a success rate or reward that ends where it
    began while value estimates or their losses grow fourfold.
    ## Why it matters
    What is learned is of no use on other data, or evaluation looks at something else than what is trained.
    ## What to do
    Evaluate on a few training samples: if they fail too, evaluation differs from training (mode, normalisation, labels).
    ## When to ignore it
    Validation data from another domain on purpose; finished weights, whose score can't grow.
    ## Known limits
    Scores above 80 % are taken for finished. Warm starts are recognised only when the log tells them.
    ## References
    - Failure reports: junyanz/pytorch-CycleGAN-and-pix2pix, ResNet-pytorch#1, chemprop/chemprop#607.
    """
    if nature.reinforcement or stage.role("val_success_rate", "test_success_rate", "success_rate"):
        found = _values(stage, runaway)
        if found is not None or nature.reinforcement:
            return found
    curves = [
        s for group in (val, metrics) if group for s in group.series if s.direction is not None and s.total >= fewest
    ]
    if not curves or loss is None:
        return Unsure("too few evaluations", f"evaluate at least {fewest:.0f} times and log val/loss")
    if nature.adversarial or nature.continued:
        return Unsure("validation of adversaries or finished weights need not improve")
    flat = [_stuck(s, stuck) for s in curves]
    if any(f is None for f in flat):
        return None
    lead = next(f for f in flat if f is not None)
    trained = _training(loss, lead)
    if trained is None or not trained[0] > 0 or trained[1] > (1 - learned) * trained[0]:
        return None
    first, last = ends(lead.value, 0.25)
    x = lead.x()
    return Sick(
        f"{lead.name} does not improve in {len(lead)} evaluations, {num(first)} to {num(last)}, while the training loss falls from"
        f" {num(trained[0])} to {num(trained[1])}" + (f"; nor does {curves[1].name}" if len(curves) > 1 else ""),
        (
            Measure(f"{lead.name}, first and last quarter", f"{num(first)}, {num(last)}", None, lead.where(0)),
            Measure("training loss in the same time", f"{num(trained[0])}, {num(trained[1])}"),
            Measure("evaluations", len(lead)),
        ),
        since(lead, float(x[min(len(x) - 1, int(fewest) - 1)])),
        "validation data from another domain, or finished weights",
        (
            Action("Evaluate on a few training samples with the validation code", "minutes", "measure"),
            Action("Compare mode, normalisation and labels of training and validation", "minutes", "measure"),
        ),
        guilty(lead, float(x[0])),
        level="warning",
    )


def _stuck(series: Series, stuck: float) -> Series | None:
    """The last part of a validation curve if it does not get better, else None."""
    part = last_part(series, 8)
    if part is None or len(list(parts(series, 3))) > 1:
        return None
    v = part.value
    sign = 1.0 if part.direction == "up" else -1.0
    level = float(np.median(v))
    if part.direction == "up" and (0.8 <= level <= 1.0 or 80 <= level <= 100):
        return None
    first, last = ends(v, 0.25)
    gain = sign * (last - first)
    best = float((sign * v).max()) - sign * float(v[0])
    error = noise(v) / math.sqrt(max(1, len(v) // 4))
    if gain > max(stuck * abs(first), 3.0 * error) or best > 0.1 * abs(float(v[0])):
        return None
    trend = kendall(v)
    return None if sign * trend.tau > 0.4 and trend.p < 0.01 else part


def _training(loss: TrainLoss, val: Series) -> tuple[float, float] | None:
    """The training loss around the first evaluation and at the end."""
    if not loss.is_total or len(loss.lead) < 4 or not loss.lead.minimum > 0:
        return None
    axes = shared_axis(loss.lead, val)
    if axes is None:
        return None
    x, xv = axes
    reach = max(float(xv[1] - xv[0]), 0.02 * float(x[-1] - x[0]))
    near = finite_values(loss.lead.value[np.abs(x - xv[0]) <= reach])
    return (float(np.median(near)), ends(loss.lead.value)[1]) if len(near) else None


def _values(stage: Stage, runaway: float) -> Sick | Unsure | None:
    goals = stage.role("test_success_rate", "val_success_rate", "success_rate", "reward")
    goal = next((s for s in goals if len(finite_values(s.value)) >= 20), None)
    if goal is None:
        return Unsure("too few rewards or success rates", "log the mean return at every update")
    v = finite_values(goal.value)
    first, last = ends(v, 0.25)
    trend = kendall(v)
    if trend.p < 0.01 and trend.tau > 0.2:
        return None
    if last - first > max(0.05 * abs(first), 2.0 * noise(v) / math.sqrt(len(v) / 4)) or (
        (goal.role or "").endswith("success_rate") and last > 0.3
    ):
        return None
    if float(v.max()) - float(v.min()) > 0.5 * abs(first) and "success" not in (goal.role or ""):
        return None  # noisy returns say little
    for one in stage.series:
        if not VALUE.search(one.name) or len(one) < 5 or one is goal:
            continue
        w = finite_values(one.value)
        low, high = abs(float(np.median(w[: max(1, len(w) // 5)]))), abs(float(np.median(w[-max(1, len(w) // 5) :])))
        turn = kendall(np.abs(w))
        if low > 0 and high >= runaway * low and turn.tau > 0.6 and turn.p < 0.01:
            x = goal.x()
            return Sick(
                f"{goal.name} is {num(first)} at the start and {num(last)} after {len(v)} values, while {one.name} goes from"
                f" {num(float(w[0]))} to {num(float(w[-1]))} ({high / low:.1f} times)",
                (
                    Measure(f"{goal.name}, first and last quarter", f"{num(first)}, {num(last)}", None, goal.where(0)),
                    Measure(
                        f"{one.name}, first and last",
                        f"{num(float(w[0]))}, {num(float(w[-1]))}",
                        None,
                        one.where(len(one) - 1),
                    ),
                ),
                since(goal, float(x[len(x) // 2])),
                "a hard task whose reward comes late",
                (
                    Action("Stop the run: its value estimates no longer follow the rewards", "now, free", "stop"),
                    Action(
                        "Clip or scale the rewards, lower the critic's learning rate, slow the target network", "config"
                    ),
                ),
                guilty(goal, float(x[0])),
            )
    return None


def sick() -> Iterator[Stage]:
    """A metric and a loss at their start while training memorises, and a value function that runs away."""
    yield examples.stage(loss=examples.decay(800, end=0.3, power=0.2), val_loss=examples.level(12, 4.1, noise=0.01))
    yield examples.stage(
        loss=examples.decay(800, end=0.3, power=0.2), val_accuracy=examples.level(20, 0.31, noise=0.02)
    )
    yield examples.stage(
        test_success_rate=0.07 + 0.015 * np.sin(np.arange(43) * 2.1),
        mean_Q=-np.linspace(1.5, 22.8, 43),
        epochs=np.arange(43),
    )


def healthy() -> Iterator[Stage]:
    """Improving and finished validation, one metric that improves, a reward that grows with its values."""
    yield examples.stage(loss=examples.decay(800), val_loss=examples.decay(12))
    yield examples.stage(loss=examples.decay(800), val_accuracy=examples.level(20, 0.95, noise=0.002))
    yield examples.stage(
        loss=examples.decay(800), val_loss=examples.level(12, 4.1), val_accuracy=np.linspace(0.2, 0.5, 12)
    )
    yield examples.stage(success_rate=np.linspace(0.05, 0.8, 43), mean_Q=-np.linspace(1.5, 22.8, 43))
