"""The data sets of a run, profiled: at most one profile a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from runvet.artifacts.grouping import DATA, PLAIN, SPLITS, Entry, Group, everything, groups, words
from runvet.artifacts.model import Array, Artifacts, UnreadableError
from runvet.artifacts.paths import paths_in
from runvet.artifacts.profile import Profile, profile
from runvet.evidence import Missing, provides
from runvet.evidence.artifact_groups import ARRAYS, PICTURES, SOUNDS
from runvet.evidence.stacks import stacks
from runvet.run import Run

TABLES = (".json", ".jsonl", ".csv", ".parquet", ".txt")
MOST = 6  # data sets of one run that are profiled, the largest ones


@dataclass(frozen=True, slots=True)
class DataSets:
    """Profiles of the run's data, the largest first; never empty."""

    profiles: tuple[Profile, ...]


@dataclass(frozen=True, slots=True)
class Paths:
    """Trajectories among the data: (file and name, array (n, t, 2 or 3) of finite numbers)."""

    arrays: tuple[tuple[str, Array], ...]


@provides
def data_sets(run: Run) -> DataSets | Missing:
    if run.artifacts is None:
        return Missing("no files beside the logs", applicable=False)
    found = of(run.artifacts)
    if not found:
        return Missing(
            "no data beside the logs", "keep the data set (or some of it) in data/ beside the run", applicable=False
        )
    return DataSets(found)


@provides
def paths(run: Run) -> Paths | Missing:
    kept = run.artifacts
    found: list[tuple[str, Array]] = []
    for group in _data(kept) if kept is not None else ():
        for entry in group.entries[:8]:
            try:
                arrays = kept.read(entry.item).arrays if kept is not None else {}
            except UnreadableError:
                continue
            found += [(f"{entry.item.name}: {name}", array) for name, array in paths_in(arrays.items())]
    for stack in stacks(kept) if kept is not None else ():
        found += [(stack.folder, array) for _, array in paths_in([("path", stack.array)])]
    return Paths(tuple(found)) if found else Missing("no trajectories among the data", "", applicable=False)


def of(artifacts: Artifacts, *, every: bool = False) -> tuple[Profile, ...]:
    """Profiles of the data among some files; with `every`, of all files, whatever their names say."""

    def make() -> tuple[Profile, ...]:
        sets = sorted(_joined(_data(artifacts, every=every)), key=lambda g: -len(g.entries))[:MOST]
        made = [profile(artifacts, g.name, g.entries) for g in sets]
        return tuple(p for p in made if p is not None and (p.items or p.unreadable))

    return artifacts.memo(f"profiles {every}", make)


def _data(artifacts: Artifacts, *, every: bool = False) -> list[Group]:
    """The groups of data. JSON and CSV files beside arrays and pictures describe them; alone they are the data."""
    suffixes = ARRAYS + PICTURES + SOUNDS + TABLES
    found = (
        everything(artifacts.items, suffixes)
        if every
        else tuple(g for g in groups(artifacts.items, suffixes) if g.what == "data")
    )
    arrays = [g for g in found if g.entries[0].item.suffix not in TABLES]
    return arrays or list(found)


def _joined(found: Sequence[Group]) -> list[Group]:
    """The folders of one data set as one: `data/train/cats` and `data/val/dogs`, the last folder telling the class."""
    joined: dict[tuple[str, str], list[Entry]] = {}
    for group in found:
        base, label = _base(group.name)
        entries = [e if e.label or not label else replace(e, label=label) for e in group.entries]
        suffix = group.entries[0].item.suffix
        joined.setdefault((base, "picture" if suffix in PICTURES else suffix), []).extend(entries)
    return [Group(base or "data", "data", tuple(entries)) for (base, _), entries in joined.items()]


def _base(folder: str) -> tuple[str, str]:
    """The data set's own folder, and the class that the folders below it name."""
    parts = folder.split("/")
    at = next((i for i, p in enumerate(parts) if p.lower() in DATA or DATA & set(words(p))), None)
    if at is None:
        at = next((i - 1 for i, p in enumerate(parts) if p.lower() in SPLITS), len(parts) - 1)
    below = [
        p for p in parts[at + 1 :] if p.lower() not in SPLITS and "#" not in p and not set(words(p)) <= (PLAIN | DATA)
    ]
    return "/".join(parts[: at + 1]), " ".join(below)
