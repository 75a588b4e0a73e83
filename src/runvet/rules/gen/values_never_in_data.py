"""GEN103 values-never-in-data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.grids import GridSamples
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import percent
from runvet.run import Run

ENDS = (255, 127, -128, 65_535, 32_767, -32_768)  # where integer types saturate


@rule("GEN103", "values-never-in-data", level="critical", since="0.1", explains=("GEN101", "GEN102"))
def values_never_in_data(
    grids: GridSamples, *, saturated: float = 0.1, foreign: float = 0.2, unseen: float = 0.02
) -> Sick | Unsure | None:
    """Generated grids hold ids that no data hold.

    ## What it checks
    Every value of the samples of the last step against all values of the data. Critical where one foreign value at
    an end of the numeric range (255, 127, …) makes up a tenth of the filled cells in most samples: a sampler that
    diverges and is clamped. A warning where other foreign values make up a fifth of them. Silent where so many
    values of the data occur in one grid only that new ones have to be expected (Good-Turing estimate).
    ## Why it matters
    Ids are names, not amounts. Foreign ids show that they were learnt as numbers on a scale, clamped or truncated, so
    that small errors turn one material into another.
    ## What to do
    Compare the noise schedule of training and sampling, the scaling of ids and their rounding. Predict ids as classes.
    ## When to ignore it
    The data beside the samples are only a part of what was trained on.
    ## Known limits
    Data that were read only in part are counted as they are; the report says how many grids were read.
    ## References
    - Good 1953, The population frequencies of species, Biometrika 40.
    """
    total: Counter[int] = Counter()
    for grid in grids.samples:
        total.update({v: n for v, n in grid.values.items() if v not in (grids.background & grids.seen)})
    cells = sum(total.values())
    strange = {v: n for v, n in total.items() if v not in grids.seen}
    if cells < 10 or not strange:
        return None
    known = Counter(v for g in grids.data for v in g.values)
    new = sum(n == 1 for n in known.values()) / max(1, sum(known.values()))
    value, number = max(strange.items(), key=lambda pair: pair[1])
    holding = sum(value in g.values for g in grids.samples)
    at_end = (
        value in ENDS
        and value in (max(total), min(total))
        and number >= saturated * cells
        and 2 * holding > len(grids.samples)
    )
    # How likely only samples would hold it if samples and data were alike.
    at_end = at_end and 1 / math.comb(len(grids.samples) + len(grids.data), holding) < 0.01
    share = sum(strange.values()) / cells
    if not at_end and share < foreign:
        return None
    if not at_end and (new > unseen or len(grids.data) < 20):
        return Unsure(
            f"{len(grids.data)} grids of the data do not show all their values",
            "keep more of the data beside the samples",
        )
    single = sum(n == 1 for v, n in total.items() if v != value)
    scaled = at_end and single >= 0.5 * (len(total) - 1) >= 2
    return Sick(
        f"samples of {grids.when} hold {len(strange)} {'id' if len(strange) == 1 else 'ids'} that none of {len(grids.data)} data grids hold"
        + (f"; {grids.called(value)}, an end of the numeric range, is in {holding} of {len(grids.samples)} samples with {percent(number / cells)} of the cells"
           " that are not background" if at_end else f", in {percent(share)} of the cells that are not background, {grids.called(value)} most of all{_shifted(strange, grids.seen)}")
        + (f"; {single} of the {len(total) - 1} other ids occur once, as numbers on a scale would" if scaled else ""),
        evidence=(
            Measure("share of foreign ids in non-background cells", round(share, 4), None, grids.where),
            Measure("most frequent foreign id", grids.names.get(value, value), None, f"{number:,} of {cells:,} cells"),
            Measure("samples that hold it", holding, f"of {len(grids.samples)}"),
            Measure("ids in the data", len(grids.seen), "ids", grids.read),
            *(() if grids.names else (Measure("largest id in the data", max(grids.seen)),)),
        ),
        since_step=grids.since,
        innocent="the data beside the samples are only a part of what was trained on",
        actions=(
            Action("Repair the sampler's decoding first: decode one batch of real data through the sampler's own path (scaling, clamp, rounding, ids) and compare it with the data;"
                   " compare the noise schedule of training with the sampler's", "minutes", "repair"),
            Action("Predict ids as classes (one-hot or embedding), not as one number on a scale", "a restart"),
        ),
        level=None if at_end else "warning",
    )  # fmt: skip


def _shifted(strange: Counter[int] | dict[int, int], seen: frozenset[int]) -> str:
    """Whether nearly all foreign ids lie one beside an id of the data: what truncation instead of rounding does."""
    total = sum(strange.values())
    for offset, word in ((1, "below"), (-1, "above")):
        beside = sum(n for v, n in strange.items() if v + offset in seen)
        if len(strange) >= 2 and beside >= 0.8 * total:
            return f"; {percent(beside / total)} of them are one {word} an id of the data, as truncation instead of rounding makes them"
    return ""


def sick() -> Iterator[Run]:
    """Cells clamped to 255 among single ids all over the scale; ids shifted by truncation."""
    data = made.grids("dataset", [made.tree(i) for i in range(40)])
    bad = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        grid = made.scattered(seed, 40, values=[255])
        cells = np.argwhere(grid)[:10]
        grid[tuple(cells.T)] = rng.choice(np.arange(3, 250), 10, replace=False)
        bad.append(grid)
    yield made.with_files(data | made.grids("outputs/samples/step_001300", bad))
    off = [np.where(made.tree(100 + i) == 2, 7, made.tree(100 + i)).astype(np.uint8) for i in range(5)]
    yield made.with_files(data | made.grids("samples/step_9", off))


def healthy() -> Iterator[Run]:
    """Values of the data only; a single stray value."""
    data = made.grids("dataset", [made.tree(i) for i in range(40)])
    good = [made.tree(100 + i) for i in range(6)]
    yield made.with_files(data | made.grids("samples/step_9", good))
    stray = good[0].copy()
    stray[0, 0, 0] = 9
    yield made.with_files(data | made.grids("samples/step_9", [stray, *good[1:]]))
