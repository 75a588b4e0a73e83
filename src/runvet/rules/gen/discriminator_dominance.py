"""GEN112 discriminator-dominance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet import examples
from runvet.evidence.curves import AdversarialLoss
from runvet.report import Level
from runvet.roles import words
from runvet.rules import BACK, Action, Measure, Sick, Window, rule
from runvet.run import Series, Stage
from runvet.statistics import bins

# A discriminator that guesses has this cross-entropy: the mean over real and fake, or their sum.
CHANCE = ((math.log(2), "ln 2"), (2 * math.log(2), "2 ln 2"))
# Words of losses against a target: they train a generator whatever its discriminator says.
RECONSTRUCTION = frozenset(
    "l1 l2 mse mae rec recon reconstruction cyc cycle idt identity mel feat feature fm perceptual lpips vgg pixel stft".split()
)
HINGE = 0.9  # what a generator's hinge loss reaches where every sample is told by more than the margin
NEAR = 0.01  # relative distance to chance of every bin


@dataclass(frozen=True, slots=True)
class Raised:
    """A loss that rose and stays up: the place and value of its lowest level, and its level since."""

    x: float
    low: float
    last: float


@rule("GEN112", "discriminator-dominance", level="critical", since="0.1")
def discriminator_dominance(
    stage: Stage,
    losses: AdversarialLoss,
    *,
    won: float = 0.05,
    crushed: float = 1e-3,
    factor: float = 2,
) -> Sick | None:
    """One side of an adversarial game has won, or neither ever played.

    ## What it checks
    Discriminator losses beside generator losses. A warning where a discriminator stays below 0.05 and
    below a tenth of its highest level for the last third while the generator's loss has risen to twice its lowest level
    and stays there, however slowly it came there; critical where the discriminator ends below 0.001, unless a
    reconstruction trained beside it fell by a fifth. A warning where a discriminator with a cross-entropy stays within 1 % of chance (ln 2
    or 2 ln 2) from the first bin to the last. Oscillation, and equilibrium reached late, are spared.
    ## Why it matters
    A discriminator that is always right gives the generator no gradient; one that always guesses gives it no
    direction. Samples stop improving either way.
    ## What to do
    Won: lower its learning rate or steps, regularise it (R1, spectral norm), augment. At chance: check that real and
    fake reach it differently and that its weights change.
    ## When to ignore it
    The adversarial term has a small weight beside a reconstruction that does the work.
    ## Known limits
    Losses without a known level at chance (Wasserstein, weighted sums) are judged by the first sign only.
    ## References
    - Arjovsky and Bottou 2017, Towards principled methods for training GANs, arXiv 1701.04862.
    """
    named = [(s, list(s.segments())[-1].finite()) for s in losses.series]
    generators = [part for s, part in named if s.role == "generator_loss" and s.split != "val"]
    for series, part in named:
        if series.role != "discriminator_loss" or len(part) < 40 or {"real", "fake"} & set(words(series.name)):
            continue
        chance = _at_chance(part)
        if chance is not None:
            return _guessing(part, *chance)
        tail = part.value[-(len(part) // 3) :]
        made = bins(part.x(), part.value)
        top = float(made.value.max()) if made is not None else 0.0
        high = float(np.quantile(np.abs(tail), 0.95))
        if part.minimum < 0 or not high < min(won, 0.1 * top):
            continue
        for other in generators:
            rise = _risen(other, factor)
            if rise is not None:
                ends = float(np.quantile(np.abs(part.value[-max(5, len(part) // 10) :]), 0.95))
                helped = any(_reconstructs(s) for s in stage.role("loss_term", "train_loss"))
                return _won(part, other, rise, (high, top), "critical" if ends < crushed and not helped else "warning")
    return None


def _risen(part: Series, factor: float) -> Raised | None:
    """A loss whose last third keeps above `factor` times its lowest level before it, its very start included."""
    made = bins(part.x(), part.value)
    if made is None:
        return None
    first = max(1, 2 * len(made) // 3)
    at = int(np.argmin(made.value[:first]))
    low, x = float(made.value[at]), float(made.x[at])
    start = float(np.median(part.value[:5]))
    if start < low:
        low, x = start, float(part.x()[0])
    last = float(np.median(made.value[first:]))
    needed = factor * low if low > 0.0 else HINGE  # a hinge begins at or below 0
    stays = float(np.min(made.value[first:])) > 0.75 * needed
    return Raised(x, low, last) if last > needed and stays else None


def _reconstructs(series: Series) -> bool:
    """Whether a term that compares with a target fell by a fifth: it trains the generator without the discriminator."""
    if not RECONSTRUCTION & set(words(series.name)) or len(series) < 40:
        return False
    made = bins(series.x(), series.value)
    return made is not None and float(np.median(made.value[-3:])) < 0.8 * float(np.median(series.value[:5]))


def _at_chance(part: Series) -> tuple[float, str] | None:
    made = bins(part.x(), part.value)
    if made is None:
        return None
    for level, name in CHANCE:
        if np.all(np.abs(made.value - level) <= NEAR * level):
            return level, name
    return None


def _guessing(part: Series, level: float, name: str) -> Sick:
    median = float(np.median(part.value))
    return Sick(
        f"{part.name} stays at chance from start to end: median {median:.4g} against {name} = {level:.4g}",
        evidence=(
            Measure(f"median {part.name}", median, "nats", part.where(0)),
            Measure(f"a guess: {name}", round(level, 6), "nats"),
        ),
        since_step=float(part.x()[len(part) // 10]) if part.axis == "step" else None,
        innocent="the generator was finished before, and its samples cannot be told from data",
        actions=(
            Action(
                "Check that the discriminator's weights change and that real and fake reach it", "minutes", "measure"
            ),
        ),
        window=Window(part.name, float(part.x()[0]), float(part.x()[-1]), part.axis),
        level="warning",
    )


def _won(part: Series, other: Series, rise: Raised, reached: tuple[float, float], level: Level) -> Sick:
    high, top = reached
    start = float(part.x()[-(len(part) // 3)])
    return Sick(
        f"{part.name} stays below {high:.2g} over the last third (it was {top:.3g})"
        f" while {other.name} rises from {rise.low:.4g} to {rise.last:.4g}",
        evidence=(
            Measure(f"last {part.name}", part.last, None, part.where(len(part) - 1)),
            Measure(f"last {other.name}", other.last, None, other.where(len(other) - 1)),
        ),
        since_step=rise.x if other.axis == "step" else None,
        innocent="the adversarial term has a small weight beside a reconstruction that does the work",
        actions=(
            Action("Lower the discriminator's learning rate or its steps, or regularise it", "config"),
            Action(f"Go back to a checkpoint near {other.axis} {rise.x:,.0f}", BACK, "keep"),
        ),
        window=Window(part.name, start, float(part.x()[-1]), part.axis),
        level=level,
    )


def sick() -> Iterator[Stage]:
    """A discriminator that wins outright, one that wins, and one that guesses throughout."""
    fall = 0.6 * np.exp(-np.linspace(0, 9, 600)) * examples.level(600, noise=0.1)
    up = examples.level(600, noise=0.1) * np.linspace(1, 9, 600)
    yield examples.stage(loss_D=fall**2, loss_G=up)
    yield examples.stage(D_A=np.maximum(fall, 0.01), G_A=up)
    q = np.exp(-np.linspace(0, 8, 200))  # slowly, from the first step on
    yield examples.stage(Loss_D=0.9 * q, Loss_G=1.5 + 38 * (1 - q))
    yield examples.stage(d_loss=2 * q + 0.001, g_loss=1.4 * (1 - q) - 0.3)  # hinge
    yield examples.stage(d_loss=examples.level(600, 2 * math.log(2), noise=0.002), g_loss=examples.level(600, 0.69))


def healthy() -> Iterator[Stage]:
    """Oscillation, a game near balance, large weighted losses, equilibrium reached late, and a late start."""
    rng = np.random.default_rng(0)
    yield examples.stage(
        D_A=np.abs(0.2 + 0.1 * rng.standard_normal(400)), G_A=np.abs(0.6 + 0.2 * rng.standard_normal(400))
    )
    yield examples.stage(d_loss=examples.level(400, 1.1, noise=0.1), g_loss=examples.level(400, 0.9, noise=0.2))
    yield examples.stage(d_loss=examples.decay(400, 1286, 513), g_loss=examples.decay(400, 3844, 1304))
    late = np.concatenate([examples.level(100, 0.4, noise=0.1), examples.level(300, math.log(2), noise=0.01)])
    yield examples.stage(d_loss=late, g_loss=examples.level(400, 0.7))
    started = np.concatenate([np.zeros(200), examples.level(200, 0.9, noise=0.1)])
    yield examples.stage(loss_disc=started, g_loss=examples.decay(400), rec_loss=examples.decay(400))
