"""DATA101 non-finite-data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.artifacts.model import Array
from runvet.evidence.datasets import DataSets
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import percent
from runvet.run import Run


@rule("DATA101", "non-finite-data", level="critical", since="0.1", explains=("LOG101",))
def non_finite_data(data: DataSets, *, many: float = 0.01, whole: float = 0.5) -> Iterator[Sick]:
    """Items of the data hold NaN or infinite values.

    ## What it checks
    Every item that is read. Critical where more than one item in a hundred holds such a value, else a warning; silent
    where more than half of the items do, as for scans and depth maps whose empty pixels are NaN on purpose.
    ## Why it matters
    One NaN in a batch makes all weights NaN, or the batch is skipped in silence.
    ## What to do
    Drop or repair the items; if NaN means "not measured", mask those values in the loss.
    ## When to ignore it
    The loader replaces or masks them.
    ## Known limits
    Large data sets are sampled evenly; the report says how many files were read.
    ## References
    - Occasional NaN in data: QwenAudio/CosyVoice#677.
    """
    for found in data.profiles:
        broken = found.broken
        if broken and len(broken) <= whole * len(found.items):
            share = len(broken) / len(found.items)
            yield Sick(
                f"{len(broken)} of {len(found.items)} items of {found.name} hold NaN or infinite values ({percent(share)})",
                evidence=(
                    Measure("items with NaN or infinite values", len(broken), f"of {len(found.items)}", broken[0].name),
                    Measure(
                        "non-finite values in the first of them",
                        broken[0].non_finite,
                        f"of {int(np.prod(broken[0].shape))}",
                    ),
                    Measure("files read", found.read, f"of {found.files}"),
                ),
                innocent="they stand for missing values, and the loader masks them",
                actions=(Action(f"Drop or repair the items with NaN, {broken[0].name} first", "minutes", "repair"),),
                level=None if share > many else "warning",
            )


def _rows(bad: int) -> Array:
    rows = made.truth(300, 8).copy()
    rows[:bad, 2] = np.nan
    return np.asarray(rows)


def sick() -> Iterator[Run]:
    """Rows with NaN: one, and many."""
    yield made.with_files({"data/features.npz": {"x": _rows(1), "y": np.arange(300) % 3}})
    yield made.with_files({"data/features.npz": {"x": _rows(30), "y": np.arange(300) % 3}})


def healthy() -> Iterator[Run]:
    """Finite rows; depth maps of which each has holes."""
    yield made.with_files({"data/features.npz": {"x": _rows(0), "y": np.arange(300) % 3}})
    yield made.with_files(
        {f"data/scan_{i:03d}.npz": {"array": np.where(made.truth(20, 20, seed=i) > 1, np.nan, 1.0)} for i in range(30)}
    )
