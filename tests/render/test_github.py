"""Workflow commands: read back as the runner of GitHub Actions reads them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

from render import hostile
from runvet.render import github

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "runs"
COMMAND = re.compile(r"::(error|warning|notice) ([^:]*)::(.*)")


def read(text: str) -> list[tuple[str, dict[str, str], str]]:
    """Kind, properties and message of every line; fails where a line is no command."""
    out = []
    for line in text.splitlines():
        match = COMMAND.fullmatch(line)
        assert match is not None, line
        properties = dict(part.split("=", 1) for part in match[2].split(","))
        assert set(properties) <= {"file", "line", "title"}
        out.append((match[1], {k: unquote(v) for k, v in properties.items()}, unquote(match[3])))
    return out


def test_hostile_texts_stay_one_command_a_line() -> None:
    told = read(github.render([hostile.report(findings=2)]))
    assert [kind for kind, _, _ in told] == ["error", "warning", "notice"]
    assert "100%: a,b" in told[0][2]
    assert told[0][1]["line"] == "12"
    assert told[0][1]["file"].startswith("runs/<script>")
    assert "\x1b" not in github.render([hostile.report()])


def test_at_most_ten_worst_first() -> None:
    told = read(github.render([hostile.report(findings=5), hostile.report(findings=9)]))
    kinds = [kind for kind, _, _ in told]
    assert kinds == ["error"] * 8 + ["warning"] * 2 + ["notice"] * 2
    assert "4 of 14 findings are not annotated" in told[-1][2]


def test_step_summary(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "runvet", "check", str(EXAMPLES / "crashed"), "--format", "github"],
        capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "GITHUB_STEP_SUMMARY": str(summary)},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.startswith("::error file=")
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("before\n## ")
    assert "LOG103" in text
