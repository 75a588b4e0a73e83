"""Thinning for a drawing: nothing that an eye looks for is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runvet import curves
from runvet.run import Run, Series, Stage

POINT = st.one_of(st.floats(-1e6, 1e6, width=32), st.sampled_from([np.nan, np.inf, -np.inf]))


def series(
    y: np.ndarray,
    *,
    x: np.ndarray | None = None,
    segment: np.ndarray | None = None,
    name: str = "loss",
    role: str | None = "train_loss",
) -> Series:
    n, finite = len(y), y[np.isfinite(y)]
    none, zero = np.full(n, np.nan), np.zeros(n, np.int64)
    step = np.arange(n, dtype=float) if x is None else x
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (np.nan, np.nan)
    return Series(
        name,
        y,
        step,
        none,
        none,
        zero,
        zero,
        zero if segment is None else segment,
        ("a.csv",),
        n,
        n - len(finite),
        low,
        high,
        role=role,
    )


@given(st.lists(POINT, min_size=1, max_size=400), st.integers(8, 120), st.integers(1, 3))
def test_ends_extremes_and_gaps_are_kept(values: list[float], most: int, parts: int) -> None:
    y = np.array(values)
    x = np.arange(len(y), dtype=float)
    segment = np.arange(len(y)) * parts // len(y)
    index, starts = curves.thin(x, y, segment, most)
    assert len(index) <= most + 8 * parts
    assert len(starts) == (len(np.unique(segment)) if 4 * len(np.unique(segment)) <= most else 1)
    assert {0, len(y) - 1} <= set(index)
    finite = y[np.isfinite(y)]
    if len(finite):
        assert {finite.min(), finite.max()} <= set(y[index])
    assert np.isfinite(y).all() == np.isfinite(y[index]).all(), "a gap stays a gap"
    for first, after in zip(starts, [*starts[1:], len(index)], strict=True):
        assert (np.diff(x[index[first:after]]) >= 0).all()


@given(st.integers(1, 40), st.integers(2_000, 20_000))
def test_every_single_spike_is_drawn(spikes: int, n: int) -> None:
    y = np.sin(np.arange(n) / 50)
    at = np.random.default_rng(spikes).choice(n, spikes, replace=False)
    y[at] = 10 + np.arange(spikes)
    drawn = curves.curve("s", series(y))
    buckets = -(-n // ((curves.MOST - 2) // 2))
    lonely = [i for i in at if not any(j != i and j // buckets == i // buckets for j in at)]
    assert {y[i] for i in lonely} <= set(drawn.y)
    assert drawn.total == n


def test_replayed_steps_start_a_segment_and_small_moves_keep_their_digits() -> None:
    x = np.concatenate([np.arange(100.0), np.arange(80.0, 150.0)])
    y = 1 + np.arange(170) * 1e-9
    drawn = curves.curve("s", series(y, x=x, segment=np.repeat([0, 1], [100, 70])))
    assert drawn.starts == (0, 100)
    assert drawn.x[100] == 80
    assert len(set(drawn.y)) == 170


def test_a_noisy_curve_has_medians_and_a_smooth_one_none() -> None:
    rng = np.random.default_rng(0)
    noisy = curves.trend(series(3 + rng.standard_normal(10_000)))
    assert noisy is not None
    assert abs(np.mean(noisy.y) - 3) < 0.05
    assert np.std(noisy.y) < 0.3
    assert curves.trend(series(np.linspace(5, 1, 10_000))) is None


@pytest.mark.parametrize("count", [1, 40, 3_000])
def test_many_curves_stay_within_the_budget_and_the_wanted_ones_come_first(count: int) -> None:
    many = tuple(series(np.arange(5_000.0) % 7, name=f"m{i}", role=None) for i in range(count))
    drawn = curves.of(Run("r", (Stage("s", "r", many),)), {("s", f"m{count - 1}")})
    assert sum(len(c.x) for c in drawn) <= curves.BUDGET
    assert f"m{count - 1}" in {c.name for c in drawn}
    assert len(drawn) >= min(count, curves.BUDGET // curves.MOST)
    assert [int(c.name[1:]) for c in drawn] == sorted(int(c.name[1:]) for c in drawn)
