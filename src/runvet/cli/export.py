"""`runvet export`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from runvet.cli.common import fail, quiet_pipe, standard_output
from runvet.cli.paths import LocalPath


@click.command("export")
@click.argument("path", type=LocalPath())
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv", "parquet"]),
    default="jsonl",
    show_default=True,
    help="How to write the rows.",
)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead of standard output."
)
def command(path: Path, form: str, output: Path | None) -> None:
    """Write every metric below PATH in long form: one row a point, as the run named it."""
    from runvet import export
    from runvet.api import read
    from runvet.config import Config

    run = read(path, Config(), points=None, logs_only=True)
    for problem in run.problems:
        click.echo(f"{problem.where}: {problem.why}", err=True)
    try:
        with quiet_pipe(), output.open("wb") if output is not None else nullcontext(standard_output().buffer) as stream:
            export.write(run, stream, form)
            stream.flush()
    except ImportError as error:
        fail(str(error))
    if not any(stage.series for stage in run.stages):
        fail(f"{path}: no metrics found")
