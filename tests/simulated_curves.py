"""Healthy and sick training curves with known truth, from fixed seeds, for the tests of the statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Maker = Callable[[int, np.random.Generator], Array]
LENGTHS = (45, 70, 150, 600, 4000)


def decay(n: int, g: np.random.Generator) -> Array:
    """A power-law decay to a floor, as losses fall, from a random point of it on."""
    t = np.arange(n) / n
    c, start = g.uniform(0.3, 1.0), 10 ** g.uniform(-4, -1)
    floor = g.uniform(0.05, 3.0)
    return floor + g.uniform(0.3, 10.0) * floor * ((t + start) / start) ** -c


def relative_noise(cv: float) -> Maker:
    return lambda n, g: decay(n, g) * np.exp(cv * g.standard_normal(n) - cv * cv / 2)


def heavy_tails(n: int, g: np.random.Generator) -> Array:
    base = decay(n, g)
    return base + 0.1 * base.min() * np.abs(g.standard_t(2, n))


def heteroscedastic(n: int, g: np.random.Generator) -> Array:
    """Noise that grows to ten times its start while the level falls."""
    base = decay(n, g)
    return base + base.min() * np.linspace(0.02, 0.2, n) * g.standard_normal(n)


def autocorrelated(n: int, g: np.random.Generator) -> Array:
    """AR(1) noise with rho 0.9."""
    e, x = 0.05 * g.standard_normal(n), np.empty(n)
    last = 0.0
    for i in range(n):
        last = 0.9 * last + e[i]
        x[i] = last
    base = decay(n, g)
    return base + 0.5 * base.min() * x


def smoothed(n: int, g: np.random.Generator) -> Array:
    """A running mean over a thirtieth of the run, at most 50 points, is logged instead of the loss."""
    return running_mean(n, g, min(50, max(2, n // 30)))


def running_mean(n: int, g: np.random.Generator, width: int = 50) -> Array:
    raw = decay(n + width - 1, g) * np.exp(0.3 * g.standard_normal(n + width - 1))
    return np.convolve(raw, np.full(width, 1 / width), "valid")


def restarts(n: int, g: np.random.Generator) -> Array:
    """Cosine restarts: the level swings by 3 % either way, the noise is 10 %."""
    base = decay(n, g)
    swing = 0.03 * base.min() * np.cos(2 * np.pi * (np.arange(n) / n * g.integers(2, 6)))
    return base + swing + 0.1 * base.min() * g.standard_normal(n)


def wandering_plateau(n: int, g: np.random.Generator) -> Array:
    """After the fall the level wanders by 1 % of what was gained."""
    base = decay(n, g)
    walk = np.cumsum(g.standard_normal(n)) / np.sqrt(n)
    return base + 0.01 * (base[0] - base[-1]) * walk + 0.02 * base.min() * g.standard_normal(n)


def lucky_minimum(n: int, g: np.random.Generator) -> Array:
    """A few single points far below everything."""
    v = relative_noise(0.05)(n, g)
    v[g.choice(n, max(1, n // 100), replace=False)] *= 0.3
    return v


def flat_noise(n: int, g: np.random.Generator) -> Array:
    """A finished model trained on: nothing but noise."""
    return g.uniform(0.1, 5.0) * np.exp(g.uniform(0.02, 0.5) * g.standard_normal(n))


def below_zero(n: int, g: np.random.Generator) -> Array:
    """A log-likelihood that falls through zero."""
    base = decay(n, g)
    return base - 0.7 * base.max() + 0.1 * (base.max() - base.min()) * g.standard_normal(n)


def rounded(n: int, g: np.random.Generator) -> Array:
    """Two decimals are logged."""
    return np.round(relative_noise(0.02)(n, g), 2)


def sawtooth(n: int, g: np.random.Generator) -> Array:
    """Falls at every epoch boundary; within an epoch the order of the data repeats."""
    epochs = int(g.integers(3, 12))
    where = np.arange(n) * epochs // n
    base = 2.0 * (where + 1.0) ** -0.4 + 0.3
    return base * np.exp(0.1 * g.standard_normal(n))


def spiky(n: int, g: np.random.Generator) -> Array:
    v = relative_noise(0.1)(n, g)
    v[g.choice(n, max(1, n // 500), replace=False)] *= g.uniform(3, 20)
    return v


HEALTHY: dict[str, Maker] = {
    "power law, noise 2 %": relative_noise(0.02),
    "power law, noise 10 %": relative_noise(0.1),
    "power law, noise 50 %": relative_noise(0.5),
    "heavy tails (t2)": heavy_tails,
    "noise growing tenfold": heteroscedastic,
    "autocorrelated noise (0.9)": autocorrelated,
    "running mean logged": smoothed,
    "cosine restarts within noise": restarts,
    "wandering plateau": wandering_plateau,
    "single lucky minima": lucky_minimum,
    "noise alone": flat_noise,
    "through zero": below_zero,
    "rounded to 2 decimals": rounded,
    "epoch steps downwards": sawtooth,
    "single spikes": spiky,
}


def drift(n: int, g: np.random.Generator) -> Array:
    """Rises by 40 to 200 % of its minimum over the last 40 to 80 % of the run."""
    v = decay(n, g)
    m = int(n * g.uniform(0.2, 0.6))
    level = v[m]
    rise = level * g.uniform(0.4, 2.0) + 0.5 * (v[n // 10] - level)
    v = np.where(np.arange(n) < m, v, level + rise * np.clip((np.arange(n) - m) / (n - m), 0, 1))
    return v * np.exp(0.1 * g.standard_normal(n))


def rising_throughout(n: int, g: np.random.Generator) -> Array:
    t = np.arange(n) / n
    return (1.0 + g.uniform(0.5, 3.0) * t ** g.uniform(0.3, 1.5)) * np.exp(0.1 * g.standard_normal(n))


def rising_below_zero(n: int, g: np.random.Generator) -> Array:
    v = drift(n, g)
    return v - v.max() - 1.0


def late_divergence(n: int, g: np.random.Generator) -> Array:
    """Exponential growth over the last 40 %."""
    v = decay(n, g)
    m = int(0.6 * n)
    v[m:] = v[m] * np.exp(np.linspace(0, g.uniform(1.5, 5), n - m))
    return v * np.exp(0.05 * g.standard_normal(n))


def step(n: int, g: np.random.Generator) -> Array:
    """Steps up by 40 to 300 % of its level and stays there."""
    v = decay(n, g)
    m = int(n * g.uniform(0.35, 0.75))
    v[m:] = v[m] * g.uniform(1.4, 4.0) + 0.3 * (v[n // 10] - v[m])
    return v * np.exp(0.08 * g.standard_normal(n))


SICK_RISING: dict[str, Maker] = {
    "drift from a minimum": drift,
    "rising throughout": rising_throughout,
    "drift below zero": rising_below_zero,
    "exponential divergence": late_divergence,
}
SICK_STEP: dict[str, Maker] = {"step up": step}


def draws(maker: Maker, count: int, lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> Iterator[Array]:
    """`count` curves of every length, the same ones each time."""
    for n in lengths:
        for k in range(count):
            yield maker(n, np.random.default_rng([seed, n, k]))


def noisy_evaluations(n: int, g: np.random.Generator) -> Array:
    return g.uniform(0.1, 5.0) * np.exp(g.uniform(0.01, 0.5) * g.standard_normal(n))


def improving_evaluations(n: int, g: np.random.Generator) -> Array:
    t = np.arange(n) + 1.0
    return (0.3 + t ** -g.uniform(0.2, 1.0)) * np.exp(g.uniform(0.01, 0.1) * g.standard_normal(n))


def overfitting_evaluations(n: int, g: np.random.Generator) -> Array:
    """Falls until the first third of the evaluations, then rises steadily by half its minimum or more."""
    t = np.arange(n)
    m = max(1, n // 3)
    fall = np.exp(-2.0 * t / m) + 0.5
    rise = np.where(t > m, (t - m) / (n - m) * g.uniform(0.4, 1.5), 0.0)
    return (fall + rise) * np.exp(0.02 * g.standard_normal(n))
