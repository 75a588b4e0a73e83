"""GEN101 density-unlike-data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.grids import GridSamples, Solid, filled
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num
from runvet.rules.gen._beside import trivial_accuracy
from runvet.run import FloatArray, Run, Stage
from runvet.statistics.two_samples import mann_whitney


@rule("GEN101", "density-unlike-data", level="critical", since="0.1", explains=("GEN102", "GEN105", "GEN109"))
def density_unlike_data(
    grids: GridSamples, stage: Stage, *, factor: float = 2.0, p_value: float = 0.01
) -> Sick | Unsure | None:
    """Generated grids hold far fewer or far more filled cells than the data.

    ## What it checks
    Filled cells of each sample of the last step against those of the data of the same class; where samples carry no
    class, against the class that is nearest. Critical where the medians differ by a factor of two and the
    Mann-Whitney test (exact for few samples) gives p below 0.01.
    ## Why it matters
    In sparse grids nearly every cell is background, so loss and accuracy look excellent while nothing is built.
    ## What to do
    Look at the decoding first: schedule of training against that of the sampler, how values are turned into ids,
    which value is air. Then at the weight of background in the loss. Judge by filled cells per class, not by loss.
    ## When to ignore it
    The samples were asked for other things than the data hold.
    ## Known limits
    Fewer than three samples say little; two of the same class can still be told from a large data set.
    ## References
    - Over-represented background: Lee et al. 2023, arXiv 2301.00527.
    """
    worst: tuple[float, Sick] | None = None
    few = 0
    for label, samples, data in _classes(grids):
        s, d = filled(samples), filled(data)
        ratio = float((np.median(s) + 0.5) / (np.median(d) + 0.5))
        p = mann_whitney(s, d)
        if 1 / factor <= ratio <= factor:
            continue
        if p > p_value or len(s) < 2:
            few += 1
            continue
        if not label and not _outside(s, grids, ratio):
            continue
        size = abs(float(np.log(ratio)))
        if worst is None or size > worst[0]:
            worst = size, _report(grids, label, samples, data, p, trivial_accuracy(stage, grids))
    if worst is not None:
        return worst[1]
    if few:
        return Unsure(
            f"{len(grids.samples)} samples are too few to tell their density from the data's",
            "keep 8 or more samples of the last step",
        )
    return None


def _classes(grids: GridSamples) -> Iterator[tuple[str, Sequence[Solid], Sequence[Solid]]]:
    """Samples and data of the same class; unlabelled samples with the class whose median is nearest."""
    known = {g.label for g in grids.data}
    labels = {g.label for g in grids.samples} & known - {""}
    for label in sorted(labels):
        yield label, [g for g in grids.samples if g.label == label], [g for g in grids.data if g.label == label]
    rest = [g for g in grids.samples if g.label not in labels]
    if rest:
        middle = float(np.median(filled(rest)))
        parted = [[g for g in grids.data if g.label == label] for label in sorted(known)]
        yield (
            "",
            rest,
            min(parted, key=lambda part: abs(float(np.log((np.median(filled(part)) + 0.5) / (middle + 0.5))))),
        )


def _outside(samples: FloatArray, grids: GridSamples, ratio: float) -> bool:
    """Whether unlabelled samples lie beyond nearly all data, of whatever class."""
    low, high = np.quantile(filled(grids.data), [0.05, 0.95])
    return bool(np.median(samples) < low if ratio < 1 else np.median(samples) > high)


def _report(
    grids: GridSamples,
    label: str,
    samples: Sequence[Solid],
    data: Sequence[Solid],
    p: float,
    accuracy: tuple[Measure, ...],
) -> Sick:
    s, d = filled(samples), filled(data if label else grids.data)
    ratio = float(np.median(s) / max(np.median(d), 1.0))
    word = "fewer" if ratio < 1 else "more"
    empty = int((s == 0).sum())
    of = f" of {label}" if label else ""
    other = {v: sum(g.values.get(v, 0) for g in grids.samples) for v in grids.background if v not in grids.seen}
    ignored = [v for v, n in other.items() if n]
    beside = (
        f"; {num(float(np.median([g.filled + sum(g.values.get(v, 0) for v in ignored) for g in samples])))} with the cells of id {ignored[0]}, which no data hold"
        if ignored
        else ""
    )
    return Sick(
        f"samples of {grids.when}{of} hold {_span(s)} filled cells, the data {_span(d)}: {ratio:.2g} times as many{beside}"
        + (f"; {empty} samples are empty" if empty else ""),
        evidence=(
            Measure("filled cells of a sample, median", float(np.median(s)), "cells", grids.where),
            *accuracy,
            Measure("filled cells of a sample, fewest", float(s.min()), "cells"),
            Measure("filled cells of a sample, most", float(s.max()), "cells"),
            Measure("filled cells in the data, median", float(np.median(d)), "cells", data[0].name),
            Measure("filled cells in the data, fewest", float(d.min()), "cells"),
            Measure("filled cells in the data, most", float(d.max()), "cells"),
            Measure("p of the Mann-Whitney test", float(f"{p:.2g}"), None, f"{len(s)} samples, {len(data)} of the data"),
            Measure("empty cells", ", ".join(map(str, sorted(grids.background))), "ids", grids.why_background),
        ),
        since_step=grids.since,
        innocent="the samples were asked for smaller or other things than the data hold",
        actions=(
            Action(f"Check how samples are made before training on: sample again from this checkpoint with the noise schedule, scaling and id"
                   f" decoding of the training code, and count filled cells ({word} than in the data now)", "minutes", "repair"),
            Action("Check the weight of background (air) cells in the loss: predict ids as classes, or weigh filled cells up", "a restart", "change"),
        ),
    )  # fmt: skip


def _span(values: FloatArray) -> str:
    return f"a median of {num(float(np.median(values)))} ({num(float(values.min()))} to {num(float(values.max()))}, n = {len(values)})"


def sick() -> Iterator[Run]:
    """Sparse dust beside trees, solid blocks, sparse samples of one class among good ones, samples that are empty."""
    data = made.grids("dataset", [made.tree(i) for i in range(40)])
    yield made.with_files(data | made.grids("samples/step_1000", [made.scattered(i, 6 + i) for i in range(6)]))
    yield made.with_files(
        data | made.grids("samples/step_1000", [np.ones((12, 12, 12), np.uint8) * (1 + i % 2) for i in range(5)])
    )
    yield made.with_files(data | made.grids("samples/step_1000", [np.zeros((12, 12, 12), np.uint8) for _ in range(5)]))
    classes = made.grids("data", [made.tree(i) for i in range(30)], name="tree") | made.grids(
        "data", [made.scattered(i, 300) for i in range(30)], name="cloud"
    )
    samples = made.grids("generated/epoch=9", [made.scattered(i, 8) for i in range(6)], name="tree")
    yield made.with_files(
        classes
        | samples
        | made.grids("generated/epoch=9", [made.scattered(50 + i, 290 + i) for i in range(6)], name="cloud")
    )


def healthy() -> Iterator[Run]:
    """Samples like the data, of one small class among larger ones, early steps that are still dense, two samples only."""
    data = made.grids("dataset", [made.tree(i) for i in range(40)])
    good = made.grids("samples/step_2000", [made.tree(100 + i) for i in range(5)])
    yield made.with_files(data | good | made.grids("samples/step_100", [made.scattered(i, 900) for i in range(3)]))
    classes = made.grids("data", [made.tree(i) for i in range(30)], name="tree") | made.grids(
        "data", [made.scattered(i, 500) for i in range(60)], name="cloud"
    )
    yield made.with_files(classes | made.grids("samples/step_5", [made.tree(100 + i) for i in range(6)], name="sample"))
    yield made.with_files(data | made.grids("samples/step_2000", [made.tree(200), made.tree(201)]))
