"""Logs of one run beside each other: what is told twice counts once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import runvet
from runvet.repeats import last_digit


def curve(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 2 + 4 / (1 + np.arange(n) / 40) + rng.normal(0, 0.05, n)


def test_a_console_log_of_the_second_job_repeats_a_part_of_the_jsonl(tmp_path: Path) -> None:
    first, second = curve(125, 0), curve(300, 1)[115:]
    rows = [(i * 20, v) for i, v in enumerate(first)] + [((i + 115) * 20, v) for i, v in enumerate(second)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps({"step": s, "loss": v}) + "\n" for s, v in rows))
    (tmp_path / "slurm-1.out").write_text("".join(f"step {s} loss {v:.4f}\n" for s, v in rows[:125]))
    (tmp_path / "slurm-2.out").write_text(
        "Resuming from checkpoint step_2300.pt\n" + "".join(f"step {s} loss {v:.4f}\n" for s, v in rows[125:])
    )
    (stage,) = runvet.read(tmp_path).stages
    (loss,) = [s for s in stage.series if s.name == "loss"]
    assert loss.total == len(rows)
    assert loss.files == ("metrics.jsonl",)


@pytest.mark.parametrize(("value", "half"), [(1.25, 0.0051), (3.0, 0.51), (1.5e-7, 5.1e-9), (-0.5, 0.051)])
def test_the_last_digit_of_a_printed_number(value: float, half: float) -> None:
    assert last_digit(value) == pytest.approx(half)
