"""Recipes that are judged for the right reason, on few scenes; the full table is `make lab-trajectories`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import runvet
from runvet import engine
from runvet_lab.base import judged
from runvet_lab.trajectories import cli

FEW = ["data.scenes=24", "train.epochs=4", "train.batch_size=16", "model.width=32", "launch.threads=1"]
RECIPES = [path for path in sorted(cli.RECIPES.glob("*.yaml")) if path.stem != "gpu"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["seed003", "cross_batch", "wrong_yaw", "frame_split", "prompt_leak", "healthy"])
def test_a_recipe_is_judged_for_its_own_reason(tmp_path: Path, name: str) -> None:
    path = cli.recipe(name)
    cli.run(path, tmp_path / name, FEW)
    row = judged.judge(name, judged.expected(path), tmp_path / name, 0.0)
    assert row.met, judged.line(row)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_expect_rules_that_exist(path: Path) -> None:
    known = {rule.name for rule in engine.collect()}
    want = judged.expected(path)
    assert want.why
    assert set(want.first) | set(want.never) <= known


def _judged(folder: Path, **arrays: object) -> set[str]:
    folder.mkdir()
    np.savez(folder / "predictions.npz", **arrays)  # type: ignore[arg-type]
    rows = (f'{{"step": {n}, "train/loss": {1 / n:.4f}}}' for n in range(1, 40))
    (folder / "metrics.jsonl").write_text("\n".join(rows) + "\n")
    return {finding.name for finding in runvet.check(folder).findings}


def test_what_must_stay_quiet(tmp_path: Path) -> None:
    """Several futures of which one is right; a motorway, where constant velocity is nearly the best there is."""
    rng = np.random.default_rng(0)
    t = np.arange(1, 46) * 0.1
    speed, bend = rng.uniform(20, 34, (200, 1)), rng.normal(0, 0.01, (200, 1))
    truth = np.stack([speed * t, bend * speed * t**2], -1)
    close = truth + rng.normal(0, 0.1, (200, 1, 2)) * t[None, :, None]
    modes = np.stack([close, close * 0.8, close * 1.2], axis=1)
    assert _judged(tmp_path / "modes", pred=modes, gt=truth) == set()
    straight = np.stack([speed * t, 0 * speed * t], -1)
    assert _judged(tmp_path / "motorway", pred=close, gt=truth, constant_velocity=straight) == set()
