"""DATA112 validates-on-training-data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss, ValLoss
from runvet.evidence.data_places import DataPlaces
from runvet.evidence.settings import place_of
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num
from runvet.run import Series, Stage

HELD = {"val": "validation", "test": "test"}


@rule("DATA112", "validates-on-training-data", level="critical", since="0.1", explains=("LOSS115",))
def validates_on_training_data(
    places: DataPlaces, stage: Stage, loss: TrainLoss | None, held_out: ValLoss | None, *, apart: float = 1.5
) -> Sick | Unsure | None:
    """The configuration names the training data as the validation data, too.

    ## What it checks
    Paths, files and names of splits that the settings tell for training and for validation or test under keys that
    differ in that word alone (`data.train` and `data.val`, `train_file` and `validation_file`). Critical where both are
    the same and are named as training's own (`data/train`, `train.csv`, the split `train`); a warning where both are the
    same table of another name. Silent where anything else of the two sections differs, where a fraction, a fold or a
    part is set, in runs that say they are a trial, and where the held-out loss lies far above the training loss.
    ## Why it matters
    The held-out number then tells how well the model remembers, not how well it will do.
    ## What to do
    Name the held-out data, and evaluate the saved checkpoints again on them.
    ## When to ignore it
    The run only proves that a model can learn some data by heart.
    ## Known limits
    Folders that are not named as training's are left alone: data sets hold their splits inside.
    ## References
    - Kapoor and Narayanan 2023, Leakage and the reproducibility crisis, doi 10.1016/j.patter.2023.100804.
    """
    if not places.shared:
        return None
    held = [s for s in stage.series if s.split in ("val", "test") and len(s)]
    if not held:
        return Unsure("nothing is logged for held-out data", "log the loss of held-out data")
    if places.apart:
        return Unsure(f"the same data are named for training and validation, beside {places.apart}", "")
    if loss is not None and held_out is not None:
        own, other = _level(loss.lead), _level(held_out.lead)
        if own > 0 and other > apart * own:
            return Unsure(f"{held_out.lead.name} {num(other)} lies far above {loss.lead.name} {num(own)}", "")
    found = next((p for p in places.shared if p.sure), places.shared[0])
    told = found.train.value
    value = ", ".join(map(str, told)) if isinstance(told, list) else told
    return Sick(
        f"{HELD[found.split]} runs on the training data: {found.train.key} and {found.held.key} are both {value}",
        evidence=(
            Measure(found.train.key, str(value), None, found.train.where),
            Measure(found.held.key, str(found.held.value), None, found.held.where),
            Measure(f"last {held[0].name}", held[0].last, None, held[0].where(len(held[0]) - 1)),
        ),
        innocent="the code takes different parts of the same place for the two",
        actions=(
            Action(f"Set {place_of(found.held)} to held-out data and evaluate the last checkpoint on them", "minutes", "measure"),
        ),
        level=None if found.sure else "warning",
    )  # fmt: skip


def _level(series: Series) -> float:
    """The median of the last quarter."""
    value = series.finite().value
    return float(np.median(value[-max(1, len(value) // 4) :])) if len(value) else 0.0


def _stage(settings: dict[str, Any], above: float = 0.02) -> Stage:
    curve = examples.decay(200, noise=0.01)
    return examples.stage(loss=curve, val_loss=curve[9::10] + above, settings=settings)


def sick() -> Iterator[Stage]:
    """One folder, one file, one split and one table for both."""
    yield _stage({"data.train": "data/train", "data.val": "data/train/"})
    yield _stage({"train_file": "corpus/train.jsonl", "validation_file": "corpus/train.jsonl"})
    yield _stage({"dataset_name": "imdb", "dataset_train_split": "train", "dataset_eval_split": "train"})
    yield _stage({"train_csv": "tables/houses.csv", "val_csv": "tables/houses.csv"})


def healthy() -> Iterator[Stage]:
    """Places apart; one folder with splits inside; one file cut by a fraction; a section that differs elsewhere."""
    yield _stage({"data.train": "data/train", "data.val": "data/val"})
    yield _stage({"data.train.root": "data/cifar10", "data.val.root": "data/cifar10"})
    yield _stage({"data.train.path": "data/train.h5", "data.train.split": "a", "data.val.path": "data/train.h5", "data.val.split": "b"})  # fmt: skip
    yield _stage({"train_dataset": "train.csv", "eval_dataset": "dev.csv", "train_transform": "flip", "eval_transform": "flip"})  # fmt: skip
