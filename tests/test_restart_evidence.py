"""Seams, epoch lengths, environments and pace: what the rules on restarts and speed build on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pytest

from runvet import engine, examples
from runvet.config import Config
from runvet.evidence import Missing
from runvet.evidence.declared_best import DeclaredBest
from runvet.evidence.environments import Environments
from runvet.evidence.epoch_length import EpochLength
from runvet.evidence.pace import Pace
from runvet.evidence.seams import Seams
from runvet.run import Event, Setting, Stage

T = TypeVar("T")


def evidence(kind: type[T], stage: Stage) -> Any:
    return engine.Evidence(examples.run(stage), Config()).get(kind, stage)


def restarted(first: int, start: int, end: int, **more: Any) -> Stage:
    steps = [*range(first), *range(start, end)]
    return examples.stage(steps=steps, train_loss=examples.decay(len(steps)), **more)


def test_a_resume_and_a_second_run_are_told_apart() -> None:
    (resumed,) = evidence(Seams, restarted(1000, 900, 2000)).joints
    assert resumed.resumed
    assert (resumed.end, resumed.start, resumed.overlap) == (999, 900, 99)
    assert resumed.where == "metrics.csv:1001"
    seams = evidence(Seams, restarted(1000, 0, 1000))
    assert not seams.joints[0].resumed
    assert seams.resumed == ()


def test_a_run_without_interruption_has_no_seams() -> None:
    found = evidence(Seams, examples.stage(train_loss=examples.decay(100)))
    assert isinstance(found, Missing)
    assert not found.applicable


def test_events_are_told_for_both_sides_of_a_seam() -> None:
    events = [
        Event("world-size", "world_size: 4", "metrics.csv", 1, value=4.0),
        Event("world-size", "world_size: 5", "metrics.csv", 1001, value=5.0),
        Event("world-size", "world_size: 6", "metrics.csv", 1500, value=6.0),
    ]
    (joint,) = evidence(Seams, restarted(1000, 900, 2000, events=events)).joints
    assert joint.told["world-size"].numbers == (4.0, 5.0)


def test_a_resume_with_longer_epochs_goes_on_where_the_epoch_began() -> None:
    """Epochs of 500 steps, then of 400: step 800 of the new count is the end of epoch 1, step 999 of the old."""
    steps = np.array([*range(1250), *range(800, 2000)], np.float64)
    epochs = np.concatenate([np.arange(1250) // 500, np.arange(800, 2000) // 400]).astype(np.float64)
    events = [
        Event("epoch-length", "[0/500]", "metrics.csv", 1, value=500.0),
        Event("epoch-length", "[0/400]", "metrics.csv", 1251, value=400.0),
    ]
    stage = examples.stage(steps=steps, epochs=epochs, train_loss=examples.decay(len(steps)), events=events)
    (joint,) = evidence(Seams, stage).joints
    assert (joint.start, joint.base, joint.overlap) == (800, 999, 250)


@pytest.mark.parametrize(("lengths", "expected"), [
    ([500, 20, 500, 20, 500], [500]),  # a validation loader in between
    ([500, 20, 500, 20, 400, 20, 400, 20], [500, 400]),
    ([500, 500, 499], [500]),
    ([500, 250, 500], [250]),  # the rest of an epoch after a resume is no change
])  # fmt: skip
def test_epoch_lengths_that_the_log_counts(lengths: list[int], expected: list[int]) -> None:
    events = [examples.event("epoch-length", f"[0/{n}]", line=i + 1, value=float(n)) for i, n in enumerate(lengths)]
    found = evidence(EpochLength, examples.stage(train_loss=examples.decay(100), events=events))
    assert [span.steps for span in found.spans] == expected
    assert found.counted


@pytest.mark.parametrize("digits", [2, 4, 12])
@pytest.mark.parametrize(("before", "after"), [(500, 400), (1000, 500), (300, 300)])
def test_epoch_lengths_from_steps_and_epochs(before: int, after: int, digits: int) -> None:
    steps = np.arange(10, 8 * before, 10.0)
    epochs = np.round(np.where(steps <= 3 * before, steps / before, steps / after), digits)
    found = evidence(EpochLength, examples.stage(steps=steps, epochs=epochs, train_loss=examples.decay(len(steps))))
    expected = [before] if before == after else [before, after]
    assert [span.steps for span in found.spans] == pytest.approx(expected, rel=0.02)


def test_an_output_folder_is_no_working_directory() -> None:
    events = [
        examples.event("work-dir", "job dir: /out/20250101  cwd: /data/net", value="/out/20250101"),
        examples.event("work-dir", "work_dir = /out/other", value="/out/other"),
    ]
    found = evidence(Environments, examples.stage(train_loss=examples.decay(50), events=events))
    assert [d.path for d in found.directories] == ["/data/net"]


def test_environment_records_come_in_the_order_of_their_time() -> None:
    settings = tuple(
        Setting(key, value, source)
        for source, time, commit in (("env_b.json", "2025-01-01", "a" * 40), ("env_a.json", "2025-02-01", "b" * 40))
        for key, value in (("time", time), ("git_commit", commit), ("world_size", 4), ("packages.torch", "2.5.1"))
    )
    found = evidence(Environments, replace(examples.stage(train_loss=examples.decay(50)), settings=settings))
    assert [r.commit for r in found.records] == ["a" * 40, "b" * 40]
    assert found.records[0].packages == {"torch": "2.5.1"}
    assert found.records[0].world_size == 4


def test_pace_prefers_time_stamps_and_refuses_a_clock() -> None:
    stamped = examples.stage(train_loss=examples.decay(100), times=np.arange(100) * 2.0, step_time=9.0)
    found = evidence(Pace, stamped)
    assert found.stamped
    assert np.median(found.seconds) == pytest.approx(2.0)
    clock = examples.stage(train_loss=examples.decay(100), step_time=np.arange(1, 101) * 81.6)
    assert isinstance(evidence(Pace, clock), Missing)
    rate = examples.stage(train_loss=examples.decay(100), samples_per_second=50.0)
    assert evidence(Pace, rate).seconds[0] == pytest.approx(0.02)


def test_a_line_with_several_metrics_declares_no_best() -> None:
    events = [
        examples.event("best", "New best model: 0.61", value=0.61),
        examples.event("best", "Best model: loss=1.4724, ppl=4.35, bleu=26.06", value=26.06),
    ]
    found = evidence(DeclaredBest, examples.stage(train_loss=examples.decay(50), events=events))
    assert found.value == 0.61
