"""GEN122 constant-channel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.artifacts.model import Array, Artifacts, UnreadableError, evenly
from runvet.evidence.artifact_groups import ARRAYS, StageGroups
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.run import Run, Setting, Stage

ITEMS = 64  # files of the data that are read
CHANNELS = (
    "out_channels",
    "in_channels",
    "num_channels",
    "n_channels",
    "channels",
    "voxel_channels",
    "target_channels",
)


@rule("GEN122", "constant-channel", level="warning", since="0.1")
def constant_channel(found: StageGroups, stage: Stage, *, fewest: float = 10) -> Sick | Unsure | None:
    """A channel that the model learns to generate holds the same value in all data.

    ## What it checks
    Grids of the data with a last axis of 2 to 8 channels, where the configuration names that number of channels: a
    warning where one channel is one and the same value in all items, and another is not.
    ## Why it matters
    The constant channel is learnt within a few steps. The mean loss over channels is then lower by its share: such a
    loss cannot be compared with that of a model without it, and says less than it seems to about the others.
    ## What to do
    Leave the channel out, or log the loss of each channel by itself.
    ## When to ignore it
    The part of the data that is kept beside the run happens to be constant in it.
    ## Known limits
    At least ten items are needed.
    ## References
    - Metadata of blocks in classic Minecraft formats are 0 for most blocks.
    """
    declared = _declared(stage)
    group = next((g for g in found.data if g.entries[0].item.suffix in ARRAYS), None)
    if declared is None or group is None:
        return None
    number, setting = declared
    low, high, count, name = _spans(found.artifacts, group.entries, number)
    if count < fewest:
        return (
            Unsure(f"{count} items of the data have {number} channels", "keep more of the data beside the run")
            if count
            else None
        )
    dead = [c for c in range(number) if low[c] == high[c]]
    if not dead or len(dead) == number:
        return None
    value = low[dead[0]]
    return Sick(
        f"channel {dead[0]} of {number} is {value:g} in all cells of {count} items of the data: {len(dead)} of {number} parts of what is"
        f" predicted ({setting.key} = {number}) are known beforehand",
        evidence=(
            Measure("constant channels", len(dead), f"of {number}", name),
            Measure("their value", float(value)),
            Measure("items read", count),
            Measure("lowest and highest value of channel 0", f"{low[0]:g} to {high[0]:g}"),
        ),
        innocent="the items that are kept beside the run happen to be constant in it",
        actions=(Action(f"Train without channel {dead[0]}, or log the loss of each channel by itself before comparing losses", "a restart", "change"),),
    )  # fmt: skip


def _declared(stage: Stage) -> tuple[int, Setting] | None:
    for name in CHANNELS:
        found = stage.setting(name)
        if (
            found is not None
            and isinstance(found.value, int)
            and not isinstance(found.value, bool)
            and 2 <= found.value <= 8
        ):
            return found.value, found
    return None


def _spans(kept: Artifacts, entries: object, number: int) -> tuple[Array, Array, int, str]:
    """Lowest and highest value of each channel over the items whose last axis is as long; how many, and the first's name."""
    low, high = np.full(number, np.inf), np.full(number, -np.inf)
    count, first = 0, ""
    for entry in evenly(list(entries), ITEMS):  # type: ignore[call-overload]
        try:
            arrays = kept.read(entry.item).arrays
        except UnreadableError:
            continue
        for array in arrays.values():
            if array.ndim == 4 and array.shape[-1] == number and array.dtype.kind in "iufb":
                low = np.minimum(low, array.reshape(-1, number).min(axis=0))
                high = np.maximum(high, array.reshape(-1, number).max(axis=0))
                count += 1
                first = first or entry.item.name
    return low, high, count, first


def _two(seed: int, second: int | None) -> Array:
    tree = made.tree(seed)
    other = np.full_like(tree, second) if second is not None else (tree * 3) % 5
    return np.stack([tree, other], axis=-1)


def sick() -> Iterator[Run]:
    """A second channel of zeros, which the model predicts too."""
    data = made.grids("dataset", [_two(i, 0) for i in range(20)])
    yield made.with_files(data, settings={"model.out_channels": 2})


def healthy() -> Iterator[Run]:
    """A second channel that holds something; a constant one that the model does not predict."""
    yield made.with_files(made.grids("dataset", [_two(i, None) for i in range(20)]), settings={"model.out_channels": 2})
    yield made.with_files(made.grids("dataset", [_two(i, 0) for i in range(20)]), settings={"model.out_channels": 1})
