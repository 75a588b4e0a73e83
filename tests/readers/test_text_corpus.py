"""The text reader against the labelled logs and artifacts beside the checkout."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from text_logs import events, read_path, series, values

from runvet.readers.text import reader
from runvet.run import Log
from runvet.source import describe
from shared import ROOT, shared

TEXT = {".log", ".txt", ".out"}


def same(name: str) -> str:
    return re.sub(r"[/. _-]+", "_", name.lower()).strip("_")


def near(a: float, b: float, relative: float = 1e-5) -> bool:
    return a == b or (a != a and b != b) or abs(a - b) <= relative * max(abs(a), abs(b)) + 1e-9


def labelled() -> list[tuple[str, str]]:
    found = []
    for folder in ("logs", "logs2", "logs3"):
        labels = ROOT / "corpus" / folder / "LABELS.json"
        if labels.exists():
            found += [
                (folder, n)
                for n, label in json.loads(labels.read_text()).items()
                if Path(n).suffix in TEXT and label.get("read")
            ]
    return found


def matches(log: Log, wanted: str) -> list[list[float]]:
    alike = [s for s in log.series if same(s.name) == same(wanted) or same(s.name).endswith("_" + same(wanted))]
    return [*(s.value.tolist() for s in alike), [v for s in alike for v in s.value.tolist()]]


@pytest.mark.shared
@pytest.mark.parametrize(("folder", "name"), labelled() or [("logs2", "LABELS.json")])
def test_labelled_series_are_recovered(folder: str, name: str) -> None:
    label = json.loads((shared(f"corpus/{folder}") / "LABELS.json").read_text())[name]
    path = shared(f"corpus/{folder}") / name
    assert reader.claims(describe(path, name)) > 0
    log = read_path(path)
    for wanted, truth in label["read"].items():
        groups = [g for g in matches(log, wanted) if len(g) >= truth["points_min"]]
        assert any(near(g[0], float(truth["first"])) and near(g[-1], float(truth["last"])) for g in groups), (
            wanted,
            [(s.name, s.total, s.first, s.last) for s in log.series][:60],
        )


@pytest.mark.shared
@pytest.mark.parametrize(
    "file", ["iter_lines.txt", "log.txt", "logging.log", "metric_logger.txt", "pipes.txt", "tqdm_stderr.txt"]
)
def test_artifacts_give_exactly_their_points(file: str) -> None:
    truth = json.loads((shared("corpus/artifacts") / "truth.json").read_text())["text_logs"]["per_file"][file]
    log = read_path(shared("corpus/artifacts/text_logs") / file)
    for name, wanted in truth.items():
        (found,) = [s for s in log.series if same(s.name) == same(name)]
        finite = [v for v in found.value.tolist() if math.isfinite(v)]
        assert found.total == wanted["points"], name
        assert found.non_finite == wanted["non_finite"], name
        assert near(sum(finite), wanted["sum"], 2e-3), name
        if not math.isnan(found.step[0]):
            assert (found.step[0], found.step[-1]) == (wanted["first_step"], wanted["last_step"])


@pytest.mark.shared
def test_keras_bar_gives_one_point_an_epoch() -> None:
    log = read_path(shared("corpus/artifacts/keras_run") / "progress.txt")
    truth = json.loads((shared("corpus/artifacts") / "truth.json").read_text())["keras_run"]["metrics"]
    for name, wanted in truth.items():
        assert series(log, name).total == wanted["points"]
        assert near(sum(values(log, name)), wanted["sum"], 2e-3)


@pytest.mark.shared
def test_boxes_of_stable_baselines() -> None:
    log = read_path(shared("corpus/artifacts/sb3_run") / "log.txt")
    truth = json.loads((shared("corpus/artifacts") / "truth.json").read_text())["sb3_run"]["metrics"]
    for name, wanted in truth.items():
        found = series(log, name)
        assert (found.total, found.step[0], found.step[-1]) == (
            wanted["points"],
            wanted["first_step"],
            wanted["last_step"],
        ), name


@pytest.mark.shared
def test_resumed_run_shows_its_seams() -> None:
    log = read_path(shared("cases/panoramas-resumed/run") / "train.log")
    assert len(log.seams) == 2
    assert [e.value for e in events(log, "epoch-length")] == [5000.0, 4000.0]
    assert [e.value for e in events(log, "world-size")] == [4.0, 5.0, 5.0]
    assert [e.value for e in events(log, "traceback")] == ["NameError"]
    assert "/data/run/map-anything3" in [e.value for e in events(log, "work-dir")]
    assert series(log, "test/loss").total > 100
    assert not [s.name for s in log.series if "GeometryLoss" in s.name and not s.name.startswith("test/")]


@pytest.mark.shared
def test_debug_lines_stay_apart_from_the_loss_of_an_epoch() -> None:
    log = read_path(shared("cases/trajectories-compressed/run/logs") / "train.log")
    assert series(log, "Loss").total == 7
    assert series(log, "Range/Loss").total == 84
    assert series(log, "Val L2 Error").last == 67.36
    assert len(events(log, "range")) == 91


@pytest.mark.shared
def test_every_text_of_the_corpora_is_read_without_a_crash() -> None:
    for path in sorted(p for p in shared("corpus").rglob("*") if p.suffix in TEXT and p.is_file()):
        source = describe(path, path.name)
        if source.head and reader.claims(source) > 0:
            read_path(path)
