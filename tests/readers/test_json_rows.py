"""JSON files of rows and of columns, in every shape that tools give them."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzz
from hypothesis import strategies as st
from reading import claim, matches, read, series, settings, write

from runvet.readers import json_rows
from shared import shared

TMP = HealthCheck.function_scoped_fixture
HISTORY = json.dumps([{"_step": i, "_runtime": i / 2, "train/loss": 1 / (i + 1)} for i in range(30)], indent=1)


def test_history_of_wandb(tmp_path: Path) -> None:
    path = write(tmp_path, "history.json", HISTORY)
    assert claim("json_rows", path) > 0.8
    found = series(read("json_rows", path))
    assert list(found) == ["train/loss"]
    assert found["train/loss"].time.tolist() == [i / 2 for i in range(30)]


def test_history_of_keras(tmp_path: Path) -> None:
    path = write(tmp_path, "history.json", json.dumps({"loss": [2.0, 1.0, float("nan")], "val_loss": [3.0, 2.0, 1.0]}))
    assert claim("json_rows", path) > 0.8
    found = series(read("json_rows", path))
    assert found["loss"].non_finite == 1
    assert found["val_loss"].value.tolist() == [3, 2, 1]
    assert np.isnan(found["loss"].step).all()


def test_columns_share_the_coordinate_of_their_length(tmp_path: Path) -> None:
    value = {"epoch": [1, 2, 3], "train": {"loss": [3, 2, 1]}, "acc": [0.1, None, 0.3], "batch_loss": [1] * 9}
    found = series(read("json_rows", write(tmp_path, "h.json", json.dumps(value))))
    assert found["acc"].epoch.tolist() == [1, 3]
    assert len(found["batch_loss"]) == 9
    assert found["train/loss"].value.tolist() == [3, 2, 1]


@pytest.mark.parametrize(
    ("value", "name", "step", "points"),
    [
        ([[1.7e9, 0, 0.5], [1.7e9 + 1, 10, 0.25]], "loss", [0, 10], [0.5, 0.25]),
        ({"loss": {"0": 0.5, "1": 0.25}}, "loss", [None, None], [0.5, 0.25]),
        ({"history": [{"step": 1, "loss": 2}, {"step": 2, "loss": 1}], "config": {"lr": 3}}, "loss", [1, 2], [2, 1]),
        ({"step_5": {"loss": 2}, "step_9": {"loss": 1}}, "loss", [5, 9], [2, 1]),
        ([0.5, 0.25], "loss", [None, None], [0.5, 0.25]),
    ],
)
def test_shapes(tmp_path: Path, value: object, name: str, step: list[float | None], points: list[float]) -> None:
    path = write(tmp_path, "loss.json", json.dumps(value))
    assert claim("json_rows", path) > 0
    found = series(read("json_rows", path))[name]
    assert [None if s != s else s for s in found.step.tolist()] == step
    assert found.value.tolist() == points


def test_configuration_beside_the_curves(tmp_path: Path) -> None:
    value = {"args": {"lr": 0.1, "net": {"depth": 3}}, "train_loss": [3, 2, 1]}
    assert settings(read("json_rows", write(tmp_path, "h.json", json.dumps(value)))) == {"lr": 0.1, "net.depth": 3}


def test_objects_one_after_the_other(tmp_path: Path) -> None:
    text = "\n".join(json.dumps({"step": i, "loss": i}, indent=2) for i in range(5))
    path = write(tmp_path, "log.json", text)
    assert claim("json_rows", path) > 0
    assert len(series(read("json_rows", path))["loss"]) == 5


def test_cut_off_list_keeps_every_complete_row(tmp_path: Path) -> None:
    for at in range(60, len(HISTORY) - 1, 97):
        text = HISTORY[:at]
        log = read("json_rows", write(tmp_path, "history.json", text))
        assert len(series(log)["train/loss"]) == text.count("}")
        assert log.problems


def test_cut_off_columns_keep_what_is_there(tmp_path: Path) -> None:
    text = json.dumps({"loss": [3.5, 2.5, 1.5], "val_loss": [4.5, 3.5, 2.5]})
    log = read("json_rows", write(tmp_path, "h.json", text[:-6]))
    assert series(log)["loss"].value.tolist() == [3.5, 2.5, 1.5]
    assert series(log)["val_loss"].value.tolist() == [4.5, 3.5]
    assert log.problems


def test_a_damaged_row_costs_only_itself(tmp_path: Path) -> None:
    text = HISTORY.replace('"_step": 7,', '"_step": 7;', 1)
    log = read("json_rows", write(tmp_path, "history.json", text))
    assert len(series(log)["train/loss"]) == 29
    assert log.problems[0].line == 8


def test_a_long_list_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 150_000
    text = "[" + ",\n".join(f'{{"_step": {i}, "loss": {i / 7!r}}}' for i in range(rows)) + "]"
    path = write(tmp_path, "history.json", text)
    monkeypatch.setattr(json_rows, "ROWS", 1 << 16)
    tracemalloc.start()
    log = read("json_rows", path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(series(log)["loss"].value, np.arange(rows) / 7)
    assert not log.problems
    assert peak < 60 << 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data.json", {"structure_name": "tree", "size": [16, 16, 16], "num_blocks": 55, "palette": [14, 18]}),
        ("trajectories.json", [{"id": i, "intent": "turn", "trajectory": [[1, 2], [3, 4]]} for i in range(9)]),
        ("annotations.json", {"images": [{"id": 1, "width": 2}], "annotations": [{"id": 1, "bbox": [1, 2, 3, 4]}] * 3}),
        ("config.json", {"lr": 0.1, "betas": [0.9, 0.99], "epochs": 3}),
        ("summary.json", {"pose_rmse": 7.6, "depth_rmse": 11.8}),
        ("vocab.json", {"the": 0, "of": 1}),
    ],
)
def test_other_json_is_not_claimed(tmp_path: Path, name: str, value: object) -> None:
    assert claim("json_rows", write(tmp_path, name, json.dumps(value))) == 0


@fuzz(max_examples=200, deadline=None, suppress_health_check=[TMP])
@given(at=st.integers(0, len(HISTORY)), drop=st.integers(0, 40), junk=st.binary(max_size=10))
def test_damage_anywhere_is_survived(tmp_path: Path, at: int, drop: int, junk: bytes) -> None:
    data = HISTORY.encode()
    path = write(tmp_path, "history.json", data[:at] + junk + data[at + drop :])
    assert 0 <= claim("json_rows", path) <= 1
    log = read("json_rows", path)
    assert log.series or log.problems


@fuzz(max_examples=100, deadline=None, suppress_health_check=[TMP])
@given(data=st.binary(max_size=200) | st.text('[]{},:"\\0e.-nul tN', max_size=80).map(str.encode))
def test_any_bytes_are_survived(tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path, "fuzz.json", data)
    assert 0 <= claim("json_rows", path) <= 1
    read("json_rows", path)


def test_deep_nesting_is_survived(tmp_path: Path) -> None:
    for text in ("[" * 200_000, '{"a":' * 100_000, '[{"loss":1},' + "[" * 100_000):
        path = write(tmp_path, "deep.json", text)
        claim("json_rows", path)
        assert read("json_rows", path).problems


@pytest.mark.shared
def test_artifact() -> None:
    truth = json.loads((shared("corpus/artifacts") / "truth.json").read_text())["wandb_exports"]["metrics"]
    log = read("json_rows", shared("corpus/artifacts/wandb_exports/history.json"))
    assert [name for name, wanted in truth.items() if not matches(log, name, wanted)] == []
