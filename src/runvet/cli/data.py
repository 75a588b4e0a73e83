"""`runvet data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runvet.cli.common import fail, quiet_pipe

if TYPE_CHECKING:
    from runvet.artifacts.profile import Profile


@click.command("data")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--against", type=click.Path(path_type=Path), help="Compare with the items of this path, class by class.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print it."
)
def command(path: Path, against: Path | None, form: str) -> None:
    """Profile data or samples: classes, ranges, empty, constant, repeated and broken items, overlap of splits.

    PATH is a folder of grids, pictures, arrays or records (npz, npy, png, json, jsonl, csv; jpg and webp with
    Pillow), or one such file. At most 2,000 files are read, spread evenly; the output says how many.

    Exit status: 0 when something could be read, 2 otherwise.
    """
    import orjson

    from runvet.render import data as render

    profiles = [_profiles(p) for p in (path, against) if p is not None]
    other = profiles[1] if against is not None else ()
    with quiet_pipe():
        if form == "json":
            told: dict[str, Any] = {
                "schema_version": 1,
                **render.as_dict(str(path), profiles[0], str(against) if against else None, other),
            }
            click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())
        else:
            click.echo(render.as_text(str(path), profiles[0], str(against) if against else None, other))


def _profiles(path: Path) -> tuple[Profile, ...]:
    from runvet.artifacts.api import profiles

    try:
        found = profiles(path)
    except FileNotFoundError as error:
        fail(str(error))
    if not found:
        fail(f"{path}: no grids, pictures, arrays or records that are read")
    return found
