"""Trackers that keep JSON: ClearML and Comet offline sessions, Neptune's queues."""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path

import pytest
from binary_writers import mutated
from hypothesis import HealthCheck, example, given
from hypothesis import settings as fuzz
from hypothesis import strategies as st
from reading import claim, matches, read, series, settings, write

from shared import shared

TMP = HealthCheck.function_scoped_fixture


def archive(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in members.items():
            packed.writestr(name.replace("_", "."), text)
    return buffer.getvalue()


def clearml_event(
    metric: str, variant: str, step: int, value: float, kind: str = "training_stats_scalar"
) -> dict[str, object]:
    return {"timestamp": 1000 * step, "type": kind, "iter": step, "metric": metric, "variant": variant, "value": value}


CLEARML = "".join(json.dumps([clearml_event("loss", "train", i, 1 / (i + 1))]) + "\n" for i in range(30))
TASK = json.dumps({
    "hyperparams": {"General": {"lr": {"value": "0.1", "type": "float"}}, "Args": {"model/depth": {"value": "2", "type": "int"}},
                    "opt": {"amp": {"value": "True", "type": "bool"}}},
    "name": "tiny", "offline_folder": "x",
})  # fmt: skip
COMET = "".join(
    json.dumps({"type": "metric_msg", "payload": {"local_timestamp": 1000 * i, "metric": {
        "metricName": "loss", "metricValue": 1 / (i + 1), "step": i, "epoch": None}}}) + "\n"
    for i in range(30)
)  # fmt: skip
NEPTUNE = "".join(
    json.dumps(
        {"obj": {"type": "LogFloats", "path": ["train", "loss"], "values": [{"value": i / 3, "step": i, "ts": 5.0}]}}
    )
    for i in range(30)
)


@pytest.mark.parametrize("packed", [False, True])
def test_clearml(tmp_path: Path, packed: bool) -> None:
    more = [
        clearml_event("acc", "train", 1, 0.5),
        clearml_event("acc", "val", 1, 0.4),
        clearml_event("h", "h", 1, 2, "plot"),
    ]
    monitor = [clearml_event(":monitor:machine", "cpu_usage", 60, 12.0)]
    text = CLEARML + json.dumps(more) + "\n" + json.dumps(monitor) + "\n"
    data, name = (archive(metrics_jsonl=text, task_json=TASK), "offline-1.zip") if packed else (text, "metrics.jsonl")
    path = write(tmp_path, name, data)
    assert claim("clearml", path) == 1.0
    log = read("clearml", path)
    assert sorted(series(log)) == ["acc/train", "acc/val", "loss", "system/cpu_usage"]
    assert series(log)["loss"].step.tolist() == list(range(30))
    assert series(log)["loss"].time[3] == 3.0
    assert math.isnan(series(log)["system/cpu_usage"].step[0])
    if packed:
        assert settings(log) == {"clearml.name": "tiny", "lr": 0.1, "model.depth": 2, "opt.amp": True}


def test_clearml_task(tmp_path: Path) -> None:
    path = write(tmp_path, "task.json", TASK)
    assert claim("clearml", path) == 1.0
    assert settings(read("clearml", path))["lr"] == 0.1
    assert read("clearml", write(tmp_path, "task.json", TASK[:50])).problems


def test_comet(tmp_path: Path) -> None:
    parameters = [
        {"type": "parameter_msg", "payload": {"param": {"paramName": "lr", "paramValue": 0.1}}},
        {"type": "parameter_msg", "payload": {"param": {"paramName": "curr_step", "paramValue": 3}}},
        {"type": "log_other", "payload": {"key": "Name", "value": "tiny"}},
        {"type": "metric_msg", "payload": {"metric": {"metricName": "loss", "metricValue": math.nan, "step": 30}}},
    ]
    text = COMET + "\n".join(json.dumps(p) for p in parameters)
    path = write(tmp_path, "x.zip", archive(messages_json=text, experiment_json='{"project_name": "p"}'))
    assert claim("comet", path) == 1.0
    assert claim("clearml", path) == 0.0
    log = read("comet", path)
    assert series(log)["loss"].step.tolist() == list(range(31))
    assert series(log)["loss"].non_finite == 1
    assert settings(log) == {"lr": 0.1, "comet.project_name": "p", "comet.run_name": "tiny"}


def test_neptune_objects_need_no_lines(tmp_path: Path) -> None:
    assign = {"obj": {"type": "AssignFloat", "path": ["parameters", "lr"], "value": 0.1}, "version": 1}
    failed = {"obj": {"type": "AssignBool", "path": ["sys", "failed"], "value": True}}
    text = NEPTUNE + "\n" + json.dumps(assign, indent=2) + json.dumps(failed) + '{"obj": {"type": "LogFl'
    path = write(tmp_path, ".neptune/offline/run__1/data-1.log", text)
    assert claim("neptune", path) == 1.0
    log = read("neptune", path)
    assert series(log)["train/loss"].value.tolist() == [i / 3 for i in range(30)]
    assert settings(log)["parameters.lr"] == 0.1
    assert [e.kind for e in log.events] == ["error"]
    assert not log.problems


def test_a_torn_line_in_the_middle_is_named(tmp_path: Path) -> None:
    lines = NEPTUNE.replace("}{", "}\n{").split("\n")
    lines[10] = lines[10][:40]
    log = read("neptune", write(tmp_path, "data-1.log", "\n".join(lines)))
    assert len(series(log)["train/loss"]) == 29
    assert log.problems[0].line == 11


def test_bombs_and_other_archives_are_refused(tmp_path: Path) -> None:
    bomb = archive(messages_json=" " * (40 << 20), experiment_json="{}")
    log = read("comet", write(tmp_path, "bomb.zip", bomb))
    assert "would unpack" in log.problems[0].why
    other = archive(data_pkl="x", version="3")
    for name in ("comet", "clearml", "neptune"):
        assert claim(name, write(tmp_path, "model.zip", other)) == 0.0
        assert claim(name, write(tmp_path, "model.pt", archive(messages_json="", experiment_json="{}"))) == 0.0
        assert claim(name, write(tmp_path, "data-1.log", "step 1 loss 2\n")) == 0.0
        assert claim(name, write(tmp_path, "metrics.jsonl", '{"loss": 1}\n')) == 0.0


ZIPS = {
    "comet": archive(messages_json=COMET, experiment_json="{}"),
    "clearml": archive(metrics_jsonl=CLEARML, task_json=TASK),
}


@fuzz(deadline=None, max_examples=60, suppress_health_check=[TMP])
@example([(0.6875, 0)], 1.0)
@example([(0.75, 0)], 1.0)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6), st.floats(0.05, 1))
def test_damaged_archives(tmp_path: Path, places: list[tuple[float, int]], cut: float) -> None:
    for name, data in ZIPS.items():
        path = write(tmp_path, "x.zip", mutated(data, places, cut))
        claim(name, path)
        log = read(name, path)
        assert sum(len(s) for s in log.series if s.name == "loss") >= 30 or log.problems


@fuzz(deadline=None, max_examples=60, suppress_health_check=[TMP])
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6), st.floats(0.05, 1))
def test_damaged_texts(tmp_path: Path, places: list[tuple[float, int]], cut: float) -> None:
    for name, file, text in (("clearml", "metrics.jsonl", CLEARML), ("neptune", "data-1.log", NEPTUNE)):
        read(name, write(tmp_path, file, mutated(text.encode(), places, cut)))


@fuzz(deadline=None, max_examples=60, suppress_health_check=[TMP])
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda c: st.lists(c) | st.dictionaries(
    st.sampled_from(["obj", "type", "path", "values", "payload", "metric", "param", "value", "iter", "hyperparams"]), c)))  # fmt: skip
def test_any_json(tmp_path: Path, value: object) -> None:
    text = json.dumps(value)
    read(
        "neptune",
        write(tmp_path, "data-1.log", text + '{"obj": {"type": "LogFloats", "path": ["a"], "values": ' + text + "}}"),
    )
    read("clearml", write(tmp_path, "metrics.jsonl", f"[{text}]\n{text}\n[]"))
    read("clearml", write(tmp_path, "task.json", text))
    messages = f'{{"type": "metric_msg", "payload": {{"metric": {text}, "param": {text}}}}}\n{text}'
    read("comet", write(tmp_path, "x.zip", archive(messages_json=messages, experiment_json=text)))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "artifact", "pattern"),
    [
        ("clearml", "clearml_run", "*.zip"),
        ("clearml", "clearml_run", "*/metrics.jsonl"),
        ("comet", "comet_run", "*.zip"),
        ("neptune", "neptune_run", ".neptune/offline/*/data-1.log"),
    ],
)
def test_real_runs(name: str, artifact: str, pattern: str) -> None:
    truth = json.loads((shared("corpus/artifacts") / "truth.json").read_text())[artifact]
    (path,) = (shared("corpus/artifacts") / artifact).glob(pattern)
    assert claim(name, path) == 1.0
    log = read(name, path)
    for metric, wanted in truth["metrics"].items():
        assert matches(log, metric, wanted), metric
    assert not log.problems
