"""The GitHub Action: its file is well formed, and its script does what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "runs"


def act(
    folder: Path, paths: str, *, fail_on: str = "warning", arguments: str = ""
) -> tuple[int, str, dict[str, str], str]:
    """Status, log, outputs and step summary of the action's script."""
    output, summary = folder / "output", folder / "summary"
    environment = {
        **os.environ, "RUNVET": str(Path(sys.executable).parent / "runvet"), "PATHS": paths, "ARGUMENTS": arguments, "FAIL_ON": fail_on,
        "REPORTS": str(folder / "reports"), "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary), "RUNNER_TEMP": str(folder),
    }  # fmt: skip
    done = subprocess.run(
        ["bash", str(ROOT / "tools" / "action.sh")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    outputs = dict(line.split("=", 1) for line in output.read_text().splitlines()) if output.exists() else {}
    return (
        done.returncode,
        done.stdout + done.stderr,
        outputs,
        summary.read_text(encoding="utf-8") if summary.exists() else "",
    )


def test_the_file() -> None:
    told = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    assert told["runs"]["using"] == "composite"
    assert all(step["shell"] == "bash" for step in told["runs"]["steps"])
    assert not any("${{" in step["run"] for step in told["runs"]["steps"]), (
        "an expression in a script can inject commands"
    )
    used = {
        value.split("inputs.")[1].split(" ")[0]
        for step in told["runs"]["steps"]
        for value in step["env"].values()
        if "inputs." in value
    }
    assert used == set(told["inputs"])


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_the_script(tmp_path: Path) -> None:
    status, log, outputs, summary = act(tmp_path, f"{EXAMPLES}/diverging\n{EXAMPLES}/heal*\n")
    assert status == 1
    assert "::error file=" in log
    assert summary.startswith("## 🔴 runvet: critical")
    assert outputs == {
        "status": "1",
        "sarif": str(tmp_path / "reports" / "runvet.sarif"),
        "reports": str(tmp_path / "reports"),
    }
    assert [r["verdict"] for r in json.loads((tmp_path / "reports" / "runvet.json").read_text(encoding="utf-8"))] == [
        "critical",
        "sound",
    ]
    assert {p.name for p in (tmp_path / "reports").iterdir()} == {
        "runvet.json",
        "runvet.sarif",
        "junit.xml",
        "report.html",
        "report.md",
    }


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_inputs_are_data(tmp_path: Path) -> None:
    evil = tmp_path / "$(touch pwned) ; touch pwned"
    shutil.copytree(EXAMPLES / "healthy", evil)
    assert act(tmp_path, str(evil), arguments="--select\nLOSS")[0] == 0
    assert not list(tmp_path.rglob("pwned"))
    assert not Path("pwned").exists()
    assert act(tmp_path, "")[0] == 2
    assert act(tmp_path, f"{EXAMPLES}/diverging", fail_on="never")[0] == 0


def blocks() -> list[object]:
    """What the YAML examples of docs/ci.md say."""
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]


def scripts(node: object) -> list[str]:
    """Every shell command of a workflow or pipeline."""
    if isinstance(node, dict):
        own = [node["run"]] if isinstance(node.get("run"), str) else []
        own += node["script"] if isinstance(node.get("script"), list) else []
        return own + [s for value in node.values() for s in scripts(value)]
    return [s for item in node for s in scripts(item)] if isinstance(node, list) else []


def test_the_examples_of_the_docs_work_as_they_stand(tmp_path: Path) -> None:
    """The commands run; inputs and outputs of the action are those that it has; nothing is left to fill in."""
    told = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    shutil.copytree(EXAMPLES / "healthy", tmp_path / "runs" / "smoke")
    commands = [c for block in blocks() for c in scripts(block) if c.startswith("runvet")]
    assert len(commands) == 2
    for command in commands:
        words = [str(Path(sys.executable).parent / "runvet"), *command.split()[1:]]
        paths = [str(p) for w in words for p in (sorted(tmp_path.glob(w)) if "*" in w else [w])]
        assert subprocess.run(paths, cwd=tmp_path, capture_output=True, timeout=120, check=False).returncode == 0, (
            command
        )
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    assert set(re.findall(r"steps\.runvet\.outputs\.(\w+)", text)) <= set(told["outputs"])
    assert not re.search(r"OWNER|YOUR|@v0|TODO|<[a-z]+>", text)
    (steps,) = (block for block in blocks() if isinstance(block, list))
    assert set(steps[0]["with"]) <= set(told["inputs"])
