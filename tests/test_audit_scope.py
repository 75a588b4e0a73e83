"""`runvet checkpoints` tells what the rules about checkpoints say, and nothing that others do."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import weight_files as files
from runvet import engine, examples
from runvet.auditing import ALSO, about_checkpoints, judges
from runvet.checkpoints.model import Checkpoint
from runvet.cli.main import main
from runvet.report import (
    Action,
    Checks,
    Finding,
    PlannedAction,
    Report,
    StageSummary,
    TrustedCheckpoint,
    Unchecked,
)
from runvet.run import Run, Stage

PAGE = Path(__file__).parent.parent / "docs" / "checkpoints.md"
STOP = Action("Stop", "now", "stop")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNVET_CACHE", str(tmp_path_factory.mktemp("cache")))


def saved(path: str) -> Checkpoint:
    return Checkpoint(path, "safetensors", 1)


def finding(code: str, stage: str | None = "a", **more: object) -> Finding:
    return replace(Finding(code, code.lower(), "critical", stage, "", actions=(Action(f"Repair {code}"),)), **more)  # type: ignore[arg-type]


def whole(*found: Finding) -> Report:
    gap = [Unchecked(code, code.lower(), "a", "why") for code in ("CKPT108", "LOSS101", "RES106")]
    return Report(
        "0",
        "x",
        "critical",
        tuple(StageSummary(name, "critical") for name in ("a", "b", "c")),
        found,
        tuple(PlannedAction(i, f"Repair {f.rule}", (f.rule,)) for i, f in enumerate(found, 1)),
        TrustedCheckpoint("a/1.pt", 1, "the newest"),
        Checks(
            9,
            12,
            tuple(gap),
            tuple(gap),
            tuple(gap),
            ("CKPT101", "GEN101", "LOG101", "LOG104", "SYS101"),
            tuple(Unchecked(code, code, None, "told") for code in ("CKPT", "LOSS101", "LOG", "CKPT102", "SYS")),
        ),
        why_not_judged="",
    )


RUN = Run("x", tuple(Stage(name, "", ()) for name in ("a", "b", "c")), checkpoints=(saved("a/1.pt"), saved("b/1.pt")))


def test_nothing_of_other_rules_is_left() -> None:
    told = about_checkpoints(whole(finding("LOSS101"), finding("GEN101", "b"), finding("SYS101", None)), RUN)
    assert told.findings == told.actions == ()
    assert told.verdict == "sound"
    assert [s.verdict for s in told.stages] == ["sound", "sound", "not judged"]
    checks = told.checks
    assert checks.passed == ("CKPT101", "LOG104")
    for entries in (checks.not_checked, checks.not_applicable, checks.crashed):
        assert [u.rule for u in entries] == ["CKPT108", "RES106"]
    assert [u.rule for u in checks.ignored] == ["CKPT", "LOG", "CKPT102"]
    assert (checks.ran, checks.of) == (2, 4)


def test_stages_have_the_verdict_of_what_is_left() -> None:
    told = about_checkpoints(whole(finding("LOSS101", "b"), finding("CKPT104"), finding("RES106", "c")), RUN)
    assert [f.rule for f in told.findings] == ["CKPT104", "RES106"]
    assert told.verdict == "critical"
    assert [s.verdict for s in told.stages] == ["critical", "sound", "critical"]
    assert told.checks.ran == 4


def test_actions_are_counted_from_one_and_ask_for_nothing_else() -> None:
    found = [
        finding("LOSS101", actions=(STOP, Action("Lower the rate"))),
        finding("CKPT101", actions=(STOP, Action("Save"))),
    ]
    told = about_checkpoints(whole(*found), RUN)
    assert [a.order for a in told.actions] == list(range(1, len(told.actions) + 1))
    assert {w for a in told.actions for w in a.why} == {"CKPT101"}
    assert "Lower the rate" not in [a.do for a in told.actions]


def test_a_cause_that_is_not_told_is_not_named() -> None:
    found = [finding("LOSS101"), finding("CKPT104", caused_by="LOSS101"), finding("CKPT109", caused_by="CKPT104")]
    assert [f.caused_by for f in about_checkpoints(whole(*found), RUN).findings] == [None, "CKPT104"]


def test_the_page_lists_every_rule_that_is_kept() -> None:
    listed = set(re.findall(r"\| ([A-Z]+\d+) [a-z-]+ \|", PAGE.read_text(encoding="utf-8")))
    assert listed == {r.code for r in engine.collect() if judges(r.code)}
    assert set(ALSO) < listed


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose loss rises, whose log says that no weights were loaded, and whose checkpoints are fine."""
    values = examples.decay(1000)
    values[500:] = values[500:][::-1] * 3 + 2
    files.log(tmp_path, values)
    for step in (200, 400, 600):
        files.write(tmp_path / f"ckpt/step_{step}.safetensors", files.weights(step))
    return tmp_path


@pytest.mark.parametrize("form", ["markdown", "junit", "html", "sarif", "concise", "text", "github"])
def test_other_families_are_in_no_format(run: Path, form: str) -> None:
    assert CliRunner().invoke(main, ["check", str(run), "--format", "json"]).exit_code == 1
    done = CliRunner().invoke(main, ["checkpoints", str(run), "--format", form])
    assert done.exit_code == 0
    told = done.output
    if form == "html":
        told = told.split('type="application/json">')[1].split("</script>")[0]
        (page,) = json.loads(told)
        assert [s["verdict"] for s in page["stages"]] == ["sound"]
    assert "cannot be trusted" not in told
    # The paragraph (of several lines in a narrow terminal) on the trusted checkpoint: it is from before the loss rose.
    told = re.sub(r"Trusted checkpoint(?:.|\n(?!\n))*|\"why\":\"[^\"]*\"", "", told)
    assert set(re.findall(r"\b(?:LOSS|LR|GEN|SYS|ENV|DATA|LOG|RES)\d{3}\b", told)) <= set(ALSO)


def test_weights_that_were_not_loaded_are_told(run: Path) -> None:
    lines = ["loading pretrained.pt", "Loaded 0/48 parameters from pretrained.pt"]
    rows = [f"step {i} loss {5 / (1 + i / 50):.4f}" for i in range(300)]
    (run / "train.log").write_text("\n".join([*lines, *rows]) + "\n")
    done = CliRunner().invoke(main, ["checkpoints", str(run), "--format", "json"])
    assert [f["rule"] for f in json.loads(done.output)["findings"]] == ["LOG104"]
    assert done.exit_code == 1
