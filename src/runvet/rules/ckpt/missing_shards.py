"""CKPT103 missing-shards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from runvet import examples
from runvet.checkpoints.model import Checkpoint
from runvet.checkpoints.problems import Problem
from runvet.evidence.checkpoints import Checkpoints
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules.ckpt._saves import keep, listed, milder, steps_of, table
from runvet.run import Run


@rule("CKPT103", "missing-shards", level="critical", since="0.1", explains=("CKPT107", "CKPT109", "CKPT112"))
def missing_shards(checkpoints: Checkpoints) -> Sick | Unsure | None:
    """Files of a sharded checkpoint are missing.

    ## What it checks
    Which files an index names, and which numbers the names promise (`model-00001-of-00003`, `rank_3_world_size_8`),
    against those that are there. A warning where it happened to a few only and the newest is complete.
    ## Why it matters
    The checkpoint cannot be loaded, or loads with random weights where parts are missing.
    ## What to do
    Collect the missing files: each node may have written to its own local disk. Wait for all ranks before the job
    ends. Count the files after every save.
    ## When to ignore it
    Only some of the files were copied here.
    ## Known limits
    Ranks without a count in the names are counted up to the highest number that is there.
    ## References
    - verl-project/verl#625, bghira/SimpleTuner#1880.
    """
    bad = checkpoints.having("missing-shards")
    if not bad:
        if any(p.name == "missing-shards" for c in checkpoints.writing for p in c.problems):
            return Unsure(
                f"{listed(checkpoints.writing)} may still be being written and was not judged",
                "check again in a minute",
            )
        return None
    total = len(checkpoints.saves)
    reasons = {c.path: next(p.message for p in c.problems if p.name == "missing-shards") for c in bad}
    return Sick(
        f"{len(bad)} of {total} checkpoints {'lack' if len(bad) > 1 else 'lacks'} files ({listed(bad, checkpoints.saves)}): {reasons[bad[-1].path]}",
        evidence=(
            Measure("incomplete checkpoints", len(bad), f"of {total}"),
            *table(bad, "missing", lambda c: reasons[c.path]),
        ),
        since_step=steps_of(bad),
        innocent="only some of the files were copied here",
        actions=(
            *keep(checkpoints, bad, "the newest checkpoint lacks files"),
            Action("Collect the missing files from the disks of all nodes; let every rank wait until all have written", "minutes", "repair"),
        ),
        level="warning" if milder(checkpoints, bad) else None,
    )  # fmt: skip


def _lacking(step: int) -> Checkpoint:
    files = {
        f"model-0000{i}-of-00003.safetensors": examples.checkpoint_weights(i, layers=(f"layer.{i}",)) for i in (1, 3)
    }
    made = examples.checkpoint(step, parts=files, path="checkpoint-{step}")
    return replace(
        made, problems=(Problem("missing-shards", "1 of 3 files are missing: model-00002-of-00003.safetensors"),)
    )


def sick() -> Iterator[Run]:
    """One of three files missing."""
    yield examples.run(examples.stage(loss=examples.decay(1000)), checkpoints=[_lacking(500), _lacking(1000)])


def healthy() -> Iterator[Run]:
    """All files there; single files."""
    stage = examples.stage(loss=examples.decay(1000))
    files = {
        f"model-0000{i}-of-00002.safetensors": examples.checkpoint_weights(i, layers=(f"layer.{i}",)) for i in (1, 2)
    }
    yield examples.run(stage, checkpoints=[examples.checkpoint(500, parts=files, path="checkpoint-{step}")])
    yield examples.run(stage, checkpoints=examples.training((500, 1000)))
