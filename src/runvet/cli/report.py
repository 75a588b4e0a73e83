"""`runvet report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runvet.cli.also import FORMATS
from runvet.cli.common import fail, standard_input
from runvet.cli.drawing import deliver, draw
from runvet.cli.paths import AnyPath

if TYPE_CHECKING:
    from runvet.report import Report


@click.command("report")
@click.argument("results", nargs=-1, required=True, type=AnyPath(), metavar="RESULT.json...")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How to draw it.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead of standard output."
)
@click.option("-v", "--verbose", is_flag=True, help="Also list every reason and what passed.")
def command(results: tuple[str, ...], form: str, output: Path | None, verbose: bool) -> None:
    """Draw saved results (`runvet check --format json`) again, in any format; `-` reads standard input.

    Nothing is judged again: the exit status is 0, or 2 where a result could not be read.
    """
    reports = [report for name in results for report in _load(name)]
    deliver(draw(form, reports, verbose=verbose, terminal=output is None), output)


def _load(name: str) -> list[Report]:
    """The reports of one saved result: one object, or a list of them."""
    import orjson

    from runvet.report import from_dict

    try:
        data = standard_input().read() if name == "-" else Path(name).read_bytes()
        saved = orjson.loads(data)
        reports = [from_dict(one) for one in (saved if isinstance(saved, list) else [saved])]
    except orjson.JSONDecodeError as error:
        fail(f"{name}: not JSON: {error}")
    except ValueError as error:
        fail(f"{name}: not a saved result: {error}")
    if not reports:
        fail(f"{name}: an empty list holds no result")
    return reports
