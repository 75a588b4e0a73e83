"""More lines as tools print them: fractions side by side, best models with the path they are saved to."""

from __future__ import annotations

from pathlib import Path

import pytest
from text_logs import events, read_text, series, steps


@pytest.mark.parametrize("lead", ["", "Epoch "])
def test_of_two_fractions_the_first_is_the_epoch(tmp_path: Path, lead: str) -> None:
    lines = [f"{lead}[{e}/25][{b}/200]\tLoss_D: {1 / (e + 1):.4f}\tLoss_G: {b / 7:.4f}\n" for e in range(3) for b in (0, 50, 100, 150)]  # fmt: skip
    log = read_text(tmp_path, "".join(lines))
    assert series(log, "Loss_D").total == 12
    assert steps(log, "Loss_D") == [200 * e + b for e in range(3) for b in (0, 50, 100, 150)]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("Epoch 0, global step 50: 'val_acc' reached 0.39 (best 0.39), saving model to 'epoch=0-step=50.ckpt' as top 1", 0.39),
        ("Epoch 3: val_loss improved from 0.50000 to 0.41000, saving model to model-07.keras", 0.41),
        ("New best model: 0.3, saved to ckpt/best_3.pt", 0.3),
    ],
)  # fmt: skip
def test_the_value_of_a_best_model_is_no_number_of_its_path(tmp_path: Path, line: str, value: float) -> None:
    (found,) = events(read_text(tmp_path, "step 1 loss 0.5\n" + line + "\n"), "best")
    assert found.value == value


def test_a_process_that_resumes_in_the_middle_is_a_part_of_its_own(tmp_path: Path) -> None:
    lines = [f"step {i} loss {1 / (i + 1):.4f}\n" for i in range(20)]
    log = read_text(tmp_path, "".join([*lines[:10], "Resuming from checkpoint step_9.pt\n", *lines[10:]]))
    assert [s.line for s in log.seams] == [11]
    best = read_text(tmp_path, "".join([*lines, "Loading checkpoint best.pt for the test\n", "test loss 0.05\n"]))
    assert not best.seams
