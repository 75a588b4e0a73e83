"""DATA110 fewer-items-than-batch."""

from __future__ import annotations

from collections.abc import Iterator

from runvet import examples
from runvet import examples_artifacts as made
from runvet.evidence.datasets import DataSets
from runvet.evidence.diversity import BATCH
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.run import Run, Stage


@rule("DATA110", "fewer-items-than-batch", level="warning", since="0.1")
def fewer_items_than_batch(data: DataSets, stage: Stage) -> Sick | Unsure | None:
    """The training data hold fewer items than one batch.

    ## What it checks
    The items of the largest data set that was read as a whole (its train split, where there is one) against the batch
    size of the configuration.
    ## Why it matters
    With `drop_last` an epoch has no batch at all and nothing is trained; without it every step sees all of the data.
    ## What to do
    Check the path of the data and what filters them; lower the batch size.
    ## When to ignore it
    The folder holds an excerpt of the data, or items are cut into many windows.
    ## Known limits
    Data sets of which only a part was read are not judged, nor stacks and recordings, which are cut into windows.
    ## References
    - `drop_last` in torch.utils.data.DataLoader.
    """
    told = stage.setting(*BATCH)
    batch = told.number if told is not None else None
    if told is None or batch is None or batch < 2:
        return Unsure("no batch size in the configuration", "keep the configuration beside the log")
    found = data.profiles[0]
    if found.read < found.files or found.kind not in ("pictures", "grids", "records") or found.unreadable:
        return Unsure(f"{found.name} was read in part", "")
    n = found.splits.get("train") or len(found.items)
    if n >= batch:
        return None
    return Sick(
        f"{n} training items in {found.name}, fewer than one batch of {told.value:,.0f} ({told.key} in {told.source})",
        evidence=(
            Measure("training items", n, "items", found.items[0].name),
            Measure(told.key, batch, "items a batch", told.source),
        ),
        innocent="the folder holds an excerpt of the data",
        actions=(Action("Print the length of the training loader and of its data set", "minutes", "measure"),),
    )


def sick() -> Iterator[Run]:
    """Twelve trees for batches of 64."""
    files = made.grids("dataset", [made.tree(i) for i in range(12)])
    yield made.with_files(files, settings={"batch_size": 64}, loss=examples.decay(300))


def healthy() -> Iterator[Run]:
    """More items than a batch."""
    files = made.grids("dataset", [made.tree(i) for i in range(40)])
    yield made.with_files(files, settings={"batch_size": 16}, loss=examples.decay(300))
