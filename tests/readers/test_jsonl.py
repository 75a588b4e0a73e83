"""JSON lines of many tools, whole and damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzz
from hypothesis import strategies as st
from reading import claim, matches, read, series, settings, write

from shared import shared

TMP = HealthCheck.function_scoped_fixture


def lines(*rows: dict[str, object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_mae_and_detr_rows(tmp_path: Path) -> None:
    text = lines(*({"train_loss": 1 / (e + 1), "test_acc1": e, "epoch": e, "n_parameters": 400} for e in range(4)))
    path = write(tmp_path, "log.txt", text)
    assert claim("jsonl", path) > 0.7
    found = series(read("jsonl", path))
    assert list(found) == ["train_loss", "test_acc1", "n_parameters"]
    assert found["train_loss"].epoch.tolist() == [0, 1, 2, 3]


def test_rows_of_different_keys_keep_their_order(tmp_path: Path) -> None:
    rows = [{"step": i, "loss": i / 2, **({"eval/loss": i} if i % 3 == 0 else {})} for i in range(20)]
    found = series(read("jsonl", write(tmp_path, "log.jsonl", lines(*rows))))
    assert found["loss"].value.tolist() == [i / 2 for i in range(20)]
    assert found["eval/loss"].step.tolist() == [0, 3, 6, 9, 12, 15, 18]
    assert found["loss"].line.tolist() == list(range(1, 21))


def test_only_numbers_become_points(tmp_path: Path) -> None:
    row = {
        "step": 1,
        "loss": 0.5,
        "flag": True,
        "note": "x",
        "list": [1, 2],
        "img": {"_type": "image", "size": 3},
        "n": None,
    }
    found = series(read("jsonl", write(tmp_path, "log.jsonl", lines(row, {**row, "step": 2, "train": {"acc": 0.75}}))))
    assert sorted(found) == ["loss", "train/acc"]


def test_bare_and_quoted_non_finite_numbers(tmp_path: Path) -> None:
    text = '{"step": 1, "loss": NaN}\n{"step": 2, "loss": -Infinity}\n{"step": 3, "loss": "nan"}\n{"step": 4, "loss": "10.25"}\n'
    found = series(read("jsonl", write(tmp_path, "log.jsonl", text)))["loss"]
    assert (found.non_finite, found.last, found.step.tolist()) == (3, 10.25, [1, 2, 3, 4])


def test_other_lines_are_named_once_and_passed_over(tmp_path: Path) -> None:
    text = '{"step": 1, "loss": 1}\nsaving...\nINFO {"step": 2, "loss": 2}\nnope\n{"step": 3, "loss": 3}{"step": 4, "loss": 4}\n{"step": 5, "lo'
    log = read("jsonl", write(tmp_path, "log.jsonl", text))
    assert series(log)["loss"].value.tolist() == [1, 2, 3, 4]
    assert [p.line for p in log.problems] == [2, 3, 6]


def test_mmcv_counts_iterations_within_the_epoch(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"env_info": "torch 2", "seed": 7, "config": "model = dict()"}]
    for epoch in (1, 2):
        rows += [{"mode": "train", "epoch": epoch, "iter": i, "loss": 1 / i, "time": 0.5} for i in (50, 100)]
        rows.append({"mode": "val", "epoch": epoch, "iter": 30, "bbox_mAP": epoch / 10, "loss": 9})
    log = read("jsonl", write(tmp_path, "x.log.json", lines(*rows)))
    found = series(log)
    assert found["loss"].step.tolist() == [50, 100, 150, 200]
    assert found["val/bbox_mAP"].step.tolist() == [100, 200]
    assert found["val/loss"].value.tolist() == [9, 9]
    assert settings(log)["seed"] == 7


def test_mmengine_validation_rows_number_themselves_by_epoch(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = []
    for epoch in (1, 2, 3):
        rows += [
            {"loss": 1 / i, "time": 0.5 / i, "epoch": epoch, "iter": i, "step": i} for i in (epoch * 10 - 5, epoch * 10)
        ]
        rows.append({"mse": 1 / epoch, "step": epoch})
    found = series(read("jsonl", write(tmp_path, "scalars.json", lines(*rows))))
    assert found["mse"].epoch.tolist() == [1, 2, 3]
    assert found["mse"].step.tolist() == [10, 20, 30]


def test_records_of_structured_loggers_become_events(tmp_path: Path) -> None:
    text = lines({"level": "INFO", "msg": "hi", "loss": 1, "step": 1}, {"level": "ERROR", "msg": "CUDA error"})
    (event,) = read("jsonl", write(tmp_path, "log.jsonl", text)).events
    assert (event.kind, event.text, event.line) == ("error", "CUDA error", 2)


def test_long_rows_become_series(tmp_path: Path) -> None:
    text = lines(*({"name": n, "value": i, "step": i} for i in range(3) for n in ("loss", "acc")))
    path = write(tmp_path, "m.jsonl", text)
    assert claim("jsonl", path) > 0
    assert {n: s.value.tolist() for n, s in series(read("jsonl", path)).items()} == {
        "loss": [0, 1, 2],
        "acc": [0, 1, 2],
    }


def test_blocks_of_rows_join(tmp_path: Path) -> None:
    text = "".join(f'{{"step": {i}, "loss": {i / 3!r}}}\n' for i in range(30_000))
    found = series(read("jsonl", write(tmp_path, "log.jsonl", text)))["loss"]
    assert np.array_equal(found.value, np.arange(30_000) / 3)
    assert np.array_equal(found.line, np.arange(1, 30_001))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n'),
        ("chat.jsonl", '{"messages": [{"role": "user"}], "id": 3}\n'),
        ("config.json", '{"lr": 0.1, "epochs": 3}\n'),
        ("summary.json", '{"_step": 9, "loss": 0.5}\n'),
        ("a.txt", "no json\n"),
    ],
)
def test_other_files_are_not_claimed(tmp_path: Path, name: str, text: str) -> None:
    assert claim("jsonl", write(tmp_path, name, text)) == 0


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.lists(
    st.dictionaries(st.sampled_from(["step", "epoch", "loss", "time", "mode", "name", "value", "level", ""]), VALUES),
    max_size=8,
)


@fuzz(max_examples=200, deadline=None, suppress_health_check=[TMP])
@given(rows=ROWS, cut=st.integers(0, 40), junk=st.binary(max_size=10))
def test_any_rows_are_survived(tmp_path: Path, rows: list[dict[str, object]], cut: int, junk: bytes) -> None:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path = write(tmp_path, "fuzz.jsonl", data[: max(0, len(data) - cut)] + junk)
    assert 0 <= claim("jsonl", path) <= 1
    read("jsonl", path)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "file"),
    [
        ("wandb_exports", "history.jsonl"),
        ("sb3_run", "progress.json"),
        ("mmengine_run", "work/*/vis_data/scalars.json"),
    ],
)
def test_artifacts(folder: str, file: str) -> None:
    truth = json.loads((shared("corpus/artifacts") / "truth.json").read_text())[folder]["metrics"]
    (path,) = shared(f"corpus/artifacts/{folder}").glob(file)
    assert [name for name, wanted in truth.items() if not matches(read("jsonl", path), name, wanted)] == []


def test_the_planned_number_of_steps_is_no_coordinate(tmp_path: Path) -> None:
    rows = [{"current_steps": i, "total_steps": 90, "loss": 1 / i, "elapsed_time": f"0:00:{i}"} for i in (10, 20, 30)]
    found = series(read("jsonl", write(tmp_path, "trainer_log.jsonl", lines(*rows))))
    assert found["loss"].step.tolist() == [10, 20, 30]
    assert found["loss"].time.tolist() == [10, 20, 30]
