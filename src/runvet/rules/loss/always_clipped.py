"""LOSS133 always-clipped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import GradNorm
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Series, Setting, Stage

LIMITS = ("max_grad_norm", "grad_clip", "gradient_clip_val", "clip_grad_norm", "clip_grad", "grad_clip_norm", "clip_norm",
          "gradient_clipping", "grad_norm_clip", "max_norm", "clip_gradients", "gradient_clip")  # fmt: skip


@rule("LOSS133", "always-clipped", level="warning", since="0.1")
def always_clipped(
    grads: GradNorm, stage: Stage, *, share: float = 0.9, factor: float = 10, fewest: float = 40
) -> Sick | None:
    """Nearly every gradient is clipped, and by a large factor.

    ## What it checks
    After the first tenth: whether more than 90 % of the norms are above ten times the limit that the configuration
    names, or whether more than 90 % have exactly one value that no norm exceeds (the norm was logged after clipping).
    Norms a little above the limit are common in sound fine-tuning and are spared.
    ## Why it matters
    The limit then sets the step length instead of the learning rate, and a real explosion can no longer be seen.
    ## What to do
    Raise the limit to the 90th percentile of the norms, or lower the learning rate; log the norm before clipping.
    ## When to ignore it
    The optimiser is invariant to the gradient's scale (Adam) and normalised gradients are wanted.
    ## Known limits
    Without the limit in a configuration only norms logged after clipping are seen.
    ## References
    - Pascanu et al. 2013, On the difficulty of training recurrent neural networks, arXiv 1211.5063.
    """
    for series in grads.series:
        part = series.finite()
        part = part.pick(np.arange(len(part) // 10, len(part)))
        if len(part) < fewest:
            continue
        top = float(part.value.max())
        same = float(np.mean(np.isclose(part.value, top, rtol=1e-4, atol=0.0)))
        if top > 0 and same > share and part.value.min() < top * 0.999:
            return _report(
                part, same, top, None, f"is exactly {top:.4g}, its highest value, at {same:.0%} of the points"
            )
        limit = _limit(stage)
        if limit is None:
            continue
        value = limit.number or 0.0
        over = float(np.mean(part.value > factor * value))
        if over > share:
            median = float(np.median(part.value))
            text = f"is above {factor:g} times the limit {limit.key} = {value:g} at {over:.0%} of the points (median {median:.4g})"
            return _report(part, over, value, limit, text)
    return None


def _limit(stage: Stage) -> Setting | None:
    told = stage.setting(*LIMITS)
    return told if told is not None and (told.number or 0.0) > 0 else None


def _report(part: Series, share: float, limit: float, setting: Setting | None, text: str) -> Sick:
    key = setting.key if setting else "the limit of the gradient norm"
    place = setting.where if setting else part.where(0)
    high = float(np.quantile(part.value, 0.9))
    return Sick(
        f"{part.name} {text}",
        evidence=(
            Measure("share of clipped points", round(share, 4)),
            Measure("limit", limit, None, place),
            Measure(f"median {part.name}", float(np.median(part.value)), None, part.where(len(part) - 1)),
        ),
        since_step=float(part.x()[0]) if part.axis == "step" else None,
        innocent="normalised gradients are wanted, and the optimiser does not depend on their scale",
        actions=(
            Action(
                f"Raise {key} towards {high:.3g} or lower the learning rate"
                if setting
                else "Log the norm before clipping",
                "config",
            ),
        ),
    )


def sick() -> Iterator[Stage]:
    """A limit far below every norm, and norms logged after clipping."""
    yield examples.stage(loss=examples.decay(), grad_norm=examples.level(value=40.0), settings={"max_grad_norm": 1.0})
    cut = np.minimum(np.abs(examples.level(value=3.0, noise=0.5)), 1.0)
    yield examples.stage(loss=examples.decay(), grad_norm=cut)


def healthy() -> Iterator[Stage]:
    """Norms somewhat above the limit, below it, and without a known limit."""
    yield examples.stage(loss=examples.decay(), grad_norm=examples.level(value=4.0), settings={"max_grad_norm": 1.0})
    yield examples.stage(loss=examples.decay(), grad_norm=examples.level(value=0.3), settings={"grad_clip": 1.0})
    yield examples.stage(loss=examples.decay(), grad_norm=examples.level(value=300.0))
