"""PAR112 background-code-differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.grids import AIR, GridSamples
from runvet.evidence.settings import name_of
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import percent
from runvet.run import Run, Stage


@rule(
    "PAR112",
    "background-code-differs",
    level="critical",
    since="0.1",
    explains=("PAR102", "GEN101", "GEN102", "GEN103", "GEN105", "GEN109"),
)
def background_code_differs(
    grids: GridSamples, stage: Stage, *, common: float = 0.6, rare: float = 0.001
) -> Sick | None:
    """The value that the configuration calls empty hardly occurs in the data; another one fills most of them.

    ## What it checks
    Keys such as `air_id` or `background_id` against the values of the data: critical where none of the declared
    values makes up a thousandth of the cells, and one other value makes up more than 60 %.
    ## Why it matters
    Every cell then counts as solid: weights of empty cells, counts, connectedness and the export take air for a block.
    ## What to do
    Declare the value that the data use, or convert the data; then count filled cells of one item by hand.
    ## When to ignore it
    Data that are truly full, with a rare empty value.
    ## Known limits
    Grids of which a part was cropped to their filled cells cannot be told.
    ## References
    - Both 0 and 255 stand for air in public data of the same kind; nothing in a file says which.
    """
    told = [s for s in stage.settings if name_of(s) in AIR and isinstance(s.value, int) and s.number is not None]
    total: Counter[int] = Counter()
    for grid in grids.data:
        total.update(grid.values)
    cells = sum(total.values())
    if not told or not cells:
        return None
    value, number = total.most_common(1)[0]
    declared = {int(s.value) for s in told if isinstance(s.value, int)}
    if value in declared or number < common * cells or sum(total[v] for v in declared) > rare * cells:
        return None
    first = told[0]
    ids = ", ".join(map(str, sorted(declared)))
    return Sick(
        f"{first.key} is {ids}, which makes up {percent(sum(total[v] for v in declared) / cells)} of the data's cells;"
        f" {value} makes up {percent(number / cells)}: read so, {percent(1 - sum(total[v] for v in declared) / cells)} of the cells are solid",
        evidence=(
            Measure("declared value of empty cells", ids, None, first.where),
            Measure("most frequent value of the data", value, None, f"{number:,} of {cells:,} cells"),
            Measure("grids of the data that were read", len(grids.data), None, grids.data[0].name),
        ),
        innocent="the data are truly full, and empty cells are rare in them",
        actions=(
            Action(
                f"Set {first.key} to {value}, or code empty cells of the data as {ids}; train again",
                "a restart",
                "repair",
            ),
        ),
    )


def sick() -> Iterator[Run]:
    """Air is 255 in the data and 0 in the configuration."""
    data = [np.where(made.tree(i) == 0, 255, made.tree(i)).astype(np.uint8) for i in range(30)]
    samples = [np.where(made.tree(90 + i) == 0, 255, made.tree(90 + i)).astype(np.uint8) for i in range(6)]
    files = made.grids("dataset", data) | made.grids("samples/step_9", samples)
    yield made.with_files(files, settings={"train.air_id": 0, "sampling.air_id": 0})


def healthy() -> Iterator[Run]:
    """The right code; a declared value that is rare because the data are full; several values for empty."""
    files = made.grids("dataset", [made.tree(i) for i in range(30)]) | made.grids(
        "samples/step_9", [made.tree(90 + i) for i in range(6)]
    )
    yield made.with_files(files, settings={"data.air_id": 0})
    rng = np.random.default_rng(0)
    full = [rng.integers(1, 9, (8, 8, 8)).astype(np.uint8) for _ in range(36)]
    yield made.with_files(
        made.grids("dataset", full[:30]) | made.grids("samples/step_9", full[30:]), settings={"air_id": 0}
    )
