"""Spikes, windows, clocks and replays; and what the statistics say about a shared case."""

from __future__ import annotations

import csv
import itertools
import json
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from runvet import statistics as st


def plain_spikes(values, window=128):
    """The definition, point by point."""
    v = np.log(values) if min(values) > 0 else np.asarray(values)
    guard = math.log(2) if min(values) > 0 else 0.5 * np.subtract(*np.percentile(values, (95, 5)))
    found = []
    for i in range(16, len(v)):
        before = v[max(0, i - window) : i]
        middle = np.median(before)
        scale = 1.4826 * np.median(np.abs(before - middle))
        excess = v[i] - middle
        if excess > 6 * scale and excess > guard and excess > 1.5 * (np.percentile(before, 99) - middle):
            found.append(i)
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("below_zero", [False, True])
def test_spikes_are_those_of_the_plain_definition(seed, below_zero):
    g = np.random.default_rng(seed)
    v = (1 + np.exp(-np.arange(3000) / 200)) * np.exp(g.choice([0.05, 0.3]) * g.standard_normal(3000))
    v[g.choice(3000, 30)] *= g.uniform(1.5, 30, 30)
    if seed % 2:
        v[1700:] *= 4  # every point after a step is judged by a mixed window
    v = v - 10 if below_zero else v
    assert st.spikes(v).indices.tolist() == plain_spikes(v)


def test_spikes_of_a_long_curve_in_bounded_memory():
    g = np.random.default_rng(0)
    v = np.exp(0.1 * g.standard_normal(1_200_000))
    places = np.sort(g.choice(np.arange(200, len(v)), 50, replace=False))
    v[places] *= 20
    tracemalloc.start()
    found = st.spikes(v)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.indices.tolist() == places.tolist()
    assert peak < 60e6
    assert found.recovered
    assert found.longest == 1


def test_ten_million_points_in_bounded_memory():
    n = 10_000_000
    x = np.arange(n, dtype=float)
    v = np.random.default_rng(0).standard_normal(n)
    v += 2.0 + 2e-7 * x
    v[::2] = np.nan
    tracemalloc.start()
    rise, step = st.rising(x, v), st.never_regained(x, v)
    st.flat_from_start(x, v)
    st.kendall(x, v)
    st.noise(v, block=True)
    st.speed(x, x)
    st.bit_constant(v)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * 40e6 + 200e6  # a few columns of four million points, whatever n is
    assert rise is not None
    assert rise.level == "critical"
    assert rise.start % 2 == 1
    assert step is not None
    assert not step.abrupt


def test_recovery_of_spikes():
    v = np.full(1000, 1.0) + 0.01 * np.random.default_rng(0).standard_normal(1000)
    v[500:520] = 9.0
    found = st.spikes(v)
    assert (found.longest, found.open, found.recovered) == (20, 0, True)
    v[700:] = 9.0
    found = st.spikes(v)
    assert (found.open, found.recovered) == (300, False)
    assert st.spikes(np.ones(500)).rate == 0.0
    assert len(st.spikes([1.0, 2.0]).indices) == 0
    with pytest.raises(ValueError, match="16"):
        st.spikes(v, window=8)


def test_windows_of_the_contract():
    assert st.window_edges(0, 50343) == [(0, 10000), (10000, 20000), (20000, 30000), (30000, 40000), (40000, 50344)]
    assert st.window_edges(0, 0) == [(0, 1)]
    assert st.window_edges(99_990, 120_000)[0] == (95_000, 100_000)
    assert st.window_edges(5, 4) == []
    assert st.window_edges(math.nan, 4) == []


@given(some.integers(0, 10**9), some.integers(0, 10**9))
def test_windows_cover_every_step_once(first, span):
    edges = st.window_edges(first, first + span)
    assert edges[0][0] <= first < edges[0][1]
    assert edges[-1][1] == first + span + 1
    assert all(a[1] == b[0] for a, b in itertools.pairwise(edges))
    lengths = {b - a for a, b in edges[:-1]}
    assert len(lengths) <= 1
    for length in lengths:
        assert str(length).strip("0") in {"1", "2", "5"}
        assert all(a % length == 0 for a, _ in edges)
        assert 2 * (edges[-1][1] - edges[-1][0]) >= length
        assert edges[-1][1] - edges[-1][0] < 1.5 * length
    if span >= 3:
        assert 3 <= len(edges) <= 10  # four to eight wherever a round length gives that


def test_speed_and_step_times():
    step = np.arange(0, 1000, 10.0)
    time = step * 0.5
    time[60:] += 7200.0  # a stop of two hours
    times = st.step_times(time, step)
    assert times.seconds[:5] == pytest.approx([0.5] * 5)
    assert times.pause.nonzero()[0].tolist() == [59]
    assert times.step[59] == 600.0
    assert st.speed(time, step).overall == pytest.approx(2.0)
    slower = np.cumsum(np.where(np.arange(1000) < 900, 1.0, 4.0))
    measured = st.speed(slower, np.arange(1000.0))
    assert measured.recent == pytest.approx(0.25, rel=0.05)
    assert measured.overall == pytest.approx(999 / (slower[-1] - slower[0]))
    assert math.isnan(st.speed([1.0], [1.0]).overall)


def test_a_clock_that_ticks_slower_than_the_points():
    step = np.arange(2000.0)
    assert st.speed(np.floor(step / 7.0), step).overall == pytest.approx(7.0, rel=0.01)
    assert np.median(st.step_times(np.floor(step / 7.0), step).seconds) == pytest.approx(1 / 7)


def test_restarts_do_not_count_as_speed():
    step = np.concatenate([np.arange(0, 100.0), np.arange(50, 150.0)])
    time = np.concatenate([np.arange(0, 100.0), np.arange(0, 100.0)])
    assert st.speed(time, step).overall == pytest.approx(1.0)


def test_cumulative_clock():
    g = np.random.default_rng(0)
    assert st.is_cumulative_clock(3.0 + 2.5 * np.arange(100) + 0.05 * g.standard_normal(100))
    assert not st.is_cumulative_clock(g.uniform(1, 2, 100))
    assert not st.is_cumulative_clock(np.linspace(1, 2, 100) ** 3)
    assert not st.is_cumulative_clock([1.0, 2.0, 3.0])


def test_replays():
    g = np.random.default_rng(0)
    order = g.standard_normal(200)
    before = 2.0 + 0.1 * order + 0.03 * g.standard_normal(200) - 0.002 * np.arange(200)
    again = 1.5 + 0.1 * order + 0.03 * g.standard_normal(200)
    assert st.replayed(before, again) > 0.8
    others = [st.replayed(before, 1.5 + 0.1 * g.permutation(order)) for _ in range(50)]
    assert np.abs(others).max() < 0.35
    assert math.isnan(st.replayed(before[:5], again))
    assert st.detrend(np.arange(50.0)) == pytest.approx(np.zeros(50), abs=1e-9)
    a, b = g.standard_normal(200), g.standard_normal(200)
    a[77] = b[77] = 500.0  # one common spike is no replay
    assert abs(st.replayed(a, b)) < 0.4


@pytest.mark.shared
def test_numbers_of_the_worlds_case():
    from shared import shared

    case = shared("cases/worlds-dynamics")
    with next(case.glob("run/Logs/dynamics_history*.csv")).open() as file:
        rows = list(csv.DictReader(file))
    step, time, loss = (np.array([float(r[k]) for r in rows]) for k in ("_step", "_runtime", "train/loss"))
    expected = {
        n["json_path"]: n["value"]
        for n in json.loads((case / "expect.json").read_text())["stages"]["dynamics"]["numbers"]
    }
    measured = st.speed(time, step)
    assert measured.overall == pytest.approx(expected["speed.overall"], abs=1e-4)
    assert measured.recent == pytest.approx(expected["speed.recent"], abs=1e-4)
    for low, high in st.window_edges(step[0], step[-1]):
        mean = loss[(step >= low) & (step < high)].mean()
        assert mean == pytest.approx(expected[f"windows[from={low}].mean"], abs=5e-4)
    rise = st.rising(step, loss)
    assert rise is not None
    assert rise.level == "critical"
    assert rise.x < 2600
