"""What the command lines of the labs share: types of options, plain errors, recipes by name, the table of `judge`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from runvet_lab.base.config import ConfigProblem
from runvet_lab.base.extra import MissingExtra

FOLDER = click.Path(path_type=Path)
OLD = click.Path(path_type=Path, exists=True, file_okay=False)


@contextmanager
def plain_errors() -> Iterator[None]:
    """What a user can mend becomes one line instead of a traceback."""
    try:
        yield
    except (MissingExtra, ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None


def recipe(folder: Path, name: str) -> Path:
    """A recipe of `folder` by its name, or a file. Raises ConfigProblem."""
    known = folder / f"{name}.yaml"
    if known.exists():
        return known
    if Path(name).exists():
        return Path(name)
    raise ConfigProblem(f"no recipe {name!r}; known are {', '.join(sorted(p.stem for p in folder.glob('*.yaml')))}")


def judge(paths: Sequence[Path], train: Callable[[Path, Path], Any], out: Path | None, table: Path | None) -> None:
    """Train recipes, print what runvet says of each beside what is expected, and exit with 1 where they differ.

    `train` takes a recipe and an empty folder. Runs are kept below `out` if given; `table` also gets the rows as Markdown.
    """
    from runvet_lab.base import judged

    keep = out or Path(tempfile.mkdtemp(prefix="runvet-lab-"))
    with plain_errors():
        rows = judged.table(paths, train, keep)
        if table is not None:
            table.write_text(judged.markdown(rows), encoding="utf-8")
    if out is None:
        shutil.rmtree(keep, ignore_errors=True)
    click.echo(f"{sum(row.met for row in rows)} of {len(rows)} as expected")
    if not all(row.met for row in rows):
        raise SystemExit(1)
