"""What lies beside the logs of a run: samples, data, predictions, and checkpoints."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from runvet.artifacts import finding
from runvet.checkpoints import reading
from runvet.run import Run, Stage


def beside(
    run: Run, root: Path, *, deep: bool | None = None, executor: Executor | None = None, cache: bool = True
) -> Run:
    """The run with its artifacts (opened when a rule asks) and its checkpoints.

    `deep`, `executor` and `cache` as in `checkpoints.reading.below`. A folder that holds checkpoints and no log at
    all gets one stage without curves, so that they are judged.
    """
    checkpoints = reading.below(root, deep=deep, executor=executor, cache=cache)
    stages = run.stages
    if checkpoints and not stages:
        stages = (Stage(root.name or root.absolute().name or "run", "", ()),)
    return replace(run, artifacts=finding.below(root), checkpoints=checkpoints, stages=stages)
