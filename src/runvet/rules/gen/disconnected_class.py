"""GEN124 disconnected-class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from runvet import examples_artifacts as made
from runvet.artifacts.model import Array
from runvet.evidence.grids import GridSamples, Solid
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.run import FloatArray, Run
from runvet.statistics.two_samples import mann_whitney

FEWEST = 4  # samples of a class
ENOUGH = 6  # samples from which one class alone can be critical


@rule("GEN124", "disconnected-class", level="critical", since="0.1", explains=("GEN102", "GEN109"))
def disconnected_class(
    grids: GridSamples,
    *,
    drop: float = 0.25,
    pooled: float = 0.2,
    p_value: float = 0.01,
    pieces: float = 0.5,
    spread: float = 0.1,
) -> Sick | Unsure | None:
    """The samples of one class fall into loose parts, which the other classes hide.

    ## What it checks
    For each class that samples and data share, with at least four samples: the share of filled cells that the largest
    face-connected part holds. A finding where a class's median is lower than its data's by a quarter and the
    Mann-Whitney test gives p below 0.01 over all classes together (Bonferroni): critical where a second class has lost a
    tenth as surely, or where one class with six samples or more has lost half; a warning where it is one class alone and
    milder, as the hardest class of a sound model is that still trains. Where all samples together lose a fifth,
    `disconnected-samples` says so, and this rule is silent.
    ## Why it matters
    Solid shapes stay in one piece even if every cell is drawn by itself; thin ones fall apart. A mean or a median over
    unlike classes shows only the solid ones.
    ## What to do
    Sample with more steps and states drawn as in training; judge every class by itself, and choose by the worst.
    ## When to ignore it
    Things of this class that truly consist of several parts, asked for more often than the data hold them.
    ## Known limits
    Samples without a class are not judged.
    ## References
    - Connected-component labelling: Rosenfeld and Pfaltz 1966, doi 10.1145/321356.321357.
    """
    labels = sorted({g.label for g in grids.samples} & {g.label for g in grids.data} - {""})
    parted = {label: (_shares(grids.samples, label), _shares(grids.data, label)) for label in labels}
    judged = {label: (s, d) for label, (s, d) in parted.items() if len(s) >= FEWEST and len(d) >= FEWEST}
    if len(judged) < 2:
        return Unsure(
            f"{len(judged)} classes have four samples", "keep 4 or more samples of each class, with their class"
        )
    every = [np.concatenate([pair[i] for pair in judged.values()]) for i in (0, 1)]
    if float(np.median(every[1]) - np.median(every[0])) >= pooled * float(np.median(every[1])):
        return None
    tests = {label: mann_whitney(s, d) * len(judged) for label, (s, d) in judged.items()}
    lost = {label: 1 - float(np.median(s) / np.median(d)) for label, (s, d) in judged.items()}
    bad = sorted((label for label in judged if lost[label] >= drop and tests[label] < p_value), key=lambda k: -lost[k])
    if not bad:
        return None
    hurt = sum(lost[label] >= spread and tests[label] < p_value for label in judged)
    clear = hurt > 1 or (lost[bad[0]] >= pieces and len(judged[bad[0]][0]) >= ENOUGH)
    found = _report(grids, bad, judged, tests[bad[0]])
    return found if clear else replace(found, level="warning")


def _report(grids: GridSamples, bad: Sequence[str], judged: dict[str, tuple[FloatArray, FloatArray]], p: float) -> Sick:
    told = "; ".join(
        f"{label} {np.median(judged[label][0]):.2f} against {np.median(judged[label][1]):.2f} in the data (n = {len(judged[label][0])})"
        for label in bad[:3]
    )
    every = np.concatenate([s for s, _ in judged.values()])
    s, d = judged[bad[0]]
    return Sick(
        f"samples of {len(bad)} of {len(judged)} classes at {grids.when} fall into loose parts, largest part's share: {told};"
        f" the median over all classes, {np.median(every):.2f}, hides it",
        evidence=(
            Measure(
                f"largest part's share in samples of {bad[0]}, median", round(float(np.median(s)), 4), None, grids.where
            ),
            Measure(f"lowest share in samples of {bad[0]}", round(float(s.min()), 4)),
            Measure(
                f"largest part's share in the data of {bad[0]}, median",
                round(float(np.median(d)), 4),
                None,
                f"{len(d)} grids",
            ),
            Measure("the same over samples of all classes, median", round(float(np.median(every)), 4)),
            Measure("p of the Mann-Whitney test, times the number of classes", float(f"{p:.2g}")),
        ),
        since_step=grids.since,
        innocent="things of this class truly consist of several parts",
        actions=(
            Action(
                f"Sample {bad[0]} again from the same checkpoint with more sampling steps and with states drawn as in training:"
                " floating parts that vanish are the sampler's fault",
                "minutes",
                "repair",
            ),
        ),
    )


def _shares(grids: Sequence[Solid], label: str) -> FloatArray:
    """The largest part's share of each grid of a class that is not empty, (n,)."""
    return np.array([g.parts.share for g in grids if g.label == label and g.filled])


def _block(seed: int) -> Array:
    rng = np.random.default_rng(seed)
    grid = np.zeros((12, 12, 12), np.uint8)
    wide, high = (int(n) for n in rng.integers(4, 8, 2))
    grid[3 : 3 + wide, :high, 3 : 3 + wide] = 1
    return grid


def _files(whole: bool, solid: int = 12) -> dict[str, dict[str, Array]]:
    data = made.grids("data", [made.tree(i) for i in range(20)], name="tree")
    data |= made.grids("data", [_block(i) for i in range(20)], name="block")
    trees = [made.tree(90 + i) if whole else made.scattered(i, 90) for i in range(6)]
    samples = made.grids("samples/step_9", trees, name="tree")
    return data | samples | made.grids("samples/step_9", [_block(90 + i) for i in range(solid)], name="block")


def _broken(*labels: str) -> dict[str, dict[str, Array]]:
    """Trees and shrubs beside solid blocks; in the samples of `labels` a part of the trunk is missing."""
    files = made.grids("data", [_block(i) for i in range(20)], name="block")
    files |= made.grids("samples/step_9", [_block(90 + i) for i in range(16)], name="block")
    for label in ("tree", "shrub"):
        files |= made.grids("data", [_torn(i, 0) for i in range(20)], name=label)
        files |= made.grids("samples/step_9", [_torn(90 + i, 2 * (label in labels)) for i in range(6)], name=label)
    return files


def _torn(seed: int, gap: int) -> Array:
    """A column of 12 with a foot of six cells, and `gap` cells missing from it: a part of nine or ten falls off."""
    grid = np.zeros((12, 12, 12), np.uint8)
    at = 3 + seed % 5
    grid[at, :, 6], grid[at : at + 4, 0, 5:7] = 1, 1
    grid[at, 2 : 2 + gap, 6] = 0
    return grid


def sick() -> Iterator[Run]:
    """Trees as dust beside twice as many solid blocks; two of three classes with a third broken off; one of two."""
    yield made.with_files(_files(whole=False))
    yield made.with_files(_broken("tree", "shrub"))
    yield made.with_files(_broken("tree"))


def healthy() -> Iterator[Run]:
    """Trees and blocks in one piece; one tree of six in two parts."""
    yield made.with_files(_files(whole=True))
    files = _files(whole=True)
    first = next(name for name in files if name.startswith("samples") and "tree" in name)
    grid = files[first]["voxels"].copy()
    grid[0, 0, 0] = 1
    yield made.with_files(files | {first: {"voxels": grid}})
