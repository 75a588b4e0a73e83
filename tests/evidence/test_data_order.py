"""Shuffling that is off, beside data sorted by class and losses that repeat themselves in every epoch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runvet
from runvet import api, examples
from runvet.run import FloatArray

EPOCHS, STEPS = 24, 40
SORTED = np.repeat(np.arange(4), 50)
MIXED = np.random.default_rng(5).permutation(SORTED)


def _course(kind: str) -> FloatArray:
    """The loss of one epoch over its level: of four classes one after another, or of anything else."""
    if kind == "classes":
        return np.tile([0.9, 0.5, 0.2, 0.0, -0.2, -0.3, -0.3, -0.4, -0.4, -0.4], 4) * (
            1 + np.repeat(np.arange(4), 10) / 4
        )
    return 0.2 * np.random.default_rng(9).standard_normal(STEPS) if kind == "batches" else np.zeros(STEPS)


def _curves(kind: str, every: int = 1, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    level = np.repeat(0.4 + 1.6 / (1 + np.arange(EPOCHS) / 2), STEPS)
    loss = level * (1 + np.tile(_course(kind), EPOCHS) + 0.1 * rng.standard_normal(EPOCHS * STEPS))
    step = np.arange(EPOCHS * STEPS)[::every]
    accuracy = np.linspace(0.3, 0.6, EPOCHS)
    return {"loss": loss[::every], "steps": step, "epochs": step // STEPS, "val_accuracy": accuracy}


def _codes(curves: dict[str, Any], labels: Any = None, **settings: Any) -> dict[str, str]:
    x = np.random.default_rng(1).standard_normal((200, 6))
    files = None if labels is None else {"data/train.npz": {"x": x, "y": np.asarray(labels)}}
    run = examples.run(examples.stage(settings={"num_classes": 4, **settings}, **curves), files=files)
    return {f.rule: f.severity for f in api.judge(run).findings if f.rule == "DATA113"}


@pytest.mark.parametrize("every", [1, 2])
def test_a_course_that_every_epoch_repeats(every: int) -> None:
    assert _codes(_curves("classes", every), shuffle=False) == {"DATA113": "warning"}


def test_sorted_labels_and_the_course_they_make() -> None:
    assert _codes(_curves("classes"), SORTED, **{"data.train.shuffle": False}) == {"DATA113": "critical"}


def test_sorted_labels_where_the_loss_tells_no_epochs() -> None:
    assert _codes({"loss": examples.decay(300)}, SORTED, shuffle_train=False) == {"DATA113": "warning"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"shuffle": True},
        {"val_loader.shuffle": False, "train_loader.shuffle": True},
        {"data.test.shuffle": False},
        {"shuffle": False, "train_dataloader.sampler.type": "DistributedSampler"},
        {"shuffle": False, "world_size": 8},
        {"shuffle": False, "data.streaming": True},
        {"shuffle": False, "shuffle_buffer_size": 10_000},
    ],
)
def test_something_else_shuffles(settings: dict[str, Any]) -> None:
    assert _codes(_curves("classes"), SORTED, **settings) == {}


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize(("kind", "labels"), [("batches", None), ("batches", MIXED), ("none", None), ("none", SORTED)])
def test_a_fixed_order_of_mixed_batches_is_no_disease(kind: str, labels: Any, every: int) -> None:
    """The same batches come again in every epoch, some of them hard ones."""
    assert _codes(_curves(kind, every), labels, shuffle=False) == {}


def test_a_learning_rate_that_restarts_with_every_epoch() -> None:
    """Warm restarts give the loss a course of its own."""
    curves = _curves("classes")
    curves["lr"] = np.tile(np.linspace(1e-2, 1e-4, STEPS), EPOCHS)
    assert _codes(curves, shuffle=False) == {}


def test_series_that_are_no_classification() -> None:
    curves = _curves("classes")
    del curves["val_accuracy"]
    stage = examples.stage(settings={"shuffle": False, "horizon": 12}, **curves)
    assert not [f for f in api.judge(examples.run(stage)).findings if f.rule == "DATA113"]


@pytest.mark.parametrize("mixed", [False, True])
def test_records_of_a_file_in_their_order(tmp_path: Path, mixed: bool) -> None:
    labels = MIXED if mixed else SORTED
    words = np.random.default_rng(2).choice(["river", "stone", "winter", "letter", "garden", "window"], (200, 12))
    records = [{"text": " ".join(w), "label": int(y)} for w, y in zip(words, labels, strict=True)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    (tmp_path / "config.yaml").write_text("epochs: 9\nlr: 0.1\nshuffle: false\nnum_classes: 4\n")
    rows = [{"step": s, "loss": 1 / (1 + s / 50)} for s in range(0, 900, 9)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    found = {f.rule for f in runvet.check(tmp_path).findings}
    assert ("DATA113" in found) is not mixed
