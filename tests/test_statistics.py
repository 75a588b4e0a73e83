"""The statistics against scipy, against plain definitions, and under what must not change them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from runvet import statistics as st

floats = some.floats(-1e6, 1e6, allow_subnormal=False)
raw = arrays.arrays(
    np.float64,
    some.integers(0, 200),
    elements=some.one_of(floats, some.sampled_from([np.nan, np.inf, -np.inf, 1e300, -1e308, 1e-320, 1e38])),
)
curves = arrays.arrays(np.float64, some.integers(2, 60), elements=floats)
few_values = arrays.arrays(np.float64, some.integers(2, 60), elements=some.integers(-5, 5).map(float))


def paired(values: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(values)


@given(some.one_of(curves, few_values), some.integers(0, 9))
def test_kendall_agrees_with_scipy(values, seed):
    other = paired(values, seed)
    mine, theirs = st.kendall(other, values), scipy.stats.kendalltau(other, values)
    assert mine.tau == pytest.approx(theirs.statistic, abs=1e-12, nan_ok=True)
    assert mine.p == pytest.approx(theirs.pvalue, abs=1e-9, nan_ok=True)


@given(curves)
def test_kendall_of_one_array_is_against_its_order(values):
    mine, theirs = st.kendall(values), st.kendall(np.arange(len(values)), values)
    assert (mine.tau, mine.p) == pytest.approx((theirs.tau, theirs.p), nan_ok=True)
    back = st.kendall(values[::-1])
    assert back.tau == pytest.approx(-mine.tau, nan_ok=True)
    assert back.p == pytest.approx(mine.p, nan_ok=True)


@settings(deadline=None)
@given(some.one_of(curves, few_values), some.integers(0, 9))
def test_theil_sen_agrees_with_scipy(values, seed):
    x = paired(np.arange(len(values), dtype=float), seed)
    mine, theirs = st.theil_sen(x, values), scipy.stats.theilslopes(values, x)
    expected = (theirs.slope, theirs.low_slope, theirs.high_slope)
    assert (mine.slope, mine.low, mine.high) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_theil_sen_of_a_long_line_in_bounded_memory():
    g = np.random.default_rng(0)
    x = np.arange(300_000.0)
    mine = st.theil_sen(x, 3.0 * x + 1e4 * g.standard_normal(len(x)))
    assert mine.low < 3.0 < mine.high
    assert mine.slope == pytest.approx(3.0, rel=0.01)


@given(some.one_of(curves, few_values), some.integers(0, 9))
def test_spearman_agrees_with_scipy(values, seed):
    other = paired(values, seed)
    rho, p = st.spearman(other, values)
    if len(values) < 3 or len(np.unique(values)) < 2:
        assert math.isnan(rho)
        assert math.isnan(p)
    else:
        theirs = scipy.stats.spearmanr(other, values)
        assert rho == pytest.approx(theirs.statistic, abs=1e-9)
        if abs(rho) < 1.0 - 1e-9:  # there p hangs on the last bits of 1 - rho²
            assert p == pytest.approx(theirs.pvalue, abs=1e-6)


@given(some.lists(some.integers(-1000, 1000), min_size=3, max_size=60), some.integers(0, 9))
def test_correlation_agrees_with_numpy(values, seed):
    a = np.array(values, float)
    b = paired(a, seed)
    if len(np.unique(a)) > 1:
        assert st.correlation(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-9)
    else:
        assert math.isnan(st.correlation(a, b))


@given(curves)
def test_noise_is_the_mad_of_differences(values):
    if len(values) < 3:
        assert math.isnan(st.noise(values))
        return
    spread = scipy.stats.median_abs_deviation(np.diff(values))
    if spread > 0:
        assert st.noise(values) == pytest.approx(1.4826 * spread / math.sqrt(2), rel=1e-12)
    assert st.noise(values, block=True) >= st.noise(values)
    assert st.mad(values) == pytest.approx(scipy.stats.median_abs_deviation(values))


@given(curves, some.floats(-100, 100))
def test_noise_does_not_see_a_line(values, slope):
    if len(values) >= 3:
        tilted = values + slope * np.arange(len(values))
        # only where the MAD itself counts: its stand-in for rounded curves begins at zero
        if min(scipy.stats.median_abs_deviation(np.diff(v)) for v in (values, tilted)) > 1e-3:
            assert st.noise(tilted) == pytest.approx(st.noise(values), rel=1e-5, abs=1e-5)


def test_noise_of_known_curves():
    g = np.random.default_rng(1)
    white = g.standard_normal(20_000)
    assert st.noise(white) == pytest.approx(1.0, rel=0.05)
    assert st.noise(white, block=True) == pytest.approx(1.0, rel=0.25)
    assert st.noise(np.linspace(0, 9, 50)) == pytest.approx(0.0, abs=1e-12)
    assert st.noise(np.full(50, 7.0)) == 0.0
    assert math.isnan(st.noise([1.0, 2.0]))
    assert st.noise(np.repeat(g.standard_normal(100), 5)) > 0.1  # mostly equal neighbours are not no noise


def test_block_noise_is_honest_for_smoothed_curves():
    """The spread of block medians of a running mean is what `block` says it is, within a factor of two."""
    ratios = []
    for seed in range(20):
        g = np.random.default_rng(seed)
        smooth = np.convolve(g.standard_normal(4049), np.full(50, 1 / 50), "valid")
        medians = np.median(smooth.reshape(-1, 160), axis=1)
        ratios.append(1.2533 * st.noise(smooth, block=True) / math.sqrt(160) / medians.std())
        assert 1.2533 * st.noise(smooth) / math.sqrt(160) < 0.2 * medians.std()
    assert 0.5 < np.median(ratios) < 2.0


@given(some.integers(40, 3000), some.integers(0, 99))
def test_bins_cover_all_points_equally(n, seed):
    values = np.random.default_rng(seed).standard_normal(n)
    made = st.bins(np.arange(n), values)
    assert made is not None
    assert 8 <= len(made) <= 24
    assert made.start[0] == 0
    assert made.stop[-1] == n
    assert (made.start[1:] == made.stop[:-1]).all()
    assert made.n.max() - made.n.min() <= 1
    assert n < 64 or made.n.min() >= 8
    for i in range(len(made)):
        assert made.value[i] == np.median(values[made.start[i] : made.stop[i]])
    assert (made.se > 0).all()


def test_bins_point_into_the_given_arrays():
    values = np.arange(100.0)
    values[[0, 3, 50]] = np.nan
    made = st.bins(np.arange(100.0), values)
    assert made is not None
    assert made.start[0] == 1
    assert made.n.sum() == 97
    assert made.stop[-1] == 100
    assert st.bins(np.arange(39.0), np.arange(39.0)) is None
    with pytest.raises(ValueError, match="39 points"):
        st.bins(np.arange(39.0), np.arange(40.0))


def test_standard_errors_follow_the_local_noise():
    g = np.random.default_rng(2)
    values = np.concatenate([0.1 * g.standard_normal(2000), 5.0 * g.standard_normal(2000)])
    made = st.bins(np.arange(4000), values)
    assert made is not None
    assert made.se[-3:].mean() > 20 * made.se[:3].mean()


def test_log_domain():
    assert st.log_domain([1.0, 21.0])
    assert not st.log_domain([1.0, 19.0])
    assert not st.log_domain([0.0, 19.0])
    assert not st.log_domain([-1.0, 100.0])
    assert not st.log_domain([])
    turned, log = st.to_domain([1.0, math.e**4])
    assert log
    assert turned == pytest.approx([0.0, 4.0])
    assert st.to_domain([1.0, 2.0])[1] is False


@settings(deadline=None)
@given(raw)
def test_everything_takes_anything(values):
    x = np.arange(len(values), dtype=float)
    for direction in ("down", "up"):
        st.rising(x, values, direction=direction)
        st.never_regained(x, values, direction=direction)
        st.overfit_small(values, direction=direction)
        st.rising_small(values, direction=direction)
        st.plateau_share(x, values, direction=direction)
        best = st.best_index(values, direction)
        assert (best is None) == (not (np.abs(values) < 1e100).any())
        assert not st.improvement(values, direction) < 0
    st.flat_from_start(x, values)
    st.bit_constant(values)
    st.level_near(values, 1.0)
    st.kendall(values)
    st.theil_sen(x, values)
    st.spearman(x, values)
    st.noise(values, block=True)
    st.is_cumulative_clock(values)
    st.step_times(values, x)
    st.speed(values, x)
    st.replayed(values, values)
    spiky = st.spikes(values)
    assert len(st.detrend(values)) == len(values)
    assert np.isfinite(values[spiky.indices]).all()


@given(raw)
def test_nan_points_are_as_if_absent(values):
    usable = np.abs(values) < 1e100
    kept, inner, x = values[usable], np.flatnonzero(usable), np.arange(len(values), dtype=float)
    whole, part = st.rising(x, values), st.rising(inner, kept)
    assert (whole is None) == (part is None)
    if whole is not None and part is not None:
        assert whole.start == inner[part.start]
        assert whole.best == part.best
    assert inner[st.spikes(kept).indices].tolist() == st.spikes(values).indices.tolist()
    small, small_kept = st.overfit_small(values), st.overfit_small(kept)
    assert (small is None) == (small_kept is None)


def test_best_index_and_improvement():
    assert st.best_index([3.0, np.nan, 1.0, 1.0]) == 2
    assert st.best_index([3.0, np.nan, 1.0], "up") == 0
    assert st.best_index([np.nan]) is None
    assert st.improvement([3.0, 1.0, 2.0]) == 2.0
    assert st.improvement([0.1, 0.7, 0.6], "up") == pytest.approx(0.6)
    assert st.improvement([1.0, 2.0]) == 0.0
    assert math.isnan(st.improvement([]))
    lucky = np.full(400, 2.0) + 0.01 * np.random.default_rng(0).standard_normal(400)
    lucky[0], lucky[200] = 3.0, -50.0
    assert st.improvement(lucky) < 1.1
