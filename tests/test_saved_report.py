"""A saved result is the report again: drawn from it, every format says the same."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import runvet
from runvet import api
from runvet import report as r
from runvet.cli.main import main
from runvet.render import DOCUMENTS
from sample_reports import HOSTILE, everything, hostile

EXAMPLES = Path(__file__).parent.parent / "examples" / "runs"
WORDS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12))
NUMBERS = st.one_of(st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False))
VALUES = st.one_of(st.none(), NUMBERS, st.sampled_from([math.nan, math.inf, -math.inf]), WORDS)
MEASURES = st.builds(r.Measure, WORDS, VALUES, st.none() | WORDS, st.none() | WORDS)
WINDOWS = st.builds(r.Window, WORDS, st.integers(0, 400), st.integers(400, 900))
FINDINGS = st.builds(
    r.Finding, st.sampled_from(["LOSS101", "LR101"]), WORDS, st.sampled_from(["critical", "warning"]), st.sampled_from(["s", None]), WORDS,
    st.lists(MEASURES, max_size=3).map(tuple), st.none() | NUMBERS, WORDS,
    st.lists(st.builds(r.Action, WORDS, WORDS, st.sampled_from(r.KINDS)), max_size=2).map(tuple), st.none() | WINDOWS,
)  # fmt: skip
STAGES = st.builds(
    r.StageSummary,
    st.just("s"),
    st.sampled_from(r.VERDICTS),
    WORDS,
    st.builds(r.Steps, st.just(0), st.integers(1, 10**6)),
    sparkline=st.lists(st.floats(-9, 9), max_size=12).map(tuple),
)
REPORTS = st.builds(
    r.Report,
    st.just("0.1.0"),
    WORDS,
    st.sampled_from(r.VERDICTS),
    STAGES.map(lambda s: (s,)),
    st.lists(FINDINGS, max_size=3).map(tuple),
)


def again(report: r.Report) -> r.Report:
    return r.from_dict(orjson.loads(orjson.dumps(r.to_dict(report))))


def drawn(form: str, report: r.Report) -> str:
    renderer = importlib.import_module(f"runvet.render.{form}")
    text: str = renderer.render([report] if form in DOCUMENTS else report)
    return text


def writable(report: r.Report) -> bool:
    """JSON holds no lone surrogates."""
    try:
        orjson.dumps(r.to_dict(report))
    except TypeError:
        return False
    return True


@given(REPORTS.filter(writable), st.sampled_from(["text", "concise", "json", "html"]))
def test_any_report_is_drawn_the_same_from_its_saved_form(report: r.Report, form: str) -> None:
    assert drawn(form, again(report)) == drawn(form, report)


@pytest.mark.parametrize("form", ["text", "concise", "json", "html", "markdown"])
@pytest.mark.parametrize("report", [everything(), hostile()], ids=["everything", "hostile"])
def test_every_field_survives(report: r.Report, form: str) -> None:
    assert drawn(form, again(report)) == drawn(form, report)
    assert again(again(report)) == again(report)


def test_windows_costs_and_kinds_come_back() -> None:
    back = again(everything())
    assert back.stages[0].windows[0] == r.WindowSummary(0, 1000, 2.5, 2.25)
    assert back.findings[0].actions == (r.Action("Stop train/loss", "now", "stop"),)
    assert back.checks.of == 7
    assert back.curves == everything().curves


def test_what_a_later_version_adds_is_left_out() -> None:
    saved = r.to_dict(everything())
    saved["new"] = saved["stages"][0]["new"] = saved["findings"][0]["evidence"][0]["new"] = {"a": 1}
    assert r.from_dict(saved) == again(everything())


def spoilt(**changes: Any) -> dict[str, Any]:
    saved = {**r.to_dict(everything()), **changes}
    return {k: v for k, v in saved.items() if v is not ...}


def stage(**changes: Any) -> dict[str, Any]:
    """A saved report whose stage has other fields."""
    saved = r.to_dict(everything())
    return {**saved, "stages": [{**saved["stages"][0], **changes}]}


@pytest.mark.parametrize(
    "saved",
    [
        stage(eta_s={"overall": None, "recent": None}),
        stage(speed={"overall": 2.5, "unit": "step/s"}),
        spoilt(reading={"points": None, "new": "words of a later version"}),
    ],
)
@pytest.mark.parametrize("form", ["text", "markdown", "html", "junit"])
def test_numbers_that_are_not_there_are_drawn_as_unknown(saved: dict[str, Any], form: str) -> None:
    assert drawn(form, r.from_dict(saved))


@pytest.mark.parametrize(
    ("saved", "why"),
    [
        (spoilt(schema_version=2), "schema_version 2"),
        (spoilt(schema_version=...), "no schema_version"),
        (spoilt(verdict=...), "verdict is missing"),
        (spoilt(verdict="fine"), "verdict is 'fine'"),
        (spoilt(stages=[{"name": "a"}]), r"stages\[0\]\.verdict is missing"),
        (spoilt(findings={"a": 1}), "findings must be a list"),
        (
            spoilt(findings=[{"rule": 7, "name": "x", "severity": "warning", "stage": None, "message": ""}]),
            r"findings\[0\]\.rule must be str",
        ),
        (
            spoilt(curves=[{"stage": "a", "name": "b", "role": None, "axis": "step", "x": [1], "y": ["high"]}]),
            r"curves\[0\]\.y\[0\]",
        ),
        ([], "is an object, not list"),
        (stage(eta_s={"overall": [1]}), r"eta_s\.overall must be a number, not list"),
        (stage(eta_s={"recent": "soon"}), r"eta_s\.recent must be a number, not str"),
        (stage(eta_s=[1]), "eta_s must be an object"),
        (stage(speed={"overall": "fast", "recent": 1, "unit": "step/s"}), r"speed\.overall must be a number"),
        (stage(speed={"overall": 1, "recent": 1}), r"speed\.unit must be str"),
        (spoilt(reading={"points": "many"}), r"reading\.points must be a number, not str"),
        (spoilt(reading={"seconds": [1]}), r"reading\.seconds must be a number, not list"),
        (spoilt(reading=3), "reading must be an object"),
    ],
)
def test_what_is_wrong_is_named(saved: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        r.from_dict(saved)


def test_report_command_draws_what_check_saved(tmp_path: Path) -> None:
    saved, page = tmp_path / "r.json", tmp_path / "r.html"
    run = CliRunner().invoke(
        main, ["check", str(EXAMPLES / "diverging"), "--curves", "--also", f"json={saved}", "--also", f"html={page}"]
    )
    assert run.exit_code == 1
    assert run.output.rstrip().endswith(f"HTML report: {page}")
    text = CliRunner().invoke(main, ["report", str(saved)])
    assert text.exit_code == 0
    assert run.output.startswith(text.output.rstrip())
    html = CliRunner().invoke(main, ["report", str(saved), "--format", "html"])
    assert html.output == page.read_text(encoding="utf-8")
    assert len(page.read_bytes()) < 1_000_000


def test_json_holds_curves_only_when_asked(tmp_path: Path) -> None:
    saved = tmp_path / "r.json"
    CliRunner().invoke(
        main,
        [
            "check",
            str(EXAMPLES / "healthy"),
            "--format",
            "html",
            "--also",
            f"json={saved}",
            "--output",
            str(tmp_path / "r.html"),
        ],
    )
    assert "curves" not in json.loads(saved.read_text())
    assert "curves" not in r.to_dict(api.judge(api.read(EXAMPLES / "healthy")))
    CliRunner().invoke(
        main, ["check", str(EXAMPLES / "healthy"), "--format", "json", "--curves", "--output", str(saved)]
    )
    assert json.loads(saved.read_text())["curves"][0]["name"]


@pytest.mark.parametrize(
    ("content", "why"),
    [("{", "not JSON"), ('{"schema_version": 9}', "schema_version 9"), ("[]", "empty list"), (None, "No such file")],
)
def test_a_result_that_cannot_be_read_is_status_2(tmp_path: Path, content: str | None, why: str) -> None:
    file = tmp_path / "r.json"
    if content is not None:
        file.write_text(content)
    done = CliRunner().invoke(main, ["report", str(file)])
    assert done.exit_code == 2
    assert why in done.output


def test_also_names_what_is_wrong() -> None:
    done = CliRunner().invoke(main, ["check", str(EXAMPLES / "healthy"), "--also", "pdf=x"])
    assert done.exit_code == 2
    assert "FORMAT=FILE" in done.output
    assert runvet.__version__
