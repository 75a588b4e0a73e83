"""DATA105 unreadable-data."""

from __future__ import annotations

from collections.abc import Iterator

from runvet import examples_artifacts as made
from runvet.artifacts.model import Artifacts, Contents, Item, Listing, UnreadableError
from runvet.evidence.datasets import DataSets
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import percent
from runvet.run import Run


@rule("DATA105", "unreadable-data", level="warning", since="0.1")
def unreadable_data(data: DataSets) -> Sick | Unsure | None:
    """Files of the data are empty, cut off or damaged.

    ## What it checks
    Every data file that is read, against its format. Files that need a library which is not installed are not counted.
    ## Why it matters
    A loader that skips them trains on less than it says; one that does not stops in the middle of an epoch.
    ## What to do
    Write the files again; verify checksums after copying.
    ## When to ignore it
    The data are being written while they are read.
    ## Known limits
    Large data sets are sampled evenly.
    ## References
    - The npy format: numpy NEP 1; the PNG specification, third edition.
    """
    for found in data.profiles:
        if found.remedy and not found.items:
            return Unsure(next(iter(found.unreadable.values())), found.remedy)
        bad = found.unreadable
        if bad and found.items:
            first, why = next(iter(bad.items()))
            share = len(bad) / max(1, found.read)
            return Sick(
                f"{len(bad)} of {found.read} files of {found.name} cannot be read ({percent(share)}): {first}: {why}",
                evidence=(Measure("files that cannot be read", len(bad), f"of {found.read}", first),),
                innocent="the data are being written while they are read",
                actions=(Action(f"Write {first} again, and verify the files after copying", "minutes", "repair"),),
            )
    return None


def _cut(run: Run, number: int) -> Run:
    """The same run of which some files turn out to be cut off."""
    from dataclasses import replace

    def fail() -> Contents:
        raise UnreadableError("cut off: 10 of 1,728 bytes")

    assert run.artifacts is not None
    items = tuple(Item(i.name, i.size, fail) if n < number else i for n, i in enumerate(run.artifacts.items))
    return replace(run, artifacts=Artifacts(lambda: Listing(items)))


def sick() -> Iterator[Run]:
    """Three files of forty cut off."""
    yield _cut(made.with_files(made.grids("dataset", [made.tree(i) for i in range(40)])), 3)


def healthy() -> Iterator[Run]:
    """All files whole."""
    yield made.with_files(made.grids("dataset", [made.tree(i) for i in range(40)]))
