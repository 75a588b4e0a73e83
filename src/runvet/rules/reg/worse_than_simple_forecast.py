"""REG108 worse-than-simple-forecast."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.forecasts import Forecast, Forecasts
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num
from runvet.run import FloatArray, Run


@rule("REG108", "worse-than-simple-forecast", level="critical", since="0.1")
def worse_than_simple_forecast(forecasts: Forecasts, *, worse: float = 1.1, far: float = 1.5, sure: float = 4.0) -> Iterator[Sick]:  # fmt: skip
    """A predicted future is worse than the last value, than constant velocity, or than standing still.

    ## What it checks
    Saved predictions over several steps. Where the file keeps the past (`past`, `history`, `context`, `last` …) that
    the truth goes on from: the last value repeated, and the last velocity kept. Where paths begin at the origin:
    standing still. Sample by sample, the mean distance of the model against each. A warning where it is 10 % above
    (by four standard errors), critical where it is 50 % above.
    ## Why it matters
    R² against the mean may look fine, since a future resembles its past; only against these does skill show.
    ## What to do
    Predict the difference to the simple forecast, check that the past reaches the model in the right order and unit,
    and report skill against it.
    ## When to ignore it
    Prices and other random walks, where the last value is the best forecast there is; samples of several futures.
    ## Known limits
    The past must be in the file, in the unit of the truth.
    ## References
    - Hyndman, Koehler 2006, doi 10.1016/j.ijforecast.2006.03.001 (scaled errors).
    """
    for one in forecasts.all:
        own = one.errors(one.pred)
        bad = [(name, e) for name, f in one.simple if _above(own, e := one.errors(f), worse, sure)]
        if bad:
            yield _report(one, own, min(bad, key=lambda b: float(b[1].mean())), far)


def _above(own: FloatArray, other: FloatArray, worse: float, sure: float) -> bool:
    gap = own - other
    return bool(own.mean() > worse * other.mean() and gap.mean() > sure * gap.std() / np.sqrt(len(gap)))


def _report(one: Forecast, own: FloatArray, bad: tuple[str, FloatArray], far: float) -> Sick:
    name, error = bad
    ratio = float(own.mean() / error.mean()) if error.mean() > 0 else float("inf")
    pair = one.pair
    return Sick(
        f"predictions of {pair.name} are off by {num(float(own.mean()))} on average over {one.true.shape[1]} steps, {name} by {num(float(error.mean()))}: {ratio:.3g} times as far",
        (
            Measure("mean distance of the predictions", float(f"{own.mean():.5g}"), None, pair.where),
            *(Measure(f"mean distance of {n}", float(f"{one.errors(f).mean():.5g}")) for n, f in one.simple),
            Measure("samples in which the predictions are nearer", round(float(np.mean(own < error)), 4), "share", f"{pair.n} samples"),
            Measure("R² against the mean", round(pair.r2, 4)),
        ),
        innocent="the future is a random walk, or one of several possible futures was sampled",
        actions=(
            Action(f"Let the model predict the difference to {name}, and check that the past reaches it in order and unit", "a restart", "repair"),
            Action(f"Report skill against {name} beside every error", "minutes", "measure"),
        ),
        level=None if ratio > far else "warning",
    )  # fmt: skip


def _series(n: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Past (n, 8, 2) and future (n, 12, 2) of smooth motion."""
    rng = np.random.default_rng(seed)
    t = np.arange(-8, 12)[None, :, None] / 10
    motion = (
        rng.uniform(-60, 60, (n, 1, 2)) + rng.uniform(-12, 12, (n, 1, 2)) * t + rng.standard_normal((n, 1, 2)) * t**2
    )
    return motion[:, :8], motion[:, 8:]


def sick() -> Iterator[Run]:
    """A model that knows the place and not the motion, one worse than standing still, one series of the same kind."""
    past, future = _series(200)
    noise = made.truth(200, 24, scale=9.0, seed=2).reshape(future.shape)
    yield made.with_files({"predictions.npz": {"pred": future + noise, "gt": future, "past": past}})
    ego = future - past[:, -1:]
    yield made.with_files({"predictions.npz": {"pred": ego + 4 * noise, "gt": ego}})
    walk = np.cumsum(made.truth(300, 30, seed=4), axis=1)
    yield made.with_files({"forecast.npz": {"pred": walk[:, 24:] + 4 * made.truth(300, 6, seed=5), "target": walk[:, 24:], "history": walk[:, :24]}})  # fmt: skip


def healthy() -> Iterator[Run]:
    """Better than constant velocity; as good as the last value of a random walk; a past in another unit."""
    past, future = _series(200)
    noise = made.truth(200, 24, scale=0.2, seed=2).reshape(future.shape)
    yield made.with_files({"predictions.npz": {"pred": future + noise, "gt": future, "past": past}})
    walk = np.cumsum(made.truth(300, 30, seed=4), axis=1)
    guess = np.repeat(walk[:, 23:24], 6, axis=1) + 0.1 * made.truth(300, 6, seed=5)
    yield made.with_files({"forecast.npz": {"pred": guess, "target": walk[:, 24:], "history": walk[:, :24]}})
    ego = future - past[:, -1:]
    yield made.with_files({"predictions.npz": {"pred": ego + noise, "gt": ego, "past": 100 * past}})
