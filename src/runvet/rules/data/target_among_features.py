"""DATA114 target-among-features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.target_copies import TargetCopies
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Run


@rule("DATA114", "target-among-features", level="critical", since="0.1", explains=("LOSS115", "PAR114"))
def target_among_features(copies: TargetCopies) -> Iterator[Sick]:
    """A column of the inputs is the target in another form.

    ## What it checks
    Tables of training data with a target (`x` and `y` of an npz file; a column called label, target, y, class, or what the
    settings name) of at least 100 rows: features that hold a narrow range of their own for each class, ten times its
    spread apart; or that are a straight line of a continuous target but for rounding, or rise or fall with it in every
    row. Critical where the feature surely is an input: a column of `x`, or one of the features that the settings list;
    a warning in a table whose features are not told.
    ## Why it matters
    The model reads the answer off: it scores almost perfectly, and fails where the column is not known beforehand.
    ## What to do
    Drop the column and everything else that is known only after the answer; train again.
    ## When to ignore it
    The code leaves that column out, or it is truly known before the answer.
    ## Known limits
    Columns whose names say that they are another form of a class (id, code, one-hot), a weight or a prediction are left out,
    and tables of which a third of the columns tell the target, or that have fewer than three. Texts are not compared.
    ## References
    - Kaufman et al. 2012, Leakage in data mining, doi 10.1145/2382577.2382579.
    """
    done: set[tuple[str, str]] = set()
    for one in copies.found:
        if (one.feature, one.target) in done:
            continue
        done.add((one.feature, one.target))
        yield Sick(
            f"{one.feature} tells {one.target} in all {one.rows:,} rows of {one.where}: {one.how}",
            evidence=(
                Measure("rows in which the feature tells the target", one.rows, f"of {one.rows}", one.where),
                Measure("features of the table", one.columns),
                Measure("how", one.how),
            ),
            innocent="the code leaves this column out"
            if not one.chosen
            else "the column is known before the answer is",
            actions=(Action(f"Train without {one.feature} and compare the held-out metric", "a restart", "repair"),),
            level=None if one.chosen else "warning",
        )


def _table(seed: int, *, leak: bool, continuous: bool = False) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((200, 8)).astype(np.float32)
    y = rng.standard_normal(200) if continuous else rng.integers(0, 3, 200)
    x[:, :2] += 0.7 * y[:, None]
    if leak:
        x[:, 5] = np.exp(y) if continuous else 2 * y - 1 + 0.01 * rng.standard_normal(200)
    return {"data/train.npz": {"x": x, "y": y}}


def sick() -> Iterator[Run]:
    """A class with a little noise, and the exponential of a continuous target, among the inputs."""
    yield made.with_files(_table(0, leak=True))
    yield made.with_files(_table(1, leak=True, continuous=True))


def healthy() -> Iterator[Run]:
    """Features that tell something about the target; two blobs that all features keep apart."""
    yield made.with_files(_table(2, leak=False))
    yield made.with_files(_table(3, leak=False, continuous=True))
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 200)
    yield made.with_files({"data/train.npz": {"x": rng.standard_normal((200, 4)) + 60.0 * y[:, None], "y": y}})
