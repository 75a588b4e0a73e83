"""Seams: where one process ended and another began."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runvet.run import Log
from runvet.segments import numbered
from runvet.sink import Sink


def log(rows: list[tuple[str, float, float | None, int]], seams: tuple[int, ...] = ()) -> Log:
    """Rows (name, step, epoch, line) as a numbered log."""
    sink = Sink("train.log", "text")
    for name, step, epoch, line in rows:
        sink.row({name: step}, step=step, epoch=epoch, line=line)
    for line in seams:
        sink.seam(line, "a new process")
    return numbered(sink.close()[0])


def parts(told: Log, name: str) -> list[int]:
    return next(s for s in told.series if s.name == name).segment.tolist()


def test_steps_that_go_back_start_a_segment() -> None:
    told = log([("loss", step, None, line + 1) for line, step in enumerate([0, 1, 2, 3, 2, 3, 4])])
    assert parts(told, "loss") == [0, 0, 0, 0, 1, 1, 1]


def test_all_series_of_a_file_share_the_seam() -> None:
    rows = [("loss", s, None, line + 1) for line, s in enumerate([0, 1, 2, 3, 4])] + [("val", 4, None, 6)]
    rows += [("loss", s, None, line + 7) for line, s in enumerate([2, 3, 4, 5])] + [("val", 5, None, 11)]
    told = log(rows)
    assert parts(told, "loss") == [0] * 5 + [1] * 4
    assert parts(told, "val") == [0, 1], "steps of val go on, but its second point stands behind the seam"


def test_a_seam_that_the_reader_saw_counts_without_steps_going_back() -> None:
    told = log([("loss", step, None, step + 1) for step in range(6)], seams=(4,))
    assert parts(told, "loss") == [0, 0, 0, 1, 1, 1]


def test_one_restart_seen_in_two_series_is_one_seam() -> None:
    rows = [
        ("a", 5, None, 1),
        ("b", 5, None, 2),
        ("a", 1, None, 3),
        ("b", 1, None, 4),
        ("a", 2, None, 5),
        ("b", 2, None, 6),
    ]
    told = log(rows)
    assert parts(told, "a") == [0, 1, 1]
    assert parts(told, "b") == [0, 1, 1]


def test_steps_within_an_epoch_become_steps_of_the_run() -> None:
    rows = [("loss", step, float(epoch), epoch * 4 + step + 1) for epoch in range(3) for step in range(4)]
    told = log(rows)
    (series,) = told.series
    assert series.step.tolist() == list(range(12))
    assert parts(told, "loss") == [0] * 12


def test_parallel_writers_are_put_in_order() -> None:
    steps = [s for pair in zip(range(0, 400, 2), range(1, 401, 2), strict=True) for s in (pair[1], pair[0])]
    told = log([("loss", s, None, line + 1) for line, s in enumerate(steps)])
    (series,) = told.series
    assert (np.diff(series.step) > 0).all()
    assert set(series.segment.tolist()) == {0}


@given(st.lists(st.integers(0, 50), min_size=1, max_size=19))
def test_segments_grow_and_steps_never_go_back_inside_one(steps: list[int]) -> None:
    told = log([("loss", s, None, line + 1) for line, s in enumerate(steps)])
    (series,) = told.series
    assert (np.diff(series.segment) >= 0).all()
    assert all((np.diff(part.step) >= 0).all() for part in series.segments())
    assert series.segment[-1] == int((np.diff(steps) < 0).sum())


def test_one_row_without_a_step_does_not_cost_the_axis() -> None:
    sink = Sink("train.log", "text")
    for i in range(50):
        sink.row({"loss": 1 / (1 + i)}, step=float(i * 10) if i != 49 else None, line=i + 1)
    told = numbered(sink.close()[0])
    (loss,) = told.series
    assert loss.axis == "step"
    assert loss.step[-1] == 480
    assert "no step" in told.problems[0].why
    assert told.problems[0].line == 50


def test_many_points_without_a_step_are_left_alone() -> None:
    sink = Sink("train.log", "text")
    for i in range(50):
        sink.row({"loss": 1 / (1 + i)}, step=float(i) if i % 5 else None, line=i + 1)
    assert numbered(sink.close()[0]).series[0].axis == "point"


def test_steps_that_count_to_the_same_number_again_and_again_are_one_run() -> None:
    told = log([("loss", i % 12, None, i + 1) for i in range(120)])
    (loss,) = told.series
    assert loss.step.tolist() == list(range(120))
    assert set(parts(told, "loss")) == {0}


def test_crashes_at_different_steps_stay_restarts() -> None:
    steps = [s for top in (7, 9, 8, 11, 10, 12) for s in range(top)]
    told = log([("loss", step, None, line + 1) for line, step in enumerate(steps)])
    assert parts(told, "loss")[-1] == 5


@given(st.lists(st.integers(0, 5), max_size=60))
def test_parts_of_a_series_are_all_of_it(numbers: list[int]) -> None:
    from dataclasses import replace

    made = log([("loss", step, None, step + 1) for step in range(len(numbers) + 1)]).series[0]
    one = replace(made, segment=np.array([*numbers, 0], np.int64))
    found = list(one.segments())
    assert [int(p.segment[0]) for p in found] == sorted(set(one.segment.tolist()))
    assert sorted(v for p in found for v in p.step.tolist()) == one.step.tolist()
