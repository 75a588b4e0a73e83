"""From reports to text in any format, and to where it belongs."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runvet.cli.common import quiet_pipe, standard_output

if TYPE_CHECKING:
    from runvet.report import Report
    from runvet.run import Run

FEW = 3  # up to so many runs are drawn in full; more are a table
SUMMARY = 900_000  # characters; GitHub takes a mebibyte of a step's summary


def draw(
    form: str,
    reports: Sequence[Report],
    runs: Sequence[Run | None] = (),
    *,
    verbose: bool = False,
    terminal: bool = True,
) -> str:
    """The reports as one text. `runs` (one for each report) give the lists of files that `verbose` asks for.

    `terminal` says that the text goes to standard output, whose width and colour then count.
    """
    from runvet.render import DOCUMENTS

    renderer = importlib.import_module(f"runvet.render.{form}")
    if form in DOCUMENTS:
        extra = {"sarif": _pages, "junit": _names}.get(form)
        text: str = renderer.render(reports, extra(reports)) if extra else renderer.render(reports)
        return text
    from runvet.render import table
    from runvet.render.terminal import Terminal

    screen = Terminal.of(sys.stdout if terminal else None)
    told = list(zip(reports, runs or [None] * len(reports), strict=True))
    parts = [table.render(reports, screen)] if form == "text" and len(reports) > FEW else []
    if not parts or verbose:
        parts += [renderer.render(report, screen, verbose=verbose, run=run) for report, run in told]
    return "\n".join(parts)


def _pages(reports: Sequence[Report]) -> dict[str, str]:
    """The pages of the rules that found something, by code; a rule that is not here any more has none."""
    from runvet import engine, pages

    found = {f.rule for report in reports for f in report.findings}
    return {rule.code: pages.page(rule) for rule in engine.collect() if rule.code in found}


def _names(_: Sequence[Report]) -> dict[str, str]:
    from runvet import engine

    return {rule.code: rule.name for rule in engine.collect()}


def deliver(text: str, output: Path | None) -> None:
    """Write to the file as UTF-8, or to standard output in its encoding; what that cannot hold (names that are no
    Unicode) becomes question marks. Raises OSError.
    """
    with quiet_pipe():
        if output is None:
            stream = standard_output()
            encoding = getattr(stream, "encoding", None) or "utf-8"
            # not click.echo: it strips colour that FORCE_COLOR asks for
            stream.write(text.encode(encoding, "replace").decode(encoding))
            stream.flush()
        else:
            output.write_text(text, encoding="utf-8", errors="replace")


def summarise_step(reports: Sequence[Report]) -> None:
    """Append the reports as Markdown to the summary of the GitHub Actions step that runs this, if one does."""
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if not file:
        return
    from runvet.render import markdown

    text = markdown.render(reports)
    if len(text) > SUMMARY:
        text = (
            text[: text.rfind("\n## ", 0, SUMMARY) + 1]
            + "\nThe other runs are left out: the summary would be too long.\n"
        )
    with Path(file).open("a", encoding="utf-8", errors="replace") as stream:
        stream.write(text)
