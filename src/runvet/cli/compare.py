"""`runvet compare`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from runvet.cli.common import fail
from runvet.cli.drawing import deliver
from runvet.cli.paths import AnyPath

DRAWN = 24_000  # points of all curves in one HTML file: about 500 kB


@click.command("compare")
@click.argument("base", type=AnyPath())
@click.argument("runs", nargs=-1, required=True, type=AnyPath(), metavar="RUN...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "html"]),
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
    base: str, runs: tuple[str, ...], form: str, output: Path | None, config_file: Path | None, verbose: bool
) -> None:
    """Tell how each RUN differs from BASE: configuration first, then curves beyond their noise, speed and findings.

    Runs that differ in their seeds only are repeats of one configuration: with them, it is also told whether one
    configuration is better than the other beyond what the seed changes.
    """
    from runvet import api
    from runvet.checkpoints.places import place
    from runvet.comparison import compare, repeats
    from runvet.config import find, load
    from runvet.discover import expand
    from runvet.render import compare_html, compare_json, compare_text
    from runvet.render.terminal import Terminal

    config = load(config_file) if config_file else None
    paths = expand(runs)
    first = api.read(base, config)
    told = api.judge(first, config or find(place(base)))
    comparisons, others = [], []
    for path in paths:
        run = api.read(path, config)
        others.append(run)
        judged = api.judge(run, config or find(path))
        comparisons.append(compare(first, run, told, judged, draw=DRAWN // len(paths) if form == "html" else None))
    seeds = repeats(first, others)
    if form == "json":
        text = compare_json.render(comparisons, seeds)
    elif form == "html":
        text = compare_html.render(comparisons, seeds)
    else:
        terminal = Terminal.of(sys.stdout if output is None else None)
        text = compare_text.render(comparisons, terminal, verbose=verbose, seeds=seeds)
    deliver(text, output)
    if not any(c.curves for c in comparisons):
        fail("the runs have no metric in common")
