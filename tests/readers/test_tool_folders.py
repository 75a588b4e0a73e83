"""DVCLive, CatBoost and MLflow: tools that give every metric, or every set, its own file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzz
from hypothesis import strategies as st
from reading import claim, matches, read, series, settings, write

from shared import shared

TRAINING = {
    "meta": {
        "test_sets": ["test"],
        "test_metrics": [{"best_value": "Max", "name": "AUC"}, {"best_value": "Min", "name": "Logloss"}],
        "learn_metrics": [{"best_value": "Min", "name": "Logloss"}],
        "iteration_count": 1000,
        "learn_sets": ["learn"],
    },
    "iterations": [
        {"learn": [0.75], "iteration": 0, "passed_time": 0.5, "remaining_time": 9, "test": [0.5, 0.875]},
        {"learn": [0.5], "iteration": 1, "passed_time": 1.5, "remaining_time": 8, "test": [0.75, 0.625]},
    ],
}


def test_dvclive_names_a_metric_by_its_path(tmp_path: Path) -> None:
    path = write(tmp_path, "dvclive/plots/metrics/eval/per_class/acc.tsv", "step\tacc\n0\t0.5\n5\t0.75\n9\tnan\n")
    assert claim("dvclive", path) > 0.95
    found = series(read("dvclive", path))
    assert list(found) == ["eval/per_class/acc"]
    assert found["eval/per_class/acc"].step.tolist() == [0, 5, 9]
    assert claim("dvclive", write(tmp_path, "other/acc.tsv", "step\tacc\n0\t0.5\n")) == 0


def test_catboost_tables_and_json_agree(tmp_path: Path) -> None:
    learn = write(tmp_path, "catboost_info/learn_error.tsv", "iter\tLogloss\n0\t0.75\n1\t0.5\n")
    test = write(tmp_path, "catboost_info/test_error.tsv", "iter\tAUC\tLogloss\n0\t0.5\t0.875\n1\t0.75\t0.625\n")
    whole = write(tmp_path, "catboost_info/catboost_training.json", json.dumps(TRAINING))
    assert min(claim("catboost", p) for p in (learn, test, whole)) > 0.95
    tables = {**series(read("catboost", learn)), **series(read("catboost", test))}
    log = read("catboost", whole)
    assert {n: series(log)[n].value.tolist() for n in tables} == {n: s.value.tolist() for n, s in tables.items()}
    assert sorted(tables) == ["learn/Logloss", "test/AUC", "test/Logloss"]
    assert series(log)["test/AUC"].time.tolist() == [0.5, 1.5]
    assert settings(log)["iteration_count"] == 1000


def test_catboost_training_cut_off(tmp_path: Path) -> None:
    text = json.dumps(TRAINING)
    log = read("catboost", write(tmp_path, "catboost_training.json", text[: text.index('"iteration": 1')]))
    assert series(log)["learn/Logloss"].value.tolist() == [0.75]
    assert log.problems


def test_mlflow_names_go_through_folders(tmp_path: Path) -> None:
    write(tmp_path, "mlruns/0/abc/meta.yaml", "run_id: abc\nrun_name: tiny\n")
    path = write(tmp_path, "mlruns/0/abc/metrics/metrics/loss", "1795231334098 nan 0\n1795231335098 -0.5 1\n17952313")
    assert claim("mlflow_files", path) == 0  # the last line of a whole file is no line of metrics …
    path = write(tmp_path, "mlruns/0/abc/metrics/metrics/loss", "1795231334098 nan 0\n1795231335098 -0.5 1\n")
    assert claim("mlflow_files", path) > 0.95
    found = series(read("mlflow_files", path))["metrics/loss"]
    assert found.step.tolist() == [0, 1]
    assert found.time[1] - found.time[0] == 1
    assert found.non_finite == 1


def test_mlflow_half_line_is_named(tmp_path: Path) -> None:
    text = "1795231334098 1.5 0\n1795231335098 0.5 1\n1795231336098 0.2"
    log = read("mlflow_files", write(tmp_path, "metrics/loss", text))
    assert series(log)["loss"].value.tolist() == [1.5, 0.5]
    assert log.problems[0].line == 3


def test_mlflow_params_are_settings(tmp_path: Path) -> None:
    write(tmp_path, "mlruns/0/abc/meta.yaml", "run_id: abc\n")
    path = write(tmp_path, "mlruns/0/abc/params/opt/lr", "0.003")
    assert claim("settings", path) > 0.8
    assert settings(read("settings", path)) == {"opt/lr": "0.003"}


@fuzz(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200) | st.just(json.dumps(TRAINING).encode()), cut=st.integers(0, 500))
def test_any_bytes_are_survived(tmp_path: Path, data: bytes, cut: int) -> None:
    data = data[: max(0, len(data) - cut)]
    for reader, name in (
        ("dvclive", "plots/metrics/a.tsv"),
        ("catboost", "learn_error.tsv"),
        ("catboost", "catboost_training.json"),
        ("mlflow_files", "metrics/a"),
    ):
        path = write(tmp_path, name, data)
        assert 0 <= claim(reader, path) <= 1
        read(reader, path)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "reader", "below"),
    [("dvclive_run", "dvclive", "plots/metrics/"), ("mlflow_files", "mlflow_files", "*/metrics/")],
)
def test_artifacts(folder: str, reader: str, below: str) -> None:
    root = shared(f"corpus/artifacts/{folder}")
    truth = json.loads((root.parent / "truth.json").read_text())[folder]["metrics"]
    found: set[str] = set()
    for path in sorted(p for p in root.rglob(f"{below}**/*") if p.is_file()):
        log = read(reader, path)
        found |= {name for name, wanted in truth.items() if matches(log, name, wanted)}
    assert found == set(truth)
