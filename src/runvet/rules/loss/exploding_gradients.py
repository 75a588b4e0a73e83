"""LOSS132 exploding-gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import GradNorm, Reward, TrainLoss, measured
from runvet.rules import BACK, Action, Measure, Sick, Window, rule
from runvet.run import Series, Stage
from runvet.statistics import Bins, bins, kendall, rising


@rule("LOSS132", "exploding-gradients", level="critical", since="0.1", explains=("LOSS101", "LOSS102", "LOSS103"))
def exploding_gradients(
    grads: GradNorm,
    loss: TrainLoss | None,
    reward: Reward | None,
    *,
    alone: float = 100,
    with_loss: float = 10,
    critical: float = 1000,
) -> Sick | None:
    """The gradient norm rises by orders of magnitude and stays up.

    ## What it checks
    Medians of bins after the warm-up: a rise from the lowest bin to the last ones by a factor of 100, or by 10 where
    the training loss rises too. Critical where the loss rises and the factor is above 1000. Single spikes,
    large norms of a warm-up, and slow growth beside a falling loss are spared.
    ## Why it matters
    Clipping keeps such a run alive but throws the direction of the update away; without clipping the next step is NaN.
    ## What to do
    Go back to a checkpoint before the rise; lower the learning rate, clip the norm, look at the layer that grows.
    ## When to ignore it
    The loss is scaled (a sum over tokens, a loss scale that is not divided out) and the scale changed.
    ## Known limits
    Below 40 points nothing is said.
    ## References
    - Pascanu et al. 2013, On the difficulty of training recurrent neural networks, arXiv 1211.5063.
    """
    for series in grads.series:
        part = measured(list(series.segments())[-1])
        part = part.pick(part.value > 0)
        made = bins(part.x(), np.log10(part.value)) if len(part) else None
        if made is None:
            continue
        low = 1 + int(np.argmin(made.value[1:]))  # the first bin is the warm-up
        factor = 10.0 ** min(float(np.median(made.value[-2:]) - made.value[low]), 300.0)
        if len(made) - low < 4 or factor < with_loss or not _climbs(made, low):
            continue
        worse = loss is not None and reward is None and _rises(loss.lead)
        if factor >= (with_loss if worse else alone):
            return _report(part, made, low, factor, worse, loss, critical)
    return None


def _climbs(made: Bins, low: int) -> bool:
    trend = kendall(made.value[low:])
    return trend.tau >= 0.5 and trend.p / 2 < 0.02


def _rises(loss: Series) -> bool:
    last = list(loss.segments())[-1]
    return rising(last.x(), last.value) is not None


def _report(
    part: Series, made: Bins, low: int, factor: float, worse: bool, loss: TrainLoss | None, critical: float
) -> Sick:
    start, axis, x = int(made.start[low]), part.axis, part.x()
    floor, end = 10.0 ** float(made.value[low]), 10.0 ** float(np.median(made.value[-2:]))
    beside = f" while {loss.lead.name} rises" if worse and loss is not None else ""
    return Sick(
        f"{part.name} rises from {floor:.4g} to {end:.4g} ({factor:,.0f} times) after {axis} {x[start]:,.0f}{beside}",
        evidence=(
            Measure(f"lowest level of {part.name}", floor, None, part.where(start)),
            Measure(f"level of {part.name} at the end", end, None, part.where(len(part) - 1)),
            Measure("factor", round(factor, 2)),
        ),
        since_step=float(x[start]) if axis == "step" else None,
        innocent="the scale of the loss changed, or a term was added that has large gradients by nature",
        actions=(
            Action(f"Go back to a checkpoint near {axis} {x[start]:,.0f}", BACK, "stop"),
            Action("Lower the learning rate or clip the gradient norm, and log norms by layer", "config"),
        ),
        window=Window(part.name, float(x[start]), float(x[-1]), axis),
        level="critical" if worse and factor >= critical else "warning",
    )


def sick() -> Iterator[Stage]:
    """Norms that rise by four decades, with and without the loss."""
    up = 10.0 ** np.concatenate([np.zeros(300), np.linspace(0, 4, 700)]) * examples.level(1000, noise=0.2)
    yield examples.stage(loss=examples.decay() + examples.rise(at=0.4, size=5.0), grad_norm=np.abs(up))
    yield examples.stage(loss=examples.decay(), grad_norm=np.abs(up))


def healthy() -> Iterator[Stage]:
    """Level and falling norms, a wild warm-up, single spikes, slow growth beside a falling loss."""
    yield examples.stage(loss=examples.decay(), grad_norm=examples.level())
    yield examples.stage(loss=examples.decay(), grad_norm=examples.decay(start=285.0, end=1.0))
    spiky = np.exp(1.5 * np.random.default_rng(2).standard_normal(1000))
    spiky[::97] *= 1e4
    yield examples.stage(loss=examples.decay(), grad_norm=spiky)
    yield examples.stage(loss=examples.decay(), grad_norm=np.linspace(0.5, 8.0, 1000) * examples.level())
