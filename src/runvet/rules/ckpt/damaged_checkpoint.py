"""CKPT102 damaged-checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

from runvet import examples
from runvet.evidence.checkpoints import Checkpoints
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules.ckpt._saves import keep, listed, milder, steps_of, table
from runvet.run import Run


@rule("CKPT102", "damaged-checkpoint", level="critical", since="0.1", explains=("CKPT107", "CKPT109", "CKPT112"))
def damaged_checkpoint(checkpoints: Checkpoints) -> Sick | Unsure | None:
    """A checkpoint is cut off or does not hold what its format promises.

    ## What it checks
    The structure of every file against its format: directories and headers, sizes of all storages, checksums of
    archives where values are read. A warning where it happened to a few only and the newest is whole. A file that
    changed less than a minute ago, or with a `.tmp` or `.lock` beside it, is taken for one that is being written.
    ## Why it matters
    It will not load, and mostly one learns that when one needs it.
    ## What to do
    Go back to a whole one. Write to a temporary name, flush to the disk, read back, and only then rename. Look for a
    full disk or a killed process at that time.
    ## When to ignore it
    A file of another kind that ends in `.pt` or `.ckpt`.
    ## Known limits
    Flipped bits within values of formats without checksums (safetensors) are not seen; a manifest shows them.
    ## References
    - Lightning-AI/pytorch-lightning#688, nerfstudio-project/nerfstudio#2202.
    """
    bad = checkpoints.having("damaged-checkpoint")
    if not bad:
        if checkpoints.writing:
            return Unsure(
                f"{listed(checkpoints.writing)} may still be being written and was not judged",
                "check again in a minute",
            )
        return None
    total = len(checkpoints.saves)
    reasons = {c.path: next(p.message for p in c.problems if p.name == "damaged-checkpoint") for c in bad}
    return Sick(
        f"{len(bad)} of {total} checkpoints {'are' if len(bad) > 1 else 'is'} damaged: {listed(bad, checkpoints.saves)}; {reasons[bad[-1].path]}",
        evidence=(
            Measure("damaged checkpoints", len(bad), f"of {total}"),
            *table(bad, "damage", lambda c: reasons[c.path]),
        ),
        since_step=steps_of(bad),
        innocent="a file of another kind with the suffix of a checkpoint",
        actions=(
            *keep(checkpoints, bad, "the newest checkpoint is damaged"),
            Action("Write checkpoints to a temporary name, flush, read back, then rename; look for a full disk or a kill", "a few lines", "repair"),
        ),
        level="warning" if milder(checkpoints, bad) else None,
    )  # fmt: skip


def sick() -> Iterator[Run]:
    """The newest cut off; an old one cut off."""
    stage = examples.stage(loss=examples.decay(1000))
    cut = examples.checkpoint(1000, {}, problems=("damaged-checkpoint",), size=700)
    yield examples.run(stage, checkpoints=[*examples.training((200, 400, 600, 800)), cut])
    old = examples.checkpoint(200, {}, problems=("damaged-checkpoint",), size=700)
    yield examples.run(stage, checkpoints=[old, *examples.training((400, 600, 800))])


def healthy() -> Iterator[Run]:
    """Whole files."""
    stage = examples.stage(loss=examples.decay(1000))
    yield examples.run(stage, checkpoints=examples.training((200, 400, 600)))
    yield examples.run(stage, checkpoints=examples.training((500,), scanned=False))
