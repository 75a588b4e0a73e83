"""Runs in tests: an assertion that says what is wrong."""

from __future__ import annotations

from collections.abc import Collection
from os import PathLike
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from runvet.report import Report


def assert_sound(
    run: str | PathLike[str] | Report,
    *,
    allow: Literal["nothing", "warnings"] = "nothing",
    ignore: Collection[str] = (),
    judged: bool = True,
) -> Report:
    """Judge a run (a path, or a report of `runvet.check`) and give its report, or fail with all that was found.

    `allow="warnings"` fails on critical findings only. `ignore` names rules (codes or names) whose findings do not
    count. A run of which too little is known fails too, unless `judged=False`.

    Raises AssertionError with the report as text; FileNotFoundError and ConfigError as `runvet.check` does.
    """
    __tracebackhide__ = True
    from runvet import api
    from runvet.render import text
    from runvet.render.terminal import Terminal
    from runvet.report import Report

    report = run if isinstance(run, Report) else api.check(run)
    counted = [f for f in report.findings if f.rule not in ignore and f.name not in ignore]
    bad = [f for f in counted if f.severity == "critical" or allow == "nothing"]
    if bad:
        names = ", ".join(f"{f.rule} {f.name}" for f in bad)
        raise AssertionError(f"{report.path}: {names}\n\n{text.render(report, Terminal(width=100))}")
    if judged and report.verdict == "not judged":
        raise AssertionError(f"{report.path} could not be judged: {report.why_not_judged}")
    return report
