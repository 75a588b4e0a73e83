"""Voxel grids that the model made, beside the grids it learnt from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from runvet.artifacts.components import Parts, parts
from runvet.artifacts.grids import Grid, counts, grids_of, is_tokens
from runvet.artifacts.grouping import OTHER, PREDICTION, STATE, Entry, Group, everything, role, words
from runvet.artifacts.labels import labelled, named_ids
from runvet.artifacts.model import Artifacts, UnreadableError, evenly
from runvet.evidence import Missing, provides
from runvet.evidence.artifact_groups import GRIDS, Drawn, StageGroups
from runvet.run import FloatArray, Plain, Stage, number

UNNAMED = 20  # files that a folder needs to count as data whose name does not say so
SAMPLES = 64  # samples of the last step that are read
DATA = 256  # items of the data that are read, evenly over all of them
MOST_COMMON = 0.4  # a value that fills this share of the data's cells is their background where no setting names it
AIR = (
    "air_block_id",
    "air_id",
    "air_token",
    "air",
    "empty_id",
    "background_id",
    "background",
    "pad_id",
    "empty_block_ids",
)


@dataclass(frozen=True)
class Solid:
    """One grid with its background taken away. `values` counts the cells of each value, the background's included."""

    name: str
    label: str
    grid: Grid
    background: frozenset[int]

    @cached_property
    def values(self) -> dict[int, int]:
        """Cells of each value."""
        return counts(self.grid)

    @cached_property
    def filled(self) -> int:
        """Cells that are not background."""
        return sum(n for v, n in self.values.items() if v not in self.background)

    @cached_property
    def parts(self) -> Parts:
        """Face-connected parts of the filled cells."""
        return parts(~np.isin(self.grid, list(self.background)))


@dataclass(frozen=True)
class GridSamples(Drawn):
    """Grids of the last step that has some, and the data's. `why_background` says what told the empty cells.

    `seen` is every value that the data hold. `read` says how many were read of how many files.
    """

    samples: tuple[Solid, ...]
    data: tuple[Solid, ...]
    where: str
    step: float | None
    axis: str
    background: frozenset[int]
    why_background: str
    seen: frozenset[int]
    read: str
    tokens: bool = False  # codes without a background, not voxels
    names: Mapping[int, str] = field(default_factory=dict)  # of ids, where the files hold a palette

    def called(self, value: int) -> str:
        """An id as a person knows it: `minecraft:stone`, or `id 255`."""
        return self.names.get(value, f"id {value}")


@provides
def grid_samples(found: StageGroups, stage: Stage) -> GridSamples | Missing:
    made = [g for g in found.samples if g.entries[0].item.suffix in GRIDS]
    real = [g for g in found.data if g.entries[0].item.suffix in GRIDS]
    samples = next(
        (s for s in (_read(found.artifacts, labelled(found.artifacts, g.last), SAMPLES) for g in made) if s), []
    )
    if not samples:
        return Missing("no grids among the samples", "", applicable=False)
    group = next(g for g in made if any(e.item.name == samples[0][0].item.name for e in g.last))
    data = max((_read(found.artifacts, labelled(found.artifacts, g.entries), DATA) for g in real), key=len, default=[])
    data = data or _unnamed(found.artifacts, samples)
    if not data:
        return Missing(
            "no grids of the data beside the samples", "keep the data set below the run, or some of it in data/"
        )
    tokens = is_tokens(found.artifacts.read(samples[0][0].item).arrays)
    background, why = (
        (frozenset[int](), "tokens have no background") if tokens else _background(stage, [g for _, g in data])
    )
    names = named_ids(found.artifacts) | _names(found.artifacts, [e for e, _ in (*samples, *data)])
    return replace(_made(group, samples, data, background, why), tokens=tokens, names=names)


def _unnamed(artifacts: Artifacts, samples: Sequence[tuple[Entry, Grid]]) -> list[tuple[Entry, Grid]]:
    """Data in a folder whose name does not say so: the most files whose grids have the samples' shape, twenty at least."""
    suffix, shape = samples[0][0].item.suffix, samples[0][1].shape
    left = [i for i in artifacts.items if i.suffix == suffix and role(i.name) is None and not _claimed(i.name)]
    chosen = max(everything(left, (suffix,)), key=lambda g: len(g.entries), default=None)
    if chosen is None or len(chosen.entries) < UNNAMED:
        return []
    read = _read(artifacts, labelled(artifacts, chosen.entries), DATA)
    return read if len(read) >= UNNAMED and all(g.shape == shape for _, g in read) else []


def _claimed(name: str) -> bool:
    """Whether a path speaks of predictions, evaluations, masks or states, which are no data."""
    told = {w for part in name.split("/") for w in words(part)}
    return bool(told & (PREDICTION | OTHER | STATE | {"debug", "dump", "tmp", "cache", "output", "outputs"}))


def _names(artifacts: Artifacts, entries: Sequence[Entry]) -> dict[int, str]:
    """The palettes of files that have one."""
    out: dict[int, str] = {}
    for entry in entries:
        plain = artifacts.read(entry.item).plain
        palette = plain.get("palette") if isinstance(plain, dict) else None
        out |= palette if isinstance(palette, dict) else {}
    return out


def _made(
    group: Group,
    samples: list[tuple[Entry, Grid]],
    data: list[tuple[Entry, Grid]],
    background: frozenset[int],
    why: str,
) -> GridSamples:
    solid = [[Solid(e.item.name, e.label, g, background) for e, g in part] for part in (samples, data)]
    last = group.last[0]
    values = frozenset(v for s in solid[1] for v in s.values)
    files = len({e.item.name for e, _ in data})
    return GridSamples(tuple(solid[0]), tuple(solid[1]), group.name, last.step, last.axis, background, why, values,
                       f"{len(samples)} samples, {len(data)} grids of {files} data files")  # fmt: skip


def _read(artifacts: Artifacts, entries: Sequence[Entry], most: int) -> list[tuple[Entry, Grid]]:
    out: list[tuple[Entry, Grid]] = []
    for entry in evenly(entries, most):
        try:
            out += [(entry, g) for g in grids_of(artifacts.read(entry.item).arrays)]
        except UnreadableError:
            continue
        if not out:
            break  # files without a grid are not searched one after the other
        if len(out) >= most:
            break
    return out[:most]


def _background(stage: Stage, data: Sequence[Grid]) -> tuple[frozenset[int], str]:
    """The values of empty cells: as the configuration says, else the value that fills most of the data's cells."""
    told: set[int] = set()
    sources = []
    for name in AIR:
        for setting in stage.settings:
            key = setting.key.lower().replace("-", "_")
            if (key.rsplit(".", 1)[-1] == name or key.partition("[")[0].rsplit(".", 1)[-1] == name) and (
                values := _ints(setting.value)
            ):
                told |= values
                sources.append(f"{setting.key} in {setting.source}")
    common, share = _commonest(data)
    if told and (common in told or share < MOST_COMMON):
        return frozenset(told), sources[0]
    if share >= MOST_COMMON:
        return frozenset([common]), f"{common} fills {100 * share:.0f} % of the data's cells"
    return frozenset([0]), "0 by convention"


def _commonest(grids: Sequence[Grid]) -> tuple[int, float]:
    total: Counter[int] = Counter()
    for grid in grids:
        total.update(counts(grid))
    value, number = total.most_common(1)[0]
    return value, number / max(1, sum(total.values()))


def _ints(value: Plain) -> set[int]:
    listed: Iterable[Plain] = value if isinstance(value, list) else [value]
    return {int(v) for one in listed if (v := number(one)) is not None and v.is_integer()}


def filled(grids: Iterable[Solid]) -> FloatArray:
    """Filled cells of each grid, shape (n,)."""
    return np.array([g.filled for g in grids], np.float64)
