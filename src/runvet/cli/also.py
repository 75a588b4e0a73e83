"""`--also FORMAT=FILE`: further documents of the same reports, beside the one that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from runvet.cli.drawing import deliver, draw

if TYPE_CHECKING:
    from runvet.report import Report
    from runvet.run import Run

FORMATS = ("text", "concise", "json", "html", "markdown", "sarif", "junit", "github")


class Also(NamedTuple):
    """One further document: its format and its file."""

    form: str
    file: Path


class AlsoType(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.5 on only
    """`html=report.html` as a format and a file."""

    name = "FORMAT=FILE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Also:
        """The pair; a format that does not exist or a missing file name is a usage error."""
        if isinstance(value, Also):
            return value
        form, sign, file = str(value).partition("=")
        if form not in FORMATS or not sign or not file:
            self.fail(f"{value!r} is not FORMAT=FILE, FORMAT one of {', '.join(FORMATS)}", param, ctx)
        return Also(form, Path(file))


class Keep(NamedTuple):
    """What saved results hold beyond the verdict, so that they can be drawn."""

    curves: bool = False
    figures: bool = False

    def needed(self, form: str, also: Sequence[Also]) -> Keep:
        """What must be made for these documents: a page draws both."""
        drawn = "html" in (form, *(a.form for a in also))
        return Keep(self.curves or drawn, self.figures or drawn)

    def trimmed(self, reports: Sequence[Report], form: str) -> Sequence[Report]:
        """The reports as a format takes them: saved results hold curves and figures only where that was asked for."""
        if form == "html" or (self.curves and self.figures):
            return reports
        return [
            replace(r, curves=r.curves if self.curves else (), figures=r.figures if self.figures else ())
            for r in reports
        ]


def write(
    also: Sequence[Also], reports: Sequence[Report], runs: Sequence[Run | None] = (), *, keep: Keep, verbose: bool
) -> list[str]:
    """Write the further documents; gives a line for each that says where it is. Raises OSError."""
    for form, file in also:
        deliver(draw(form, keep.trimmed(reports, form), runs, verbose=verbose, terminal=False), file)
    return [f"{'HTML' if form == 'html' else form} report: {file}" for form, file in also]
