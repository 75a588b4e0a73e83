"""GEN111 posterior-collapse."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import Divergence, Reward
from runvet.roles import words
from runvet.rules import Action, Measure, Sick, Unsure, Window, rule
from runvet.run import Series, Stage
from runvet.statistics import bins

# Divergences between policies, teachers and copies of a model, not of a latent posterior from its prior.
OTHER = frozenset(
    {"approx", "ppo", "policy", "ref", "old", "new", "distill", "distillation", "kd", "teacher", "student", "rdrop", "actor", "rl",
     "coef", "beta", "weight"}
)  # fmt: skip
RECONSTRUCTION = re.compile(r"^(?:rec|recon\w*|reconstruction|reconst|nll|bce|mse|l1|l2|mae|elbo|likelihood|pixel)$")


@rule("GEN111", "posterior-collapse", level="critical", since="0.1")
def posterior_collapse(
    divergence: Divergence,
    stage: Stage,
    reward: Reward | None,
    *,
    decades: float = 3,
    gain: float = 0.3,
) -> Sick | Unsure | None:
    """The latent code of a variational model carries nothing any more.

    ## What it checks
    The KL term beside a reconstruction loss. Critical where the KL fell by three decades from its highest level to
    below 0.01 and stays there while the reconstruction gains less than 30 % from then on. A KL that
    grows from 0 (annealing), one that settles, and divergences between policies or from a teacher are spared.
    ## Why it matters
    With a KL of 0 the decoder ignores its input: every sample is the same average, and what is trained on the latents
    learns from noise.
    ## What to do
    Lower the weight of the KL (or raise it slowly from 0), allow free bits per dimension, weaken the decoder; then
    measure the number of active units.
    ## When to ignore it
    The KL is logged after multiplication by a weight that was turned down.
    ## Known limits
    A KL that was near 0 from the first point on cannot be told from one that is multiplied by a small weight.
    ## References
    - Bowman et al. 2016, arXiv 1511.06349; He et al. 2019, arXiv 1901.05534.
    """
    if reward is not None:
        return None
    recon = next((s for s in stage.series if _rebuilds(s)), None)
    for series in divergence.series:
        if OTHER & set(words(series.name)) or series.split in ("val", "test"):
            continue
        found = _collapsed(series.finite(), decades)
        if found is None:
            continue
        peak, level, index = found
        if recon is None:
            return Unsure(
                f"{series.name} fell from {peak:.4g} to {level:.3g}", "log the reconstruction loss beside the KL"
            )
        better = _gain(recon.finite(), series.finite(), index)
        if better > gain:
            continue
        return _report(series.finite(), recon, peak, level, index, better)
    return None


def _rebuilds(series: Series) -> bool:
    """Whether this is a reconstruction loss of the training data."""
    named = any(RECONSTRUCTION.match(w) for w in words(series.name))
    return named and series.split not in ("val", "test") and series.direction != "up" and len(series.finite()) >= 8


def _collapsed(series: Series, decades: float) -> tuple[float, float, int] | None:
    """Highest and last level, and the index from which the KL stays low; levels are medians of bins."""
    made = bins(series.x(), series.value)
    if made is None or float(series.value.min()) < -1e-3:
        return None
    top = int(np.argmax(made.value))
    peak, level = float(made.value[top]), float(np.median(made.value[-max(2, len(made) // 6) :]))
    low = max(peak * 10.0**-decades, 0.0)
    if not (peak > 0.1 and level < 0.01 and level <= low):
        return None
    high = np.flatnonzero(made.value > max(30.0 * level, low))
    return peak, level, int(made.start[min(int(high[-1]) + 1, len(made) - 1)]) if len(high) else 0


def _gain(recon: Series, series: Series, index: int) -> float:
    """Share by which the reconstruction improved after the collapse began."""
    at = float(series.x()[index])
    after = (
        recon.value[recon.x() >= at]
        if recon.axis == series.axis
        else recon.value[int(index * len(recon) / len(series)) :]
    )
    if len(after) < 8:
        return 0.0
    quarter = max(2, len(after) // 4)
    first, last = float(np.median(after[:quarter])), float(np.median(after[-quarter:]))
    return (first - last) / abs(first) if first else 0.0


def _report(series: Series, recon: Series, peak: float, level: float, index: int, better: float) -> Sick:
    x, axis = series.x(), series.axis
    return Sick(
        f"{series.name} fell from {peak:.4g} to {level:.2g} (last {series.last:.4g}) and stays there from {axis} {x[index]:,.0f} on,"
        f" while {recon.name} changed by {-better:+.0%}",
        evidence=(
            Measure(f"highest level of {series.name}", peak, "nats"),
            Measure(f"level of {series.name} at the end", level, "nats", series.where(len(series) - 1)),
            Measure(f"gain of {recon.name} since", round(better, 4), "share"),
        ),
        since_step=float(x[index]) if axis == "step" else None,
        innocent="the KL is logged after multiplication by a weight that was turned down",
        actions=(
            Action("Measure the active units: the variance of the latent means over the data", "minutes", "measure"),
            Action(
                "Lower the KL weight, or raise it slowly from 0, with free bits per dimension", "a restart", "change"
            ),
        ),
        window=Window(series.name, float(x[index]), float(x[-1]), axis),
    )


def sick() -> Iterator[Stage]:
    """A KL that decays to nothing beside a flat reconstruction, noisy and smooth."""
    fall = 150.0 * np.exp(-np.linspace(0, 14, 800))
    noisy = fall * np.exp(np.random.default_rng(1).standard_normal(800))
    yield examples.stage(rec_loss=examples.level(800, 0.15, noise=0.4), kl_loss=noisy, total_loss=noisy / 100 + 0.15)
    yield examples.stage(loss=examples.level(200, 0.3), recon_loss=examples.level(200, 0.3), kl=fall[::4])


def healthy() -> Iterator[Stage]:
    """A KL that settles, one that is annealed, a tiny weighted one, a policy's, and a distillation's."""
    settles = examples.decay(800, start=200.0, end=12.0)
    yield examples.stage(recon_loss=examples.decay(800), kl_loss=settles)
    yield examples.stage(recon_loss=examples.decay(800), kl_loss=5.0 * np.linspace(0, 1, 800) ** 2)
    yield examples.stage(recon_loss=examples.decay(800), kl_loss=examples.decay(800, start=1e-5, end=1e-6))
    small = 0.02 * np.exp(-np.linspace(0, 14, 800))
    yield examples.stage(reward=examples.level(800), mse_loss=examples.level(800), approx_kl=small)
    distilled = 3.0 * np.exp(-np.linspace(0, 14, 800))
    yield examples.stage(mse_loss=examples.level(800), kl_teacher=distilled)
