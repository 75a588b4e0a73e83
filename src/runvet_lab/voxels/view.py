"""A page to turn structures around: offline, in the colours of their blocks, with runvet's own viewer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from runvet.artifacts import api
from runvet.evidence.grids import Solid
from runvet.figures import voxels
from runvet.render import data_html
from runvet.report import Figure
from runvet_lab.voxels.blocks import BLOCKS, name, rgb
from runvet_lab.voxels.data import DataSet, read

EACH = 8  # structures of one class that are shown


def write(page: Path, folder: Path) -> None:
    """Write a page for the structures of a folder: their profile, and all of them to turn. Raises DataProblem, OSError."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(html(folder), encoding="utf-8")


def html(folder: Path) -> str:
    """The page as text. Classes stand under one another, the structures of a class beside each other."""
    found = api.profiles(folder)
    return data_html.render(folder.name, found[:1], figures=[[_figure(read(folder))]])


def _figure(found: DataSet) -> Figure:
    labels = sorted(set(found.labels))
    groups = [(label, _solids(found, label)) for label in labels]
    made = voxels.shown(f"{len(found)} structures", groups, sorted(BLOCKS), None)
    palette = [
        {
            **entry,
            "name": name(entry["id"]).partition(":")[2],
            "colour": "#{:02x}{:02x}{:02x}".format(*rgb(entry["id"])),
        }
        for entry in made.data["palette"]
    ]
    return replace(made, data={**made.data, "palette": palette, "up": 1})


def _solids(found: DataSet, label: str) -> list[Solid]:
    rows = [row for row, has in enumerate(found.labels) if has == label][:EACH]
    return [Solid(found.names[row], found.prompts[row], found.grids[row], frozenset({found.air})) for row in rows]
