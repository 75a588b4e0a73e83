"""Markdown: what a run calls its things cannot become markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from render import hostile
from runvet import check
from runvet.render import markdown

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "runs"


def test_parts_of_a_sick_report() -> None:
    text = markdown.render([check(EXAMPLES / "diverging")])
    assert text.startswith("## 🔴 runvet: critical")
    for part in (
        "| 🔴 critical | `LOSS101` rising-loss |",
        "**Do this, in this order**",
        "<details><summary>Evidence of",
        "<details><summary>Not checked (",
    ):
        assert part in text
    assert text.count("<details>") == text.count("</details>")


def test_healthy_has_no_findings() -> None:
    text = markdown.render([check(EXAMPLES / "healthy")])
    assert text.startswith("## 🟢 runvet: sound")
    assert "Finding" not in text


def test_many_runs_begin_with_a_table() -> None:
    told = [check(EXAMPLES / name) for name in ("healthy", "diverging", "overfitted", "crashed")]
    text = markdown.render(told)
    assert text.startswith("## runvet: 4 runs, 3 critical, 1 sound\n")
    rows = [line for line in text.splitlines() if "examples/runs/" in line and line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == ["| 🔴 critical"] * 3 + ["| 🟢 sound"]
    assert text.count("\n## ") == 3, "the sound run has no section"


def test_hostile_texts() -> None:
    text = markdown.render([hostile.report(findings=3)])
    assert set(re.findall(r"<(/?[a-z]+)", text)) <= {"details", "/details", "summary", "/summary"}
    assert "<!--" not in text
    assert not re.search(r"@octocat|#12|http://", text)
    assert not re.search(r"(?<!\\)\[d", text)
    assert "\x1b" not in text
    assert "\u202e" not in text
    rows = [line for line in text.splitlines() if line.startswith(("| 🔴", "| 🟠"))]
    assert len(rows) == 3
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}, "no cell adds a column"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", "a\\|b"),
        ("<b>", "&lt;b&gt;"),
        ("two\nlines", "two lines"),
        ("- item", "\\- item"),
        ("x_y*z", "x\\_y\\*z"),
        ("&lt;", "&amp;lt;"),
        ("\\", "\\\\"),
    ],
)
def test_escape(text: str, shown: str) -> None:
    assert markdown.escape(text) == shown


def test_long_texts_are_cut() -> None:
    assert len(markdown.escape("x" * 5000)) == markdown.MOST_TEXT + 1
