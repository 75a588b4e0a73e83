"""Records in a file each, numbered by epoch or step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runvet import api


def write(folder: Path, name: str, value: object) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")


def test_allennlps_metrics_of_each_epoch_are_one_curve_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for epoch in range(12):
        told = {"best_epoch": epoch, "training_duration": "0:01:10", "training_loss": 2.0 - 0.1 * epoch}
        write(tmp_path, f"metrics_epoch_{epoch}.json", told | {"validation_accuracy": 0.5 + 0.01 * epoch})
    (stage,) = api.read(tmp_path).stages
    loss = next(s for s in stage.series if s.name == "training_loss")
    assert loss.axis == "epoch"
    assert loss.epoch.tolist() == list(range(12))
    assert loss.value.tolist() == pytest.approx([2.0 - 0.1 * epoch for epoch in range(12)])
    assert loss.where(10) == "metrics_epoch_10.json"
    assert loss.role == "train_loss"


def test_a_record_in_the_folder_of_each_checkpoint(tmp_path: Path) -> None:
    for step in (500, 1000, 1500, 10_000):
        write(tmp_path, f"checkpoint-{step}/eval_results.json", {"eval_loss": 1 / step, "perplexity": 2.0})
    (stage,) = api.read(tmp_path).stages
    loss = next(s for s in stage.series if s.name == "eval_loss")
    assert loss.step.tolist() == [500, 1000, 1500, 10_000]
    assert loss.where(3) == "checkpoint-10000/eval_results.json"


def test_a_step_inside_the_record_counts_more_than_its_name(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path, f"step_{number}.json", {"step": number * 100, "loss": 3.0 - number})
    (stage,) = api.read(tmp_path).stages
    assert next(s for s in stage.series if s.name == "loss").step.tolist() == [0, 100, 200]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fold_{}.json", lambda i: {"val_loss": i}),  # folds do not follow each other
        ("seed{}/metrics.json", lambda i: {"val_loss": i}),
        ("sample_{}.json", lambda i: {"loss": i}),
        ("checkpoint-{}/adapter.json", lambda i: {"r": 8, "dropout": 0.1, "loss": 0.5}),  # never another value
        ("step_{}.json", lambda i: {"width": 640 + i, "id": i}),
    ],
)
def test_other_numbered_files_are_left_alone(tmp_path: Path, name: str, value: object) -> None:
    for number in range(1, 6):
        write(tmp_path, name.format(number), value(number))  # type: ignore[operator]
    run = api.read(tmp_path)
    assert not any(stage.series for stage in run.stages)
    assert "json_numbered" not in run.readers.values()


def test_two_files_are_no_curve(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path, f"metrics_epoch_{number}.json", {"loss": number})
    assert not api.read(tmp_path).stages


def test_a_damaged_file_is_told_and_costs_only_its_own_record(tmp_path: Path) -> None:
    for epoch in range(6):
        write(tmp_path, f"metrics_epoch_{epoch}.json", {"training_loss": 2.0 - 0.1 * epoch})
    (tmp_path / "metrics_epoch_3.json").write_text("nonsense", encoding="utf-8")
    run = api.read(tmp_path)
    (stage,) = run.stages
    assert next(s for s in stage.series if s.name == "training_loss").epoch.tolist() == [0, 1, 2, 4, 5]
    assert any("metrics_epoch_3.json" in problem.why for problem in run.problems)
