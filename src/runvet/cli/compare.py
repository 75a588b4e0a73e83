"""`runvet compare`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from runvet.cli.common import fail
from runvet.cli.drawing import deliver


@click.command("compare")
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to draw the comparison.",
)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead of standard output."
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Use this runvet.toml for all runs.",
)
@click.option("-v", "--verbose", is_flag=True, help="Also list settings that differ as paths, dates and names do.")
def command(
    base: Path, runs: tuple[str, ...], form: str, output: Path | None, config_file: Path | None, verbose: bool
) -> None:
    """Tell how each RUN differs from BASE: configuration first, then curves beyond their noise, speed and findings."""
    from runvet import api
    from runvet.compare import compare
    from runvet.config import ConfigError, find, load
    from runvet.discover import expand
    from runvet.render import compare_json, compare_text
    from runvet.render.terminal import Terminal

    try:
        config = load(config_file) if config_file else None
        first = api.read(base, config)
        told = api.judge(first, config or find(base))
        comparisons = []
        for path in expand(runs):
            run = api.read(path, config)
            comparisons.append(compare(first, run, told, api.judge(run, config or find(path))))
    except (OSError, ConfigError) as error:
        fail(str(error))
    if form == "json":
        text = compare_json.render(comparisons)
    else:
        text = compare_text.render(comparisons, Terminal.of(sys.stdout if output is None else None), verbose=verbose)
    deliver(text, output)
    if not any(c.curves for c in comparisons):
        fail("the runs have no metric in common")
