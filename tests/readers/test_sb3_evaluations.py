"""evaluations.npz as Stable-Baselines3's EvalCallback writes it: a growing list of rows for each array, saved anew."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reading import claim, read, series

NAME = "evaluations.npz"


def evaluations(folder: Path, n: int = 12, *, best: float = 400.0, successes: bool = False) -> Path:
    """What n calls of the callback leave: lists of Python floats, one row of episodes an evaluation."""
    rng = np.random.default_rng(3)
    steps, results, lengths, won = [], [], [], []
    for i in range(1, n + 1):
        steps.append(i * 5_000)
        level = best / (1 + np.exp(-(i - n / 3)))
        results.append([float(r) for r in level + rng.normal(0, 5, 5)])
        lengths.append([int(r) for r in rng.integers(80, 200, 5)])
        won.append([bool(w) for w in rng.random(5) < i / n])
    extra = {"successes": won} if successes else {}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "evaluations", timesteps=steps, results=results, ep_lengths=lengths, **extra)
    return folder / NAME


def test_means_at_their_timesteps(tmp_path: Path) -> None:
    path = evaluations(tmp_path, successes=True)
    assert claim("sb3_evaluations", path) > 0.9
    found = series(read("sb3_evaluations", path))
    held = np.load(path)
    assert set(found) == {"eval/mean_reward", "eval/mean_ep_length", "eval/success_rate"}
    np.testing.assert_allclose(found["eval/mean_reward"].value, held["results"].mean(axis=1))
    np.testing.assert_allclose(found["eval/mean_ep_length"].value, held["ep_lengths"].mean(axis=1))
    np.testing.assert_allclose(found["eval/success_rate"].value, held["successes"].mean(axis=1))
    assert found["eval/mean_reward"].step.tolist() == held["timesteps"].tolist()


def test_other_archives_of_the_name_are_left_alone(tmp_path: Path) -> None:
    np.savez(tmp_path / NAME, pred=np.zeros(4), target=np.zeros(4))
    assert claim("sb3_evaluations", tmp_path / NAME) == 0.0


def test_pickles_inside_are_never_opened(tmp_path: Path) -> None:
    """Evaluations of unequal numbers of episodes become an array of objects: named as unread, the rest is used."""
    ragged = np.empty(3, object)
    ragged[:] = [[1.0], [1.0, 2.0], [3.0]]
    np.savez(tmp_path / NAME, timesteps=[1, 2, 3], results=ragged, ep_lengths=[[5], [6], [7]])
    log = read("sb3_evaluations", tmp_path / NAME)
    assert [s.name for s in log.series] == ["eval/mean_ep_length"]
    assert any("pickle" in p.why for p in log.problems)


@pytest.mark.parametrize("cut", [40, 300, -30])
def test_damaged_files_are_problems(tmp_path: Path, cut: int) -> None:
    path = evaluations(tmp_path)
    path.write_bytes(path.read_bytes()[:cut])
    assert claim("sb3_evaluations", path) > 0
    log = read("sb3_evaluations", path)
    assert log.problems
    assert not log.series


def test_shapes_that_do_not_fit(tmp_path: Path) -> None:
    np.savez(tmp_path / NAME, timesteps=[1, 2, 3], results=np.zeros((2, 5)), ep_lengths=np.zeros((3, 5)))
    log = read("sb3_evaluations", tmp_path / NAME)
    assert [s.name for s in log.series] == ["eval/mean_ep_length"]
    assert any("beside 3 evaluations" in p.why for p in log.problems)


def check(folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "runvet", "check", str(folder), "--format", "json"]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    return found


def test_a_run_of_evaluations_alone_is_judged(tmp_path: Path) -> None:
    evaluations(tmp_path / "logs" / "eval", 40)
    report = check(tmp_path / "logs")
    (stage,) = report["stages"]
    assert {s["name"]: s["role"] for s in stage["series"]}["eval/mean_reward"] == "reward"
    assert report["verdict"] == "sound"


def test_a_policy_that_collapsed_is_found(tmp_path: Path) -> None:
    held = dict(np.load(evaluations(tmp_path / "logs", 60)))
    held["results"][30:] -= 390
    np.savez(tmp_path / "logs" / NAME, **held)
    report = check(tmp_path / "logs")
    assert report["verdict"] != "sound"
    assert any("eval/mean_reward" in f["message"] for f in report["findings"])
