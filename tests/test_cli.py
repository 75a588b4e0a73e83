"""The command line as a user meets it: in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples" / "runs"


def runvet(*arguments: object, stdin: bytes | None = None, **environment: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of one call."""
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    done = subprocess.run(
        [sys.executable, "-m", "runvet", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
        env={**clean, **environment},
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def report(*arguments: object) -> dict[str, object]:
    return json.loads(runvet("check", *arguments, "--format", "json")[1])  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("name", "status", "rule"),
    [
        ("healthy", 0, None),
        ("diverging", 1, "LOSS101"),
        ("overfitted", 1, "LOSS105"),
        ("divided-loss", 1, "LOSS114"),
        ("crashed", 1, "LOG103"),
    ],
)
def test_example_runs(name: str, status: int, rule: str | None) -> None:
    code, out, err = runvet("check", EXAMPLES / name)
    assert (code, err) == (status, "")
    assert ("SOUND" in out) == (status == 0)
    assert rule is None or rule in out
    assert max(map(len, out.splitlines())) <= 100


def test_verdict_and_coverage_come_first() -> None:
    lines = runvet("check", EXAMPLES / "diverging")[1].splitlines()
    assert lines[0].startswith("runvet ")
    assert lines[2].startswith("CRITICAL") or lines[3].startswith("CRITICAL")
    text = "\n".join(lines)
    assert text.index("checks ran") < text.index("LOSS101") < text.index("Do this, in this order")


def test_json_keeps_the_contract() -> None:
    told = report(EXAMPLES / "diverging")
    assert told["schema_version"] == 1
    assert told["verdict"] == "critical"
    (stage,) = told["stages"]  # type: ignore[misc]
    assert stage["steps"] == {"first": 0, "last": 1499, "planned": 1500, "axis": "step"}
    assert [w["from"] for w in stage["windows"]] == [0, 200, 400, 600, 800, 1000, 1200, 1400]
    finding = next(f for f in told["findings"] if f["rule"] == "LOSS101")  # type: ignore[attr-defined]
    assert finding["severity"] == "critical"
    assert finding["stage"] == "diverging"
    assert all({"what", "value", "unit", "where"} <= set(e) for e in finding["evidence"])
    assert [a["order"] for a in told["actions"]] == list(range(1, len(told["actions"]) + 1))  # type: ignore[arg-type, attr-defined]


def test_several_runs_give_a_list_and_the_worst_status() -> None:
    code, out, _ = runvet("check", EXAMPLES / "healthy", EXAMPLES / "diverging", "--format", "json")
    assert [r["verdict"] for r in json.loads(out)] == ["sound", "critical"]
    assert code == 1


def test_globs_and_output_file(tmp_path: Path) -> None:
    target = tmp_path / "report.txt"
    code, out, _ = runvet("check", EXAMPLES / "hea*", "--output", target)
    assert (code, out) == (0, "")
    assert "SOUND" in target.read_text(encoding="utf-8")


def test_concise_is_one_line_a_finding() -> None:
    out = runvet("check", EXAMPLES / "overfitted", "--format", "concise")[1]
    assert out.splitlines()[-1].endswith("checks ran")
    assert any(" LOSS105 overfitting: " in line for line in out.splitlines())


def test_standard_input() -> None:
    text = (EXAMPLES / "diverging" / "train.log").read_bytes()
    code, out, _ = runvet("check", "-", "--format", "concise", stdin=text)
    assert code == 1
    assert "LOSS101" in out


@pytest.mark.parametrize("level", ["critical", "never"])
def test_fail_on(level: str) -> None:
    assert runvet("check", EXAMPLES / "diverging", "--fail-on", level)[0] == (0 if level == "never" else 1)


def test_select_ignore_and_require() -> None:
    assert {f["rule"] for f in report(EXAMPLES / "diverging", "--select", "LOSS101")["findings"]} == {"LOSS101"}  # type: ignore[attr-defined]
    told = report(EXAMPLES / "diverging", "--ignore", "LOSS101,lost-progress")
    assert not {"LOSS101", "LOSS102"} & {f["rule"] for f in told["findings"]}  # type: ignore[attr-defined]
    assert runvet("check", EXAMPLES / "healthy", "--select", "LOSS1O1")[0] == 2
    assert "did you mean" in runvet("check", EXAMPLES / "healthy", "--select", "LOSS1O1")[2]
    assert runvet("check", EXAMPLES / "healthy", "--require", "idle-accelerator")[0] == 2


@pytest.mark.parametrize("content", [b"", b"nothing here\n", b"\x00\x01\x02" * 100])
def test_what_cannot_be_judged_is_status_2(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "train.log").write_bytes(content)
    code, out, err = runvet("check", tmp_path)
    assert code == 2
    assert "NOT JUDGED" in out
    assert "Traceback" not in err


def test_missing_path_names_it() -> None:
    code, _, err = runvet("check", "no/such/run")
    assert code == 2
    assert "no/such/run" in err


def test_colour_and_width() -> None:
    assert "\x1b[" not in runvet("check", EXAMPLES / "diverging")[1]
    assert "\x1b[" in runvet("check", EXAMPLES / "diverging", FORCE_COLOR="1")[1]
    assert "\x1b[" not in runvet("check", EXAMPLES / "diverging", FORCE_COLOR="1", NO_COLOR="1")[1]
    narrow = runvet("check", EXAMPLES / "diverging", COLUMNS="60")[1]
    assert max(map(len, narrow.splitlines())) <= 60


def test_plain_ascii_terminals() -> None:
    out = runvet("check", EXAMPLES / "diverging", PYTHONIOENCODING="ascii")[1]
    assert out.isascii()


def test_hostile_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    rows = "\n".join(f"{step},{5 - step / 100}" for step in range(100))
    (tmp_path / "metrics.csv").write_text(f"step,\x1b[2Jloss\x07\n{rows}\n")
    out = runvet("check", tmp_path)[1]
    assert "\x1b" not in out
    assert "\x07" not in out


def test_export() -> None:
    code, out, _ = runvet("export", EXAMPLES / "healthy")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert {"run", "stage", "segment", "name", "step", "epoch", "time", "value", "source"} == set(rows[0])
    assert sum(r["name"] == "train_loss" and r["source"] == "metrics.csv" for r in rows) == 1500
    lines = runvet("export", EXAMPLES / "healthy", "--format", "csv")[1].splitlines()
    assert lines[0] == "run,stage,segment,name,step,epoch,time,value,source"
    assert len(lines) == len(rows) + 1


def test_rules_and_explain_show_the_same() -> None:
    assert "LOSS101  rising-loss" in runvet("rules")[1]
    by_code, by_name = runvet("explain", "LOSS101")[1], runvet("explain", "rising-loss")[1]
    assert by_code == by_name
    assert "## Why it matters" in by_code
    code, _, err = runvet("explain", "rising-los")
    assert code == 2
    assert "did you mean rising-loss" in err


def test_new_rule_is_found_and_passes_its_own_examples(tmp_path: Path) -> None:
    assert runvet("new-rule", "MINE101", "late-rise", "--folder", tmp_path)[0] == 0
    test = (
        "import late_rise\nfrom runvet import engine, examples\nrule = late_rise.late_rise.__dict__['runvet_rule']\n"
        "judge = lambda s: engine.judge(examples.run(s), rules=[rule])[0].state\n"
        "assert all(judge(s) == 'warning' for s in late_rise.sick())\nassert all(judge(s) == 'pass' for s in late_rise.healthy())\n"
    )
    subprocess.run([sys.executable, "-c", test], cwd=tmp_path, check=True, timeout=60)
    assert runvet("new-rule", "LOSS101", "other")[0] == 2
    assert runvet("new-rule", "mine", "x")[0] == 2


def test_configuration_beside_the_run(tmp_path: Path) -> None:
    rows = "\n".join(f"{step},{5 / (1 + step / 50):.4f}" for step in range(500))
    (tmp_path / "metrics.csv").write_text(f"step,loss\n{rows}\n")
    (tmp_path / "runvet.toml").write_text(
        "planned_steps = 2000\nwindow = 250\n[ignore]\nRES105 = 'stopped on purpose'\n"
    )
    told = report(tmp_path)
    (stage,) = told["stages"]  # type: ignore[misc]
    assert stage["steps"]["planned"] == 2000
    assert [(w["from"], w["to"]) for w in stage["windows"]] == [(0, 250), (250, 500)]
    assert told["checks"]["ignored"][0]["why"] == "stopped on purpose"  # type: ignore[index]
    (tmp_path / "runvet.toml").write_text("planed_steps = 2000\n")
    code, _, err = runvet("check", tmp_path)
    assert code == 2
    assert "did you mean 'planned_steps'" in err
