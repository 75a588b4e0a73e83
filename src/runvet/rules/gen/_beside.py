"""The logged accuracy beside that of a model that answers background everywhere."""

from __future__ import annotations

from runvet.evidence.grids import GridSamples
from runvet.report import Measure
from runvet.rules._phrases import percent
from runvet.run import Stage

MOSTLY = 0.8  # share of background above which an accuracy over all cells says little


def background_share(grids: GridSamples) -> float:
    """The share of background cells in the data: the accuracy over all cells of answering background everywhere."""
    return sum(g.grid.size - g.filled for g in grids.data) / sum(g.grid.size for g in grids.data)


def trivial_accuracy(stage: Stage, grids: GridSamples) -> tuple[Measure, ...]:
    """The last logged accuracy and, beside it, that of the trivial answer; none where the data are not mostly background."""
    share = background_share(grids)
    series = [s for s in stage.role("val_accuracy", "accuracy", "train_accuracy") if len(s.finite())]
    if not series or grids.tokens or share < MOSTLY:
        return ()
    last = series[0].finite()
    told = f"answering background everywhere gets {share:.4g}: {percent(share)} of the data's cells are background"
    return (Measure(f"last {last.name}", float(f"{last.last:.6g}"), None, told),)
