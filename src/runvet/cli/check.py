"""`runvet check`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import click

from runvet.cli.also import FORMATS, Also, AlsoType, Keep, write
from runvet.cli.common import standard_input
from runvet.cli.drawing import FEW, deliver, draw, summarise_step
from runvet.cli.paths import AnyPath

if TYPE_CHECKING:
    from runvet.checkpoints.places import Place
    from runvet.config import Config
    from runvet.report import Report
    from runvet.run import Run

CURVES = 36_000  # points of curves in all the reports of one document
FIGURES = 3_500_000  # bytes of figures in all of them


class Sizes(NamedTuple):
    """How much of one run is kept for drawing: points of curves and bytes of figures, 0 for none."""

    points: int
    figures: int


@click.command("check")
@click.argument("paths", nargs=-1, type=AnyPath(), metavar="PATH...")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How to draw the report."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report to this file instead of standard output.",
)
@click.option(
    "--also",
    type=AlsoType(),
    multiple=True,
    metavar="FORMAT=FILE",
    help="Write this document too, such as html=report.html; may be repeated.",
)
@click.option("--curves", is_flag=True, help="Keep the curves in JSON, so that `runvet report` can draw them.")
@click.option(
    "--figures",
    is_flag=True,
    help="Keep what the HTML report shows (sheets of samples, grids, plots) in JSON, too.",
)
@click.option(
    "--select", multiple=True, metavar="RULES", help="Only these rules: codes, names or families, comma-separated."
)
@click.option("--ignore", multiple=True, metavar="RULES", help="Leave these rules out.")
@click.option(
    "--fail-on",
    type=click.Choice(["critical", "warning", "never"]),
    default="warning",
    show_default=True,
    help="Lowest finding that gives exit status 1.",
)
@click.option("--require", multiple=True, metavar="RULES", help="Exit with 2 unless these rules could be checked.")
@click.option("--config", "config_file", type=click.Path(path_type=Path, dir_okay=False), help="Use this runvet.toml.")
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Processes that judge many runs at once (default: one for each CPU)."
)
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Also list which reader took which file, what was ignored and why, and what passed.",
)
def command(
    paths: tuple[str, ...], form: str, output: Path | None, also: tuple[Also, ...], curves: bool, figures: bool, select: tuple[str, ...], ignore: tuple[str, ...],
    fail_on: str, require: tuple[str, ...], config_file: Path | None, jobs: int | None, verbose: bool,
) -> None:  # fmt: skip
    """Judge the runs at PATH (default: here). A folder is one run with its stages; `-` reads a log from standard input."""
    from runvet.discover import expand

    if "-" in paths and len(paths) > 1:
        raise click.UsageError("- (a log from standard input) stands alone")
    targets: list[Place] = [Path("-")] if paths == ("-",) else expand(paths or (".",))
    known({"--select": select, "--ignore": ignore, "--require": require})
    keep = Keep(curves, figures)
    needed = keep.needed(form, also)
    sizes = Sizes(
        max(2_000, CURVES // len(targets)) if needed.curves else 0,
        max(50_000, FIGURES // len(targets)) if needed.figures else 0,
    )
    runs: list[Run] = []
    if len(targets) > FEW and jobs != 1:
        reports = _check_many(targets, partial(configured, file=config_file, select=select, ignore=ignore), jobs, sizes)
    else:
        results = [_check(path, configured(path, config_file, select, ignore), sizes) for path in targets]
        reports, runs = [report for report, _ in results], [run for _, run in results]
    written = write(also, reports, runs, keep=keep, verbose=verbose)
    text = draw(form, keep.trimmed(reports, form), runs, verbose=verbose, terminal=output is None)
    deliver(text + "".join(f"{line}\n" for line in written) if form == "text" else text, output)
    if form == "github":
        summarise_step(reports)
    sys.exit(max(status(report, fail_on, require) for report in reports))


def _check_many(
    paths: Sequence[Place], configure: Callable[[Place], Config], jobs: int | None, sizes: Sizes
) -> list[Report]:
    """Judge many paths by several processes, with a line that counts them on a terminal."""
    from runvet.cli.progress import counting
    from runvet.many import check_many

    with counting("judged") as tell:
        return check_many(paths, configure, jobs=jobs, curves=sizes.points, figures=sizes.figures, done=tell)


def configured(path: Place, file: Path | None, select: Sequence[str], ignore: Sequence[str]) -> Config:
    """The configuration of a run with what the command line adds. Raises ConfigError."""
    from runvet.config import find, load

    config = load(file) if file else find(path)
    chosen = tuple(s for entry in select for s in entry.split(",") if s)
    left_out = {s: "left out on the command line" for entry in ignore for s in entry.split(",") if s}
    return replace(config, select=chosen or config.select, ignore={**config.ignore, **left_out})


def _check(path: Place, config: Config, sizes: Sizes) -> tuple[Report, Run]:
    """Read and judge one path; `-` is standard input. It and pipes are kept in a temporary file while they are read."""
    import time

    from runvet import api

    start = time.perf_counter()
    if str(path) == "-" or _is_pipe(path):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder, "stdin.log")
            with log.open("wb") as stream, _stream(path) as source:
                shutil.copyfileobj(source, stream, 1 << 20)
            run = replace(api.read(log, config), path=str(path))
    else:
        from runvet.cli.progress import reading

        with reading(path):
            run = api.read(path, config)
    seconds = time.perf_counter() - start
    return api.judge(run, config, seconds=seconds, curves=sizes.points, figures=sizes.figures), run


def _is_pipe(path: Place) -> bool:
    """Whether a path is a pipe (`<(command)` of a shell), which can be read once only."""
    return isinstance(path, Path) and path.is_fifo()


def _stream(path: Place) -> AbstractContextManager[BinaryIO]:
    return path.open("rb") if isinstance(path, Path) and str(path) != "-" else nullcontext(standard_input())


def known(options: Mapping[str, Sequence[str]]) -> None:
    """Raise ConfigError, which names the option, for a rule that does not exist: it could never be checked."""
    from runvet import engine
    from runvet.config import Config

    for option, entries in options.items():
        words = tuple(s for entry in entries for s in entry.split(",") if s)
        engine.check_selectors(engine.collect(), Config(select=words, source=option))


def status(report: Report, fail_on: str, require: Sequence[str]) -> int:
    """0 sound, 1 findings at or above the wanted level, 2 not judged or a required check did not run."""
    wanted = {s for entry in require for s in entry.split(",") if s}
    missing = {u for c in report.checks.not_checked for u in (c.rule, c.name)}
    if report.verdict == "not judged" or wanted & missing:
        return 2
    bad = [f for f in report.findings if fail_on == "warning" or (fail_on == "critical" and f.severity == "critical")]
    return 1 if bad and fail_on != "never" else 0
