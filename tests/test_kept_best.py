"""The checkpoint kept as the best against the evaluations of the log, through the commands as a person calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runvet
import weight_files as files

EVERY = 50


def _run(folder: Path, curves: dict[str, list[float]], config: str = "") -> Path:
    """Twenty evaluations, one every 50 steps, beside a falling training loss."""
    n = len(next(iter(curves.values())))
    with (folder / "log.jsonl").open("w") as file:
        for step in range(5, n * EVERY + 1, 5):
            row: dict[str, float] = {"step": step, "train/loss": 0.4 + 1.5 / (1 + step / 60)}
            if step % EVERY == 0:
                row |= {name: values[step // EVERY - 1] for name, values in curves.items()}
            file.write(json.dumps(row) + "\n")
    if config:
        (folder / "config.yaml").write_text(config)
    files.write(folder / f"checkpoints/step_{n * EVERY}.safetensors", files.weights(n * EVERY))
    return folder


def _keep(folder: Path, step: int, name: str = "best") -> None:
    files.write(folder / f"checkpoints/{name}.safetensors", files.weights(step), step=str(step))


def _accuracy(seed: int = 0) -> list[float]:
    rng = np.random.default_rng(seed)
    return [round(0.92 - 0.5 * float(np.exp(-i / 4)) + float(rng.normal(0, 0.004)), 4) for i in range(20)]


def _overfitted() -> list[float]:
    return [round(0.6 + 0.9 * float(np.exp(-i / 2)) + 0.012 * i, 4) for i in range(20)]


def _command(folder: Path, *command: str) -> tuple[int, dict[str, Any]]:
    made = subprocess.run(
        [sys.executable, "-m", "runvet", *command, str(folder), "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "RUNVET_CACHE": str(folder / ".cache")},
    )
    return made.returncode, json.loads(made.stdout)


def _codes(folder: Path) -> dict[str, str]:
    return {f.rule: f.severity for f in runvet.check(folder).findings if f.rule == "RES106"}


@pytest.mark.parametrize("command", ["checkpoints", "check"])
def test_the_command_says_that_the_best_is_the_worst(tmp_path: Path, command: str) -> None:
    """`mode: min` on an accuracy: the first evaluation stays the best for ever, and no line of a log says so."""
    values = _accuracy()
    _run(tmp_path, {"val/acc": values}, "checkpoint:\n  monitor: val/acc\n  mode: min\n")
    _keep(tmp_path, EVERY)
    status, told = _command(tmp_path, command)
    assert status == 1
    (finding,) = [f for f in told["findings"] if f["rule"] == "RES106"]
    assert finding["severity"] == "critical"
    assert "checkpoints/best.safetensors is of val/acc" in finding["message"]
    assert "19 of 20 evaluations are higher" in finding["message"]
    assert any(a["do"].startswith("Use the checkpoint nearest to step") for a in told["actions"])


def test_the_command_is_quiet_about_the_true_best(tmp_path: Path) -> None:
    values = _accuracy()
    _run(tmp_path, {"val/acc": values}, "monitor: val/acc\n")
    _keep(tmp_path, EVERY * (1 + int(np.argmax(values))))
    status, told = _command(tmp_path, "checkpoints")
    assert status == 0
    assert told["findings"] == []
    assert "RES106" in told["checks"]["passed"]


def test_a_stale_best_of_a_named_metric_is_a_warning(tmp_path: Path) -> None:
    """The comparison stopped at some time: half of all evaluations are better."""
    _run(tmp_path, {"val/acc": [0.4 + 0.025 * i for i in range(20)]}, "metric_for_best_model: val_acc\n")
    _keep(tmp_path, 8 * EVERY)
    assert _codes(tmp_path) == {"RES106": "warning"}


def test_the_name_tells_which_metric_decides(tmp_path: Path) -> None:
    """By its loss the kept model is the best before overfitting; by its accuracy it is in the lower half."""
    curves = {"val_loss": _overfitted(), "val_acc": [0.4 + 0.025 * i for i in range(20)]}
    low = int(np.argmin(curves["val_loss"]))
    _run(tmp_path, curves)
    _keep(tmp_path, EVERY * (1 + low), "best_loss")
    _keep(tmp_path, 20 * EVERY, "best_acc")
    assert _codes(tmp_path) == {}


def test_a_metric_that_is_not_logged_may_have_chosen(tmp_path: Path) -> None:
    """Chosen by an accuracy that nobody logged, while the loss rose to its worst."""
    _run(tmp_path, {"val_loss": [0.6, 0.5, 0.45, *(0.46 + 0.02 * i for i in range(17))]})
    _keep(tmp_path, 20 * EVERY)
    assert _codes(tmp_path) == {}


def test_metrics_that_disagree_tell_nothing(tmp_path: Path) -> None:
    _run(tmp_path, {"val_loss": [2.0 - 0.05 * i for i in range(20)], "val_f1": [0.9 - 0.02 * i for i in range(20)]})
    _keep(tmp_path, EVERY)
    assert _codes(tmp_path) == {}


def test_counting_may_begin_at_zero_or_one(tmp_path: Path) -> None:
    """The evaluation before or after may be the one that was kept."""
    values = [0.3, 0.9, *([0.5] * 18)]
    _run(tmp_path, {"val_acc": values}, "monitor: val_acc\n")
    _keep(tmp_path, EVERY)
    assert _codes(tmp_path) == {}


def test_of_numbered_bests_the_newest_is_judged(tmp_path: Path) -> None:
    values = _accuracy(3)
    _run(tmp_path, {"val_acc": values}, "monitor: val_acc\n")
    for at in (1, 4, 1 + int(np.argmax(values))):
        _keep(tmp_path, at * EVERY, f"best_step_{at * EVERY}")
    assert _codes(tmp_path) == {}
