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


def needs_curves(form: str, also: Sequence[Also], *, keep: bool) -> bool:
    """Whether any document draws curves or keeps them."""
    return keep or "html" in (form, *(a.form for a in also))


def without_curves(reports: Sequence[Report], form: str, *, keep: bool) -> Sequence[Report]:
    """The reports as a format takes them: saved results hold curves only where that was asked for."""
    return reports if form == "html" or keep else [replace(r, curves=()) for r in reports]


def write(
    also: Sequence[Also], reports: Sequence[Report], runs: Sequence[Run | None] = (), *, keep: bool, verbose: bool
) -> list[str]:
    """Write the further documents; gives a line for each that says where it is. Raises OSError."""
    for form, file in also:
        drawn = without_curves(reports, form, keep=keep)
        deliver(draw(form, drawn, runs, verbose=verbose, terminal=False), file)
    return [f"{'HTML' if form == 'html' else form} report: {file}" for form, file in also]
