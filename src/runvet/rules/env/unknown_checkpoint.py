"""ENV111 unknown-checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from runvet import examples
from runvet.evidence.provenance import Origins
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Ignored, Run


@rule("ENV111", "unknown-checkpoint", level="warning", since="0.1")
def unknown_checkpoint(origins: Origins) -> Sick | None:
    """Samples or evaluations name a checkpoint that this run does not hold.

    ## What it checks
    The checkpoint that evaluation summaries and side-cars of samples name, against the names of the checkpoint files
    of the run (where there are some).
    ## Why it matters
    The numbers may be those of another run, or of weights that nobody can look at again.
    ## What to do
    Evaluate again from a checkpoint of this run, and write its path, step and hash beside the numbers.
    ## When to ignore it
    Older checkpoints are deleted as training goes on.
    ## Known limits
    Names are compared without their folders.
    ## References
    - Artifact and provenance tracking: Herschel et al. 2017, doi 10.1007/s00778-017-0486-1.
    """
    strange = [(file, told) for file, told in origins.named if told.rpartition("/")[2] not in origins.checkpoints]
    if not strange:
        return None
    file, told = strange[0]
    return Sick(
        f"{len(strange)} of {len(origins.named)} evaluations name a checkpoint that is not here: {file} says {told.rpartition('/')[2]}",
        evidence=(
            Measure("checkpoint named", told.rpartition("/")[2], None, file),
            Measure("checkpoints of the run", len(origins.checkpoints), "files"),
        ),
        innocent="older checkpoints are deleted as training goes on",
        actions=(Action(f"Evaluate again from a checkpoint of this run before using {file}", "minutes", "measure"),),
    )


def _run(named: str) -> Run:
    run = examples.run(
        examples.stage(loss=examples.decay(200)), files={"eval/summary.json": {"checkpoint": named, "fid": 9.0}}
    )
    return replace(run, ignored=tuple(Ignored(f"checkpoints/{n}", "checkpoint") for n in ("best.pt", "last.pt")))


def sick() -> Iterator[Run]:
    """A summary of other weights."""
    yield _run("other_run/epoch_3.pt")


def healthy() -> Iterator[Run]:
    """A summary of the run's best weights."""
    yield _run("/data/run/checkpoints/best.pt")
