"""The sink: exact counts and extremes, bounded memory, folded events."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runvet.run import Series
from runvet.sink import EVENTS, Sink

values = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=600)


def only(sink: Sink) -> Series:
    (log,) = sink.close()
    (series,) = log.series
    return series


@given(values, st.integers(64, 300), st.booleans())
def test_thinning_keeps_counts_extremes_and_both_ends(points: list[float], budget: int, bulk: bool) -> None:
    sink = Sink("a.log", points=budget)
    if bulk:
        for start in range(0, len(points), 37):
            part = points[start : start + 37]
            sink.columns("loss", part, step=list(range(start, start + len(part))))
    else:
        for step, value in enumerate(points):
            sink.row({"loss": value}, step=step)
    series = only(sink)
    finite = [v for v in points if math.isfinite(v)]
    assert series.total == len(points)
    assert series.non_finite == len(points) - len(finite)
    assert len(series) <= budget + 64 + 1
    assert series.step[0] == 0
    assert series.step[-1] == len(points) - 1
    assert np.array_equal(series.value, np.asarray(points)[series.step.astype(int)], equal_nan=True)
    assert (series.minimum, series.maximum) == (min(finite), max(finite)) if finite else math.isnan(series.minimum)
    if len(points) <= budget:
        assert series.stride == 1
        assert len(series) == len(points)


def test_ten_million_points_stay_within_the_budget() -> None:
    sink = Sink("a.log", points=100_000)
    block = np.arange(1_000_000, dtype=np.float64)
    for start in range(10):
        sink.columns("loss", block, step=block + start * 1_000_000)
    series = only(sink)
    assert series.total == 10_000_000
    assert 30_000 < len(series) <= 100_000
    assert (series.first, series.last) == (0.0, 999_999.0)


def test_the_short_series_keeps_its_points_beside_a_long_one() -> None:
    sink = Sink("a.log", points=1000)
    for step in range(20_000):
        sink.row({"loss": 1.0}, step=step)
        if step % 1000 == 0:
            sink.row({"val_loss": 2.0}, step=step)
    series = {s.name: s for s in sink.close()[0].series}
    assert len(series["val_loss"]) == 20
    assert series["loss"].total == 20_000


def test_events_fold_and_are_bounded() -> None:
    sink = Sink("a.log")
    for line in range(5):
        sink.event("warning", "slow", line=line + 1)
    for line in range(EVENTS + 10):
        sink.event("error", f"number {line}", line=line)
    (log,) = sink.close()
    assert (log.events[0].count, log.events[0].line) == (5, 1)
    assert len(log.events) == EVENTS
    assert "further events" in log.problems[0].why


def test_credentials_do_not_enter() -> None:
    sink = Sink("a.log")
    secret = "hf_" + "AbCd1234" * 4
    sink.event("warning", f"token {secret} is deprecated", line=3)
    sink.setting("hub_token", secret, line=4)
    (log,) = sink.close()
    assert secret not in repr(log)
    assert [(e.kind, e.line) for e in log.events if e.kind == "credential"] == [("credential", 3), ("credential", 4)]


def test_scopes_become_logs_of_their_own() -> None:
    sink = Sink("runs.db", "trackio")
    sink.scope("a").row({"loss": 1.0}, step=0)
    sink.scope("b").row({"loss": 2.0}, step=0)
    sink.scope("a").row({"loss": 0.5}, step=1)
    logs = sink.close(modified=5.0, size=9)
    assert [(log.scope, len(log.series[0]), log.modified) for log in logs] == [("a", 2, 5.0), ("b", 1, 5.0)]


def test_problems_are_told_once() -> None:
    sink = Sink("a.log")
    for line in range(9):
        sink.problem("bad row", line=line + 1, remedy="write it again")
    (log,) = sink.close()
    assert [(p.where, p.why) for p in log.problems] == [("a.log:1", "bad row")]


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="step"):
        Sink("a.log").columns("loss", [1.0, 2.0], step=[1.0])
