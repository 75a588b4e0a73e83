"""Which groups of samples and data belong to a stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runvet.artifacts.grouping import Group, groups, words
from runvet.artifacts.model import Artifacts
from runvet.evidence import Missing, provides
from runvet.run import Run, Stage

ARRAYS = (".npz", ".npy", ".h5", ".hdf5", ".schem", ".schematic", ".nbt")  # grids, stacks of pictures, numbers
GRIDS = (*ARRAYS, ".json")  # a JSON file may hold a grid as nested lists
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
SOUNDS = (".wav",)
TEXTS = (".txt", ".jsonl", ".parquet")


class Drawn:
    """When samples were drawn: the base of evidence with the fields `step` and `axis` (what the step counts)."""

    __slots__ = ()
    step: float | None
    axis: str

    @property
    def when(self) -> str:
        """`step 1,300`, or `the last samples` without a step."""
        return f"{self.axis} {self.step:,.0f}" if self.step is not None else "the last samples"

    @property
    def since(self) -> float | None:
        """The step for findings, None where epochs are counted."""
        return self.step if self.axis == "step" else None


@dataclass(frozen=True, slots=True)
class StageGroups:
    """The groups of one stage: what its model made, and the data of the run (those of its own folder first)."""

    artifacts: Artifacts
    samples: tuple[Group, ...]
    data: tuple[Group, ...]


@provides
def stage_groups(run: Run, stage: Stage) -> StageGroups | Missing:
    if run.artifacts is None:
        return Missing("no files beside the logs", applicable=False)
    kept = run.artifacts
    found = kept.memo("groups", lambda: groups(kept.items, (*GRIDS, *PICTURES, *SOUNDS, *TEXTS)))
    samples = tuple(g for g in found if g.what == "samples" and owner(g.name, run.stages) is stage)
    data = tuple(g for g in found if g.what == "data")
    if not samples and not data:
        return Missing(
            "no samples or data beside the logs",
            "keep a few samples of each evaluation below samples/step_N/",
            applicable=False,
        )
    return StageGroups(kept, samples, data)


def owner(folder: str, stages: Sequence[Stage]) -> Stage | None:
    """The stage whose name and folder a path shares most words with; the only one, or the last one where none fits."""
    if len(stages) <= 1:
        return stages[0] if stages else None
    parts = {w for part in folder.split("/") for w in words(part)}
    tails = ["/".join(words(s.name)) for s in stages]

    def fits(pair: tuple[Stage, str]) -> float:
        stage, tail = pair
        named = [w for w in tail.split("/") if w]
        score = len(parts & set(named)) / max(1, len(named))
        return score + (1.0 if stage.run and f"/{folder}/".find(f"/{stage.run}/") >= 0 else 0.0)

    best = max(zip(stages, tails, strict=True), key=fits)
    return best[0] if fits(best) > 0 else stages[-1]
