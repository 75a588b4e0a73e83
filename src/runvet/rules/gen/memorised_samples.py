"""GEN106 memorised-samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.likeness import Likeness
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import percent
from runvet.run import Run


@rule("GEN106", "memorised-samples", level="warning", since="0.1")
def memorised_samples(samples: Likeness, *, share: float = 0.5) -> Sick | Unsure | None:
    """Samples are copies of items of the data, exact or nearly so.

    ## What it checks
    Contents of the samples of the last step (at least four) against the data. A warning where half of them stand in
    the data, cell by cell or nearly so (pictures: thumbnails within 4 levels; grids: 90 % of the filled cells; texts: half
    of the sequences of 13 words), and the data hardly repeat themselves.
    ## Why it matters
    A model that repeats its training data has learnt a list; held-out numbers and new prompts will show it.
    ## What to do
    Measure the distance to the nearest training item against that of held-out items; use more data or less capacity.
    ## When to ignore it
    The folder holds data that were copied there for comparison.
    ## Known limits
    Copies that were turned, mirrored or moved are not seen. The data that were read are a sample of a large data set.
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
    exact = {name for name, _ in copied}
    close = {samples.names[i]: samples.data_names[j] if j >= 0 else "several texts" for i, j in samples.near}
    nearly = [(name, other) for name, other in close.items() if name not in exact]
    both = [*copied, *nearly]
    # Data that hold near copies of each other by nature (frames of a film) make near samples no surprise.
    if len(both if samples.data_near < 0.1 else copied) < share * n or samples.data_distinct < 0.8:
        return None
    return Sick(
        f"{len(both)} of {n} samples are copies of items of the data ({percent(len(both) / n)}; {len(copied)} exactly, {len(nearly)} nearly): {both[0][0]} is {both[0][1]}",
        evidence=(
            Measure("samples that stand in the data", len(copied), f"of {n}", both[0][0]),
            Measure("samples that are near an item of the data", len(nearly), f"of {n}"),
            Measure("the item that the first one copies", both[0][1]),
            Measure(
                "data that are near other data", round(samples.data_near, 4), "share", f"{len(samples.data_names)} read"
            ),
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

    pictures = made.pictures("data/train", [made.scene(i) for i in range(30)])
    noisy = [np.clip(made.scene(i).astype(int) + np.random.default_rng(i).integers(-4, 5, (48, 48, 3)), 0, 255) for i in range(6)]  # fmt: skip
    yield made.with_files(pictures | made.pictures("samples/step_9", [n.astype(np.uint8) for n in noisy]))
    lines = [{"text": " ".join(f"w{i * 61 + k}" for k in range(60))} for i in range(20)]
    yield made.with_files({"data/train.jsonl": lines, "samples/step_9/out.jsonl": lines[3:9]})


def healthy() -> Iterator[Run]:
    """New trees, one known among them, new pictures."""
    pictures = made.pictures("data/train", [made.scene(i) for i in range(30)])
    yield made.with_files(pictures | made.pictures("samples/step_9", [made.scene(90 + i) for i in range(6)]))
    data = made.grids("dataset", [made.tree(i) for i in range(40)])
    yield made.with_files(data | made.grids("samples/step_9", [made.tree(90 + i) for i in range(5)]))
    yield made.with_files(data | made.grids("samples/step_9", [made.tree(3), *(made.tree(90 + i) for i in range(5))]))
