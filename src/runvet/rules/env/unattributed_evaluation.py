"""ENV112 unattributed-evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from runvet import examples
from runvet.evidence.attributions import Attributions, Evaluation
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Run, Setting


@rule("ENV112", "unattributed-evaluation", level="warning", since="0.1")
def unattributed_evaluation(attributions: Attributions, *, most: float = 0.5) -> Iterator[Sick]:
    """Some evaluations do not say which weights or which code they come from, or name other code than the training.

    ## What it checks
    JSON files of evaluations. Where at least half of them name a checkpoint, a step or an epoch (in the file or by
    its name): those that name none. Where they name a commit: one that no process of the training recorded.
    ## Why it matters
    A number without its weights cannot be compared, repeated, or put on the curve; numbers by other code may be of
    another metric or preprocessing.
    ## What to do
    Write checkpoint, step and commit beside every number; evaluate those files again.
    ## When to ignore it
    The file sums up all others. The evaluation code moved on and nothing in it matters for the numbers.
    ## Known limits
    A run in which no evaluation names anything is left alone: nothing tells which file matters.
    ## References
    - Provenance: Herschel et al. 2017, doi 10.1007/s00778-017-0486-1.
    """
    files = attributions.evaluations
    known = [e for e in files if e.checkpoint or e.step]
    lost = [e for e in files if not (e.checkpoint or e.step or e.commit)]
    if len(files) >= 3 and lost and len(known) >= max(2, most * len(files)):
        yield _lost(lost, known)
    other = [
        e
        for e in files
        if e.commit and attributions.commits and not any(_same(e.commit, c) for c in attributions.commits)
    ]
    if other:
        yield _other(other, attributions.commits)


def _same(a: str, b: str) -> bool:
    return a.lower().startswith(b.lower()) or b.lower().startswith(a.lower())


def _lost(lost: list[Evaluation], known: list[Evaluation]) -> Sick:
    return Sick(
        f"{len(lost)} evaluations name neither checkpoint nor step, while {len(known)} do: {', '.join(e.name for e in lost[:3])}",
        (
            Measure("evaluations without an origin", len(lost), None, lost[0].name),
            Measure("evaluations with one", len(known), None, known[0].name),
        ),
        innocent="the file sums up the others",
        actions=(
            Action(
                f"Evaluate again with checkpoint and step written down before {lost[0].name} is used",
                "minutes",
                "measure",
            ),
        ),
    )


def _other(other: list[Evaluation], commits: tuple[str, ...]) -> Sick:
    return Sick(
        f"{len(other)} evaluations were made by commit {other[0].commit[:10]}, the training by {', '.join(c[:10] for c in commits[:3])}",
        (
            Measure("commit of the evaluation", other[0].commit, None, other[0].name),
            Measure("commits of the training", ", ".join(commits[:3])),
        ),
        innocent="nothing between the commits matters for the numbers",
        actions=(Action(f"Evaluate again with the code of {commits[-1][:10]}, and compare", "minutes", "measure"),),
    )


def _run(files: dict[str, Any], commit: str = "") -> Run:
    stage = examples.stage(loss=examples.decay(200))
    if commit:
        stage = replace(stage, settings=(Setting("git_commit", commit, "environment/env_0.json"),))
    return examples.run(stage, files=files)


def sick() -> Iterator[Run]:
    """One of four without an origin; another commit."""
    good = {f"eval/step_{i}000_metrics.json": {"rmse": 1.5 / i} for i in (1, 2, 3)}
    yield _run({**good, "eval/final_metrics.json": {"rmse": 0.11}})
    yield _run({"eval/metrics.json": {"rmse": 0.5, "checkpoint": "best.pt", "git_commit": "b" * 40}}, "a" * 40)


def healthy() -> Iterator[Run]:
    """All named; none named; the training's commit, shortened."""
    yield _run({f"eval/step_{i}000_metrics.json": {"rmse": 1.5 / i} for i in (1, 2, 3)})
    yield _run({f"eval/{n}_metrics.json": {"rmse": 1.5} for n in ("a", "b", "c")})
    yield _run({"eval/metrics.json": {"rmse": 0.5, "git_commit": "a" * 9}}, "a" * 40)
