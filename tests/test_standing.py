"""Counters that stand still for many lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runvet import api
from runvet.run import Series


def loss_of(path: Path, line: str, batches: list[tuple[int, int]]) -> Series:
    values = np.linspace(5, 1, len(batches))
    text = "\n".join(line.format(a=a, b=b, loss=value) for (a, b), value in zip(batches, values, strict=True))
    path.write_text(text + "\n", encoding="utf-8")
    (stage,) = api.read(path).stages
    return next(s for s in stage.series if s.name.endswith("loss"))


WENET = "2024-05-01 10:00:00,123 DEBUG TRAIN | steps/sec 2.1| Batch {a}/{b} loss {loss:.6f} lr 0.0005 rank 0"


def test_wenets_batches_are_those_of_an_epoch(tmp_path: Path) -> None:
    loss = loss_of(tmp_path / "train.log", WENET, [(e, b) for e in range(3) for b in range(0, 10_000, 100)])
    assert loss.axis == "epoch"
    assert (np.diff(loss.epoch) > 0).all()
    assert loss.epoch[[0, 100, 250]].tolist() == [0.0, 1.0, 2.5]


def test_an_epoch_that_goes_on_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    batches = [(e, b) for e in range(2) for b in range(0, 10_000, 100)] + [(2, b) for b in range(0, 5_000, 100)]
    assert loss_of(tmp_path / "train.log", WENET, batches).epoch[-1] == pytest.approx(2.49)


@pytest.mark.parametrize("together", [1, 8, 16])
def test_processes_that_print_the_same_step_leave_it_a_step(tmp_path: Path, together: int) -> None:
    batches = [(step, 0) for step in range(60) for _ in range(together)]
    assert loss_of(tmp_path / "train.log", "step {a} loss {loss:.6f}", batches).axis == "step"
