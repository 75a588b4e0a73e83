"""Names that are no Unicode and numbers beyond 64 bit: every command writes them in a form that can be read again."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import weight_files as files
from runvet import examples
from runvet import report as r
from runvet.cli.drawing import deliver
from runvet.cli.main import main
from runvet.figures import drawing
from runvet.render import text
from runvet.render.html import embed
from runvet.render.json import render
from runvet.render.terminal import Terminal

NAME = os.fsdecode(b"caf\xe9")  # Latin-1: no UTF-8
HUGE = (2**64, -(2**63) - 1, 10**300)
pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take Unicode names only")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNVET_CACHE", str(tmp_path_factory.mktemp("cache")))


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose folder, log and checkpoints have such names."""
    folder = tmp_path / NAME
    folder.mkdir()
    files.log(folder, examples.decay(1000))
    (folder / "metrics.csv").rename(folder / f"{NAME}.csv")
    for step in (200, 400, 600):
        files.write(folder / NAME / f"step_{step}.safetensors", files.weights(step))
    return folder


def test_export_of_names_that_are_no_unicode(run: Path) -> None:
    done = call("export", run)
    assert done.exit_code == 0
    rows = [json.loads(line) for line in done.output.splitlines()]
    assert {row["source"] for row in rows} == {"caf?.csv"}
    assert rows[0]["run"].endswith("/caf?")
    told = list(csv.DictReader(io.StringIO(call("export", run, "--format", "csv").output)))
    assert [(row["run"], row["source"]) for row in told] == [(row["run"], row["source"]) for row in rows]


def test_parquet_has_the_same_names(run: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra parquet brings pyarrow")
    place = tmp_path / "x.parquet"
    assert call("export", run, "--format", "parquet", "--output", place).exit_code == 0
    assert set(parquet.read_table(place)["source"].to_pylist()) == {"caf?.csv"}


@pytest.mark.parametrize("more", [(), ("--diff", "200", "600")])
def test_checkpoints_of_names_that_are_no_unicode(run: Path, more: tuple[str, ...]) -> None:
    done = call("checkpoints", run, "--format", "json", *more)
    assert done.exit_code == 0
    told = json.loads(done.output)
    paths = [told["before"], told["after"]] if more else [c["path"] for c in told["checkpoints"]]
    assert all(p.startswith("caf?/step_") for p in paths)


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_data_of_names_that_are_no_unicode(tmp_path: Path, form: str) -> None:
    folder = tmp_path / NAME / NAME  # the inner one is a class
    folder.mkdir(parents=True)
    for i in range(4):
        np.save(folder / f"\x1b[2J{NAME}{i}.npy", np.random.default_rng(i).normal(size=(8, 8)))
        np.save(folder / f"constant{i}.npy", np.full((8, 8), i))
    place = tmp_path / "out"
    done = call("data", tmp_path / NAME, "--format", form)
    assert done.exit_code == 0
    assert "\x1b" not in done.output
    assert call("data", tmp_path / NAME, "--format", form, "--output", place).exit_code == 0
    assert place.read_bytes() == done.stdout_bytes
    if form == "json":
        assert json.loads(done.output)["sets"][0]["items"] == 8


@pytest.mark.parametrize("form", ["text", "json", "html", "markdown", "sarif", "junit", "github", "concise"])
def test_every_report_of_names_that_are_no_unicode(run: Path, tmp_path: Path, form: str) -> None:
    place = tmp_path / "out"
    assert call("check", run, "--format", form, "--output", place).exit_code in (0, 1)
    assert "caf" in place.read_text(encoding="utf-8")


def test_what_is_delivered_can_be_encoded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deliver(f"{NAME} é\n", None)
    deliver(f"{NAME} é\n", tmp_path / "out")
    assert capsys.readouterr().out == (tmp_path / "out").read_text(encoding="utf-8") == "caf? é\n"


@pytest.mark.parametrize("huge", HUGE)
def test_integers_beyond_64_bit_become_floats(huge: int) -> None:
    stage = r.StageSummary("s", "sound", steps=r.Steps(0, huge))
    report = r.Report("0", "x", "sound", (stage,), (r.Finding("A1", "a", "warning", "s", "", (r.Measure("x", huge),)),))
    told = json.loads(render([report]))
    assert told["stages"][0]["steps"]["last"] == float(huge)
    assert told["findings"][0]["evidence"][0]["value"] == float(huge)
    assert r.from_dict(told).stages[0].steps.last == float(huge)


@pytest.mark.parametrize(
    ("value", "told"), [(2**64 - 1, 2**64 - 1), (-(2**63), -(2**63)), (10**400, None), (True, True)]
)
def test_integers_that_fit_stay_and_those_beyond_floats_are_unknown(value: int, told: object) -> None:
    assert r.number(value) is told or r.number(value) == told
    assert json.loads(embed(r.plain({"a": [value]}))) == {"a": [told]}


def test_keys_are_plain_too() -> None:
    assert r.plain({NAME: {NAME: 1.0}}) == {"caf?": {"caf?": 1}}


def test_huge_steps_of_a_log(tmp_path: Path) -> None:
    rows = [json.dumps({"step": int(i * 1e20), "loss": 5 / (1 + i)}) for i in range(200)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(rows))
    for command in ("check", "export", "checkpoints"):
        done = call(command, tmp_path, *([] if command == "export" else ["--format", "json"]))
        assert "failed" not in done.output
        for line in done.stdout.splitlines() if command == "export" else [done.stdout]:
            assert json.loads(line)


def test_means_beyond_all_floats_can_be_saved_and_drawn_again() -> None:
    windows = (r.WindowSummary(0, 1, float("inf"), float("nan")), r.WindowSummary(1, 2, 1.0, 1.0))
    stage = r.StageSummary("s", "sound", windows=windows, sparkline=(1.0, float("inf"), 2.0))
    again = r.from_dict(json.loads(render([r.Report("0", "x", "sound", (stage,))])))
    assert again.stages[0].windows == (r.WindowSummary(0, 1, None, None), r.WindowSummary(1, 2, 1.0, 1.0))
    assert again.stages[0].sparkline == (1.0, 2.0)
    assert "?  1  mean per 1 steps" in text.render(again)


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ([1.0] * 40 + [1.7e308] * 40, "low high"),
        ([-1.7e308] * 40 + [1.7e308] * 40, "low high"),
        ([1.7e308] * 40 + [-1.7e308] * 40, "high low"),
        ([sys.float_info.max] * 80, "low low"),
        ([5e-324] * 40 + [0.0] * 40, "high low"),
        ([1.0] * 40 + [2.0] * 40 + [float("inf")] * 3 + [float("nan")] * 3, "low high"),
    ],
)
def test_a_curve_of_huge_values_is_drawn(values: list[float], shape: str, unicode: bool) -> None:
    bars = Terminal(width=80, unicode=unicode).spark(values)
    ends = {"▁": "low", "█": "high", "_": "low", "@": "high"}
    assert len(bars) == 32
    assert f"{ends[bars[0]]} {ends[bars[-1]]}" == shape


@pytest.mark.parametrize("values", [[], [1.0], [float("nan")] * 9, [float("inf"), 1.0]])
def test_fewer_than_two_finite_values_are_no_curve(values: list[float]) -> None:
    assert Terminal().spark(values) == ""


def test_figures_of_names_that_are_no_unicode() -> None:
    figure = r.Figure("note", data={"name": NAME, NAME: 2**70})
    assert drawing._bounded([figure], 1000) == (figure,)
