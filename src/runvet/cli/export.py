"""`runvet export`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from runvet.cli.common import fail, quiet_pipe


@click.command("export")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True, help="How to write the rows.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead of standard output.")
def command(path: Path, form: str, output: Path | None) -> None:
    """Write every metric below PATH in long form: one row a point, as the run named it."""
    from runvet import export
    from runvet.api import read
    from runvet.config import Config

    try:
        run = read(path, Config(), points=None)
    except OSError as error:
        fail(str(error))
    for problem in run.problems:
        click.echo(f"{problem.where}: {problem.why}", err=True)
    with quiet_pipe():
        if output is None:
            export.write(run, sys.stdout.buffer, form)
            sys.stdout.buffer.flush()
        else:
            with output.open("wb") as stream:
                export.write(run, stream, form)
    if not any(stage.series for stage in run.stages):
        fail(f"{path}: no metrics found")
