"""Rises, steps, flatness, small series: healthy simulated curves stay quiet, sick ones do not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import simulated_curves as curves
from runvet import statistics as st

CURVES = 40  # of each of the five lengths and each kind


def fires(values) -> tuple[bool, bool]:
    """Whether anything is found, and whether that is critical."""
    x = np.arange(len(values))
    rise = st.rising(x, values)
    return bool(rise or st.never_regained(x, values)), rise is not None and rise.level == "critical"


def test_healthy_curves_are_quiet():
    """Less than 1 % over all kinds, at most 3 of 200 of any one kind, and next to none critical."""
    found = {k: [fires(v) for v in curves.draws(m, CURVES)] for k, m in curves.HEALTHY.items()}
    counts = {kind: sum(any_ for any_, _ in results) for kind, results in found.items()}
    total = sum(len(results) for results in found.values())
    assert sum(counts.values()) < 0.01 * total, counts
    assert max(counts.values()) <= 3, counts
    assert sum(critical for results in found.values() for _, critical in results) <= 0.001 * total + 1


@pytest.mark.parametrize("kind", [*curves.SICK_RISING, *curves.SICK_STEP])
def test_sick_curves_are_found(kind):
    maker = (curves.SICK_RISING | curves.SICK_STEP)[kind]
    long = [fires(v)[0] for v in curves.draws(maker, CURVES, (150, 600, 4000))]
    short = [fires(v)[0] for v in curves.draws(maker, CURVES, (45, 70))]
    assert np.mean(long) > 0.95
    assert np.mean(short) > 0.75


@pytest.mark.parametrize("kind", [*curves.HEALTHY, *curves.SICK_RISING])
def test_up_is_down_turned_over(kind):
    """A metric that falls, with "up", is a loss that rises; checked for curves that no logarithm changes."""
    for v in curves.draws((curves.HEALTHY | curves.SICK_RISING)[kind], 4, (70, 600)):
        x, low = np.arange(len(v)), v - v.max() - 1.0
        down, up = st.rising(x, low), st.rising(x, -low - 2 * np.abs(low).max(), direction="up")
        assert (down is None) == (up is None)
        if down is not None and up is not None:
            assert (down.level, down.start, down.tau) == (up.level, up.start, up.tau)
            assert up.size == pytest.approx(down.size)


@settings(deadline=None, max_examples=60)
@given(some.integers(0, 10_000), some.floats(1e-6, 1e6))
def test_verdicts_do_not_depend_on_the_unit(seed, unit):
    g = np.random.default_rng(seed)
    kinds = list((curves.HEALTHY | curves.SICK_RISING | curves.SICK_STEP).values())
    v = kinds[seed % len(kinds)](200, g)
    x = np.arange(200)
    a, b = st.rising(x, v), st.rising(x, v * unit)
    assert (a and (a.level, a.start)) == (b and (b.level, b.start))
    c, d = st.never_regained(x, v), st.never_regained(x, v * unit)
    assert (c and (c.index, c.abrupt)) == (d and (d.index, d.abrupt))
    assert st.spikes(v).indices.tolist() == st.spikes(v * unit).indices.tolist()
    assert (st.flat_from_start(x, v) is None) == (st.flat_from_start(x, v * unit) is None)


@settings(deadline=None, max_examples=60)
@given(some.integers(0, 10_000), some.floats(-1e3, 0))
def test_verdicts_below_zero_do_not_depend_on_the_origin(seed, shift):
    g = np.random.default_rng(seed)
    kinds = list((curves.HEALTHY | curves.SICK_RISING | curves.SICK_STEP).values())
    v = kinds[seed % len(kinds)](200, g)
    v = v - v.max() - 1.0
    x = np.arange(200)
    a, b = st.rising(x, v), st.rising(x, v + shift)
    assert (a and (a.level, a.start)) == (b and (b.level, b.start))
    c, d = st.never_regained(x, v), st.never_regained(x, v + shift)
    assert (c and c.index) == (d and d.index)
    assert st.spikes(v).indices.tolist() == st.spikes(v + shift).indices.tolist()


def test_rise_tells_its_numbers():
    t = np.arange(2000.0)
    v = np.where(t < 500, 3.0 - 2.0 * t / 500, 1.0 + (t - 500) / 1500)
    v += 0.05 * np.random.default_rng(3).standard_normal(2000)
    rise = st.rising(10 * t, v)
    assert rise is not None
    assert rise.level == "critical"
    assert 4000 <= rise.x <= 6000
    assert rise.best == pytest.approx(1.03, abs=0.05)
    assert rise.last == pytest.approx(1.97, abs=0.05)
    assert rise.relative == pytest.approx(rise.size / rise.best)
    assert rise.slope.slope == pytest.approx(1 / 15000, rel=0.1)
    assert rise.slope.low <= rise.slope.slope <= rise.slope.high
    assert rise.given_back == pytest.approx(0.94 / 1.4, abs=0.1)  # 1.4 of 2 were gained after the warm-up


def test_a_minimum_within_the_warmup_is_told():
    t = np.arange(10_000.0)
    v = np.where(t < 100, 2.0 - t / 100, 1.0 + 3.0 * (t - 100) / 9900)
    v = v + 0.05 * np.random.default_rng(4).standard_normal(len(t))
    rise = st.rising(t, v)
    assert rise is not None
    assert rise.start <= 500
    assert rise.best < 1.1


def test_a_step_is_localised_on_raw_points():
    for seed in range(10):
        g = np.random.default_rng(seed)
        place = int(g.integers(1500, 3000))
        v = 2.0 + np.exp(-np.arange(4000) / 300) + 0.1 * g.standard_normal(4000)
        v[place:] += 1.5
        found = st.never_regained(np.arange(4000), v)
        assert found is not None
        assert abs(found.index - place) <= 20
        assert found.abrupt
    drift = np.linspace(1, 3, 4000) + 0.1 * np.random.default_rng(0).standard_normal(4000)
    slow = st.never_regained(np.arange(4000), drift)
    assert slow is not None
    assert not slow.abrupt


def test_a_step_that_is_regained_is_none():
    v = np.concatenate([np.linspace(3, 1, 600), np.full(300, 2.0), np.linspace(2, 0.8, 600)])
    v += 0.03 * np.random.default_rng(0).standard_normal(len(v))
    assert st.never_regained(np.arange(len(v)), v) is None


@pytest.mark.parametrize("n", [4, 5, 6, 8, 10, 15, 25, 39])
def test_noisy_evaluations_are_quiet(n):
    for kind, most in ((curves.noisy_evaluations, 0.02), (curves.improving_evaluations, 0.0)):
        draws = list(curves.draws(kind, 400, (n,)))
        assert np.mean([st.overfit_small(v) is not None for v in draws]) <= most
        assert np.mean([st.rising_small(v) is not None for v in draws]) <= most / 2


@pytest.mark.parametrize("n", [5, 6, 8, 10, 15, 25, 39])
def test_overfitting_evaluations_are_found(n):
    draws = list(curves.draws(curves.overfitting_evaluations, 200, (n,)))
    share = np.mean([bool(st.overfit_small(v) or st.rising_small(v)) for v in draws])
    assert share > (0.95 if n >= 8 else 0.8)


def test_four_points():
    assert st.overfit_small([0.6, 0.5, 0.8, 1.1]) is not None
    assert st.overfit_small([0.5, 0.45, 0.46, 0.48]) is None
    assert st.rising_small([1.0, 2.0, 3.0, 4.0]) is None
    assert st.overfit_small([1.0, 2.0, 3.0]) is None


def test_evaluations_apart_from_the_first():
    v = [0.69, 0.79, 0.89, 5.5, 1.9, 3.2, 5.3, 4.0, 5.7, 1.3, 1.8, 2.1, 3.0, 6.6, 5.4, 4.4, 2.7]
    rise = st.rising_small(v)
    assert rise is not None
    assert rise.best_index == 0
    up = st.rising_small([1.0 / x for x in v], direction="up")
    assert up is not None
    assert up.best == pytest.approx(1 / 0.69)


def test_flat_from_start():
    quiet = {
        k: [st.flat_from_start(np.arange(len(v)), v) for v in curves.draws(m, 20)] for k, m in curves.HEALTHY.items()
    }
    falling = [f for k, results in quiet.items() if k != "noise alone" for f in results]
    assert np.mean([f is not None for f in falling]) < 0.01
    stuck = [0.693 + 0.002 * np.random.default_rng(s).standard_normal(300) for s in range(100)]
    found = [st.flat_from_start(np.arange(300), v) for v in stuck]
    assert np.mean([f is not None for f in found]) > 0.85
    constant = st.flat_from_start(np.arange(50), np.full(50, 2.0))
    assert constant is not None
    assert (constant.level, constant.change) == (2.0, 0.0)
    assert st.flat_from_start(np.arange(11), np.full(11, 2.0)) is None


def test_plateau_share():
    g = np.random.default_rng(0)
    v = np.concatenate([np.linspace(5, 1, 500), np.full(500, 1.0)]) + 0.02 * g.standard_normal(1000)
    assert st.plateau_share(np.arange(1000), v) == pytest.approx(0.5, abs=0.08)
    assert st.plateau_share(np.arange(1000), -v, direction="up") == pytest.approx(0.5, abs=0.08)
    assert st.plateau_share(np.arange(1000), np.linspace(5, 1, 1000)) == 0.0
    assert math.isnan(st.plateau_share([1.0], [1.0]))


def test_bit_constant():
    found = st.bit_constant([1.0, np.nan, 0.4244, 0.4244, 0.42440000001, 0.4244, 0.4244, 0.5])
    assert found is not None
    assert (found.start, found.count, found.tail) == (2, 5, 1)
    assert found.share == pytest.approx(5 / 7)
    assert st.bit_constant([0.4244, 0.4245] * 10) is None
    assert st.bit_constant([1e-300] * 6) is not None
    assert st.bit_constant([-3e90] * 6) is not None
    assert st.bit_constant([]) is None


def test_level_near():
    near = st.level_near([0.69, 0.70, 0.9], math.log(2))
    assert near.share == pytest.approx(2 / 3)
    assert near.deviation == pytest.approx(0.70 / math.log(2) - 1)
    assert math.isnan(st.level_near([], 1.0).share)
    with pytest.raises(ValueError, match="target"):
        st.level_near([1.0], 0.0)
