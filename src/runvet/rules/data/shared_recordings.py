"""DATA111 shared-recordings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runvet import examples_artifacts as made
from runvet.evidence.split_lists import SplitGroups, SplitLists
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import percent
from runvet.run import Run


@rule("DATA111", "shared-recordings", level="warning", since="0.1")
def shared_recordings(lists: SplitLists, *, some: float = 0.2, fewest: float = 5, length: float = 2) -> Iterator[Sick]:
    """Held-out samples come from recordings that are also trained on.

    ## What it checks
    Lists of samples by split (`split/train.txt`, `split/val.txt`, or a column `split`) with the recording of each
    (`recording`, `scene`, `batch_id`, `sequence`, `video` …): told where one held-out sample in five belongs to a
    recording of the training set, and recordings hold two samples and more.
    ## Why it matters
    Neighbouring pictures of one drive or film are nearly the same. A model that remembers the one does well on the
    other: the held-out number is too good, best checkpoints are chosen by memory, and a new place is a surprise.
    ## What to do
    Divide recordings, not samples; then validate again.
    ## When to ignore it
    Later parts of the same recordings are held out on purpose (forecasting), or the model is meant for these only.
    ## Known limits
    The recordings have to be told; without them see `split-overlap`.
    ## References
    - Kapoor, Narayanan 2023, doi 10.1016/j.patter.2023.100804. Measured: a split of frames at 2 Hz leaves 97 % of the
      held-out ones with a training neighbour within half a second.
    """
    for one in lists.all:
        trained = set(one.recordings["train"])
        for split, of in one.recordings.items():
            if split == "train" or len(of) < fewest or len(one.recordings["train"]) < length * len(trained):
                continue
            inside = sum(recording in trained for recording in of)
            if inside >= some * len(of) and inside >= fewest and len(trained) > 1:
                yield _report(one, split, inside)


def _report(one: SplitGroups, split: str, inside: int) -> Sick:
    of, trained = one.recordings[split], set(one.recordings["train"])
    first = next(recording for recording in of if recording in trained)
    return Sick(
        f"{inside} of {len(of)} {split} samples ({percent(inside / len(of))}) are from recordings that are trained on as well ({one.key} in {one.where})",
        (
            Measure(f"{split} samples of recordings in train", inside, f"of {len(of)}", one.where),
            Measure(f"recordings in train and {split}", len(trained & set(of)), f"of {len(set(of))}"),
            Measure("the first of them", first, None, one.key),
        ),
        innocent="later parts of the same recordings are held out on purpose",
        actions=(
            Action(f"Divide by {one.key} instead of by sample, and validate again", "a restart", "repair"),
        ),
    )  # fmt: skip


def _table(per: int, held: str) -> dict[str, Any]:
    """A table of 20 recordings with `per` samples each; every sixth recording or every sixth sample is held out."""
    rows = [{"id": f"{i:05d}", "recording": f"drive-{i // per}", "speed": 3.0 + i % 7} for i in range(20 * per)]
    size = per if held == "recording" else 1
    lists = {
        s: "\n".join(str(r["id"]) for i, r in enumerate(rows) if (i // size % 6 == 0) == (s == "val"))
        for s in ("train", "val")
    }
    return {"data/samples.jsonl": rows, **{f"data/split/{s}.txt": text for s, text in lists.items()}}


def sick() -> Iterator[Run]:
    """Every sixth picture of all drives; the same told by a column."""
    yield made.with_files(_table(12, "sample"))
    rows = [{"id": i, "scene": f"s{i // 10}", "split": "val" if i % 5 == 0 else "train"} for i in range(200)]
    yield made.with_files({"data/index.json": rows})


def healthy() -> Iterator[Run]:
    """Every sixth drive; recordings of one sample each."""
    yield made.with_files(_table(12, "recording"))
    yield made.with_files(_table(1, "sample"))
