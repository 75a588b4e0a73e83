"""`runvet data`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runvet.cli.common import fail
from runvet.cli.drawing import deliver
from runvet.cli.paths import LocalPath

if TYPE_CHECKING:
    from runvet.artifacts.model import Artifacts
    from runvet.artifacts.profile import Profile


@click.command("data")
@click.argument("path", type=LocalPath())
@click.option("--against", type=LocalPath(), help="Compare with the items of this path, class by class.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "html"]),
    default="text",
    show_default=True,
    help="How to draw it; html with pictures, grids that turn, and histograms.",
)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead of standard output."
)
def command(path: Path, against: Path | None, form: str, output: Path | None) -> None:
    """Profile data or samples: classes, ranges, empty, constant, repeated and broken items, overlap of splits.

    PATH is a folder of grids, pictures, arrays or records (npz, npy, png, json, jsonl, csv; jpg and webp with
    Pillow), or one such file. A bounded number of files is read, spread evenly; the output says how many.

    Exit status: 0 when something could be read, 2 otherwise.
    """
    opened = [_opened(p) for p in (path, against) if p is not None]
    deliver(_drawn(form, path, against, opened, output), output)


def _drawn(
    form: str,
    path: Path,
    against: Path | None,
    opened: list[tuple[tuple[Profile, ...], Artifacts]],
    output: Path | None,
) -> str:
    import orjson

    from runvet.render import data as render
    from runvet.render.terminal import Terminal
    from runvet.report import plain

    first, other = opened[0][0], opened[1][0] if against is not None else ()
    there = str(against) if against is not None else None
    if form == "html":
        return _page(str(path), there, opened)
    if form == "text":
        terminal = Terminal.of(sys.stdout if output is None else None)
        return terminal.plain(render.as_text(str(path), first, there, other)) + "\n"
    told: dict[str, Any] = {"schema_version": 1, **render.as_dict(str(path), first, there, other)}
    return orjson.dumps(plain(told), option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode() + "\n"


def _page(path: str, against: str | None, opened: list[tuple[tuple[Profile, ...], Artifacts]]) -> str:
    """The page with its figures: all sets of the path, and the first of the other one beside it."""
    from runvet.figures import datasets
    from runvet.render import data_html

    first, artifacts = opened[0]
    sets = [(one, artifacts) for one in first]
    beside = []
    other: tuple[Profile, ...] = ()
    if against is not None:
        other = opened[1][0]
        sets.append((other[0], opened[1][1]))
        beside = datasets.beside((first[0], artifacts), (other[0], opened[1][1]))
    return data_html.render(path, first, against, other, figures=datasets.of(sets), beside=beside)


def _opened(path: Path) -> tuple[tuple[Profile, ...], Artifacts]:
    from runvet.artifacts import api

    artifacts = api.opened(path)
    found = api.profiles(path, artifacts)
    if not found:
        fail(f"{path}: no grids, pictures, arrays or records that are read")
    return found, artifacts
