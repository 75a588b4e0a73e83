"""What lies beside the logs of a run: samples, data, predictions, and checkpoints."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from runvet.artifacts import finding
from runvet.artifacts.grouping import PREDICTION, SAMPLE, role, words
from runvet.checkpoints import reading
from runvet.run import Run, Stage


def beside(
    run: Run, root: Path, *, deep: bool | None = None, executor: Executor | None = None, cache: bool = True
) -> Run:
    """The run with its artifacts (opened when a rule asks) and its checkpoints.

    `deep`, `executor` and `cache` as in `checkpoints.reading.below`. A folder that holds checkpoints, samples or
    predictions and no log at all gets one stage without curves, so that they are judged; so does a folder of samples itself.
    """
    checkpoints = reading.below(root, deep=deep, executor=executor, cache=cache)
    stages = run.stages
    artifacts = finding.below(root)
    if not stages and (named := _samples(root)) and not any(_judgeable(i.name) for i in artifacts.items):
        artifacts = finding.below(root, named)
    if not stages and (checkpoints or any(_judgeable(i.name) for i in artifacts.items)):
        stages = (Stage(root.name or root.absolute().name or "run", "", ()),)
    return replace(run, artifacts=artifacts, checkpoints=checkpoints, stages=stages)


def _judgeable(name: str) -> bool:
    """Whether an artifact can be judged without any log: samples, and predictions kept with their truth."""
    return role(name) == "samples" or bool(PREDICTION & set(words(name.rpartition("/")[2].rpartition(".")[0])))


def _samples(root: Path) -> str:
    """The name by which a folder is one of samples (`samples`, `samples/step_100`); empty where it has none."""
    above, own = ("", *root.absolute().parts)[-2:]
    if SAMPLE & set(words(own)):
        return own
    return f"{above}/{own}" if SAMPLE & set(words(above)) else ""
