"""GEN106 memorised-samples."""

from __future__ import annotations

from collections.abc import Iterator

from runvet import examples_artifacts as made
from runvet.evidence.likeness import Likeness
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import percent
from runvet.run import Run


@rule("GEN106", "memorised-samples", level="warning", since="0.1")
def memorised_samples(samples: Likeness, *, share: float = 0.5) -> Sick | Unsure | None:
    """Samples are exact copies of items of the data.

    ## What it checks
    Contents of the samples of the last step (at least four) against the data. A warning where half of them stand in
    the data cell by cell, and the data hardly repeat themselves.
    ## Why it matters
    A model that repeats its training data has learnt a list; held-out numbers and new prompts will show it.
    ## What to do
    Measure the distance to the nearest training item against that of held-out items; use more data or less capacity.
    ## When to ignore it
    The folder holds data that were copied there for comparison.
    ## Known limits
    Exact copies only. The data that were read are a sample of a large data set.
    ## References
    - Carlini et al. 2023, Extracting training data from diffusion models, arXiv 2301.13188.
    """
    n = len(samples.names)
    if n < 4 or len(samples.data_names) < 10:
        return Unsure(
            f"{n} samples, {len(samples.data_names)} items of the data",
            "keep 8 or more samples, and the data beside the run",
        )
    known = dict(zip(samples.data_digests, samples.data_names, strict=True))
    copied = [(name, known[d]) for name, d in zip(samples.names, samples.digests, strict=True) if d in known]
    if len(copied) < share * n or samples.data_distinct < 0.8:
        return None
    return Sick(
        f"{len(copied)} of {n} samples are exact copies of items of the data ({percent(len(copied) / n)}): {copied[0][0]} is {copied[0][1]}",
        evidence=(
            Measure("samples that stand in the data", len(copied), f"of {n}", copied[0][0]),
            Measure("the item that the first one copies", copied[0][1]),
        ),
        since_step=samples.step,
        innocent="these are data that were put there for comparison",
        actions=(
            Action(
                "Compare the distance of samples to the nearest training item with that of held-out items",
                "minutes",
                "measure",
            ),
        ),
    )


def sick() -> Iterator[Run]:
    """Trees from the training data."""
    data = made.grids("dataset", [made.tree(i) for i in range(40)])
    yield made.with_files(data | made.grids("samples/step_9", [made.tree(3 * i) for i in range(5)]))


def healthy() -> Iterator[Run]:
    """New trees, and one known among them."""
    data = made.grids("dataset", [made.tree(i) for i in range(40)])
    yield made.with_files(data | made.grids("samples/step_9", [made.tree(90 + i) for i in range(5)]))
    yield made.with_files(data | made.grids("samples/step_9", [made.tree(3), *(made.tree(90 + i) for i in range(5))]))
