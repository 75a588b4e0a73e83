"""LOSS112 loss-metric-mismatch."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import guilty, num, place, shared_axis
from runvet.run import FloatArray, Series, Stage
from runvet.statistics import spearman

SMOOTH = re.compile(r"smooth_?l1|huber", re.IGNORECASE)
DISTANCE = re.compile(r"(?:^|[^a-z0-9])(?:m?ade|l2|displacement|epe|mpjpe)(?![a-z0-9])", re.IGNORECASE)
PLAIN_PPL = re.compile(r"ppl|perplexity", re.IGNORECASE)


@rule("LOSS112", "loss-metric-mismatch", level="warning", since="0.1")
def loss_metric_mismatch(
    stage: Stage,
    *,
    slack: float = 0.15,  # averages over batches do not commute with roots and exponentials
    steady: float = 0.03,  # share by which the loss may change between evaluations that are compared across splits
) -> Sick | Unsure | None:
    """A loss and a metric that can't belong to the same predictions.

    ## What it checks
    Pairs that mathematics ties together: a perplexity rises and falls with the loss of its split; a squared RMSE is the MSE; a mean
    displacement D and a smooth-L1 loss L averaged over two coordinates obey √2 L <= D <= 2 (L + ½), checked only where the
    settings name that loss and it stands still, so that training and validation may be compared.
    ## Why it matters
    One of the two is computed on other data, in other units, or with another reduction than it says.
    ## What to do
    Compute both by hand for one batch.
    ## When to ignore it
    A loss that is summed over coordinates or weighted; averages of perplexities.
    ## Known limits
    Only these three ties; small differences from averaging are allowed for.
    ## References
    - Girshick, Fast R-CNN, 2015 (smooth L1).
    """
    pairs = 0
    for split in ("val", "test", "train"):
        for found, judged in (_perplexity(stage, split), _squares(stage, split, slack)):
            pairs += judged
            if found is not None:
                return found
    found, judged = _displacement(stage, steady)
    pairs += judged
    return found or (None if pairs else Unsure("no loss and metric that mathematics ties together"))


def _both(a: Series, b: Series) -> tuple[FloatArray, FloatArray]:
    """Values of two series at common places of their axis."""
    axes = shared_axis(a, b)
    if axes is None:
        return np.empty(0), np.empty(0)
    _, i, j = np.intersect1d(axes[0], axes[1], return_indices=True)
    x, y = a.value[i], b.value[j]
    keep = np.isfinite(x) & np.isfinite(y)
    return x[keep], y[keep]


def _perplexity(stage: Stage, split: str) -> tuple[Sick | None, int]:
    loss = next(iter(stage.role(f"{split}_loss")), None)
    ppl = next((s for s in stage.role(f"{split}_perplexity") if PLAIN_PPL.search(s.name)), None)
    if loss is None or ppl is None:
        return None, 0
    x, y = _both(loss, ppl)
    keep = (x > 0) & (y > 1)
    if keep.sum() < 5:
        return None, 0
    x, y = x[keep], y[keep]
    rho, _ = spearman(x, y)
    # label smoothing, other bases and units change the factor, never the order
    if not rho < -0.5 or min(float(np.ptp(x)) / float(np.median(x)), float(np.ptp(np.log(y)))) < 0.05:
        return None, 1
    told = f"{ppl.name} goes from {num(float(y[0]))} to {num(float(y[-1]))} while {loss.name} goes from {num(float(x[0]))} to {num(float(x[-1]))}"
    return _sick(
        ppl,
        f"{told}: a perplexity rises and falls with its loss (rank correlation {rho:.2f} over {len(x)} evaluations)",
        loss,
        rho,
    ), 1


def _squares(stage: Stage, split: str, slack: float) -> tuple[Sick | None, int]:
    named = {s.name.lower().replace("-", "_"): s for s in stage.role(f"{split}_error", f"{split}_loss", "error")}
    rmse = next((s for n, s in named.items() if re.search(r"(?<![a-z])rmse(?![a-z])", n)), None)
    mse = next((s for n, s in named.items() if re.search(r"(?<![a-z])mse(?![a-z])", n)), None)
    if rmse is None or mse is None or (rmse.split != mse.split):
        return None, 0
    x, y = _both(mse, rmse)
    keep = (x > 0) & (y > 0)
    if keep.sum() < 3:
        return None, 0
    ratio = float(np.median(y[keep] ** 2 / x[keep]))
    if 0.4 <= ratio <= 1 + slack:  # a mean of roots is smaller than the root of the mean
        return None, 1
    return _sick(
        rmse,
        f"{rmse.name} squared is {ratio:.3g} times {mse.name} ({num(float(y[-1]))} and {num(float(x[-1]))} at the last evaluation)",
        mse,
        ratio,
    ), 1


def _displacement(stage: Stage, steady: float) -> tuple[Sick | None, int]:
    setting = stage.setting("loss", "loss_fn", "criterion", "loss_type", "loss_function")
    if setting is None or not SMOOTH.search(str(setting.value)):
        return None, 0
    loss = next((s for s in (*stage.role("val_loss"), *stage.role("train_loss"))), None)
    distance = next(
        (s for s in stage.role("val_error", "test_error", "error") if DISTANCE.search(s.name.replace("_", " "))), None
    )
    if loss is None or distance is None:
        return None, 0
    x, y = _both(loss, distance)
    change = np.abs(np.diff(x, prepend=np.nan)) / np.abs(x)
    keep = (change < steady) & (x > 0.5) & (y > 0)
    if keep.sum() < 3:
        return None, 1
    low, high = math.sqrt(2) * x[keep], 2 * (x[keep] + 0.5)
    outside = (y[keep] < 0.9 * low) | (y[keep] > 1.1 * high)
    if not outside.all():
        return None, 1
    message = (
        f"{distance.name} is {num(float(y[-1]))} while {loss.name}, a {setting.value} loss, is {num(float(x[-1]))}: averaged over two coordinates it would lie between"
        f" {num(float(low[-1]))} and {num(float(high[-1]))}. One of them is summed, in other units, or of other data"
    )
    return _sick(distance, message, loss, float(np.median(y[keep] / x[keep]))), 1


def _sick(metric: Series, message: str, loss: Series, ratio: float) -> Sick:
    x = metric.x()
    return Sick(
        message,
        (
            Measure(f"last {loss.name}", loss.last, None, loss.where(len(loss) - 1)),
            Measure(f"last {metric.name}", metric.last, None, metric.where(len(metric) - 1)),
            Measure("ratio or rank correlation", round(ratio, 4)),
        ),
        since(metric, float(x[0])),
        "a loss that is summed or weighted, or a metric that averages otherwise",
        (
            Action(
                f"Compute {metric.name} and {loss.name} by hand for one batch ({place(metric, float(x[-1]))})",
                "minutes",
                "measure",
            ),
        ),
        guilty(metric, float(x[0])),
    )


def sick() -> Iterator[Stage]:
    """A perplexity of other data, a root that is none, a displacement below what its loss allows."""
    losses = np.array([4.0, 3.6, 3.3, 3.1, 3.0])
    yield examples.stage(val_loss=losses, val_ppl=[20.0, 24.0, 29.0, 33.0, 35.0])
    yield examples.stage(val_mse=losses, val_rmse=losses * 1.5, loss=examples.decay(50))
    yield examples.stage(
        loss=[66.8, 66.3, 66.2, 66.2, 66.2], val_l2_error=[67.5, 67.4, 67.4, 67.4, 67.4], settings={"loss": "smooth_l1"}
    )


def healthy() -> Iterator[Stage]:
    """Pairs that fit, in base e and 2, and averages that differ a little."""
    losses = np.array([4.0, 3.6, 3.3, 3.1, 3.0])
    yield examples.stage(val_loss=losses, val_ppl=np.exp(losses) * 1.05)
    yield examples.stage(val_loss=losses, val_ppl=np.exp2(losses))
    yield examples.stage(val_mse=losses, val_rmse=np.sqrt(losses) * 0.96, loss=examples.decay(50))
    yield examples.stage(
        loss=[66.8, 66.3, 66.2, 66.2, 66.2],
        val_l2_error=np.array([66.8, 66.3, 66.2, 66.2, 66.2]) * 1.6,
        settings={"loss": "smooth_l1"},
    )
