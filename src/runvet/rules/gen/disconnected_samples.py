"""GEN102 disconnected-samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.artifacts.model import Array
from runvet.evidence.grids import GridSamples
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules.gen._beside import trivial_accuracy
from runvet.run import Run, Stage
from runvet.statistics.two_samples import mann_whitney


@rule("GEN102", "disconnected-samples", level="critical", since="0.1", explains=("GEN109",))
def disconnected_samples(
    grids: GridSamples, stage: Stage, *, drop: float = 0.2, small: float = 0.05, p_value: float = 0.01
) -> Sick | Unsure | None:
    """Generated grids fall into loose parts where the data are connected.

    ## What it checks
    The share of filled cells that the largest face-connected part holds, in samples of the last step and in the
    data. Critical where the samples' median is lower by 0.2 of the data's and the Mann-Whitney test gives p below
    0.01; a warning from 0.05 on.
    ## Why it matters
    Floating parts show that cells were drawn one by one without regard to each other. Counts, histograms, loss and
    accuracy cannot see it.
    ## What to do
    Sample with more steps and check the sampler against the training objective: states drawn, not averaged; step
    sizes that fit the strides; temperature applied once. Measure connectivity beside density at every checkpoint.
    Removing small parts afterwards hides the fault.
    ## When to ignore it
    Things that are truly made of several parts, asked for more often in the samples than in the data.
    ## Known limits
    A dense fog is well connected: read it together with `density-unlike-data`.
    ## References
    - Connected-component labelling: Rosenfeld and Pfaltz 1966, doi 10.1145/321356.321357.
    """
    samples = [g for g in grids.samples if g.filled]
    labels = {g.label for g in samples}
    data = [g for g in grids.data if g.filled and (g.label in labels or not labels & {d.label for d in grids.data})]
    if len(samples) < 2 or not data:
        return Unsure(f"{len(samples)} samples hold something", "keep 5 or more samples of the last step")
    s, d = np.array([g.parts.share for g in samples]), np.array([g.parts.share for g in data])
    lost = float(np.median(d) - np.median(s))
    p = mann_whitney(s, d)
    if lost < small * float(np.median(d)) or float(np.median(s)) >= float(np.quantile(d, 0.05)):
        return None
    if p > p_value:
        return Unsure(
            f"{len(samples)} samples are too few to tell their parts from the data's (p = {p:.2g})",
            "keep 8 or more samples",
        )
    pieces = [g.parts.count for g in samples]
    whole = int((s >= 0.8).sum())
    return Sick(
        f"the largest connected part holds {s.min():.2f} to {s.max():.2f} (median {np.median(s):.2f}) of a sample's filled cells at {grids.when},"
        f" in the data {np.median(d):.2f}; {np.median(pieces):.0f} loose parts a sample, n = {len(s)}",
        evidence=(
            Measure("largest part's share in samples, median", round(float(np.median(s)), 4), None, grids.where),
            *trivial_accuracy(stage, grids),
            Measure("lowest share", round(float(s.min()), 4), None, min(samples, key=lambda g: g.parts.share).name),
            Measure("highest share", round(float(s.max()), 4)),
            Measure("largest part's share in the data, median", round(float(np.median(d)), 4), None, f"{len(d)} grids"),
            Measure("parts of a sample, median", float(np.median(pieces)), "parts"),
            Measure("samples of which one part holds 0.8", whole, f"of {len(s)}"),
            Measure("p of the Mann-Whitney test", float(f"{p:.2g}")),
        ),
        since_step=grids.since,
        innocent="the things asked for truly consist of several parts",
        actions=(
            Action("Sample again from the same checkpoint with more sampling steps and with states drawn as in training, and compare"
                   " connectivity and density: floating parts that vanish are the sampler's fault", "minutes", "repair"),
            Action("If they stay, retrain with the joint structure in view (slower learning, position input, larger receptive field) and"
                   " choose the checkpoint by connectivity, not by loss", "a restart"),
        ),
        level=None if lost >= drop * float(np.median(d)) else "warning",
    )  # fmt: skip


def _broken(seed: int) -> Array:
    """A tree of which a third of the cells moved to random places."""
    rng = np.random.default_rng(seed)
    grid = made.tree(seed).copy()
    cells = np.argwhere(grid)
    for cell in cells[rng.choice(len(cells), len(cells) // 3, replace=False)]:
        value, grid[tuple(cell)] = grid[tuple(cell)], 0
        grid[tuple(rng.integers(0, 12, 3))] = value
    return np.asarray(grid)


def sick() -> Iterator[Run]:
    """Trees in pieces, cells drawn one by one at the right density, with few samples."""
    data = made.grids("data/structures", [made.tree(i) for i in range(40)], name="oak_tree")
    yield made.with_files(data | made.grids("samples/epoch=199", [_broken(i) for i in range(5)], name="oak_tree"))
    yield made.with_files(
        data | made.grids("samples/epoch=199", [made.scattered(i, 80) for i in range(3)], name="oak_tree")
    )


def healthy() -> Iterator[Run]:
    """Connected samples; data that are as loose as the samples; one sample of ten in two parts."""
    data = made.grids("data/structures", [made.tree(i) for i in range(40)], name="oak_tree")
    good = [made.tree(100 + i) for i in range(9)]
    yield made.with_files(data | made.grids("samples/epoch=199", good, name="oak_tree"))
    yield made.with_files(data | made.grids("samples/epoch=199", [*good, _broken(3)], name="oak_tree"))
    loose = made.grids("data", [made.scattered(i, 80) for i in range(30)])
    yield made.with_files(loose | made.grids("samples/step_9", [made.scattered(100 + i, 80) for i in range(6)]))
