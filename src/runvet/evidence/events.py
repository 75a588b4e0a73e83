"""What the log says in words, and the plan of the run."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from runvet.evidence import Missing, provides
from runvet.evidence.settings import place_of
from runvet.run import Event, Run, Stage, number


@dataclass(frozen=True, slots=True)
class Events:
    """The events of a stage in the order of the log; may be empty where the log is a table of numbers."""

    events: tuple[Event, ...]

    def of(self, *kinds: str) -> tuple[Event, ...]:
        """The events of these kinds, in the order of the log."""
        return tuple(e for e in self.events if e.kind in kinds)


@dataclass(frozen=True, slots=True)
class ConsoleLog:
    """The events of a stage that has a console log (text that a program printed)."""

    events: tuple[Event, ...]

    def of(self, *kinds: str) -> tuple[Event, ...]:
        """The events of these kinds, in the order of the log."""
        return tuple(e for e in self.events if e.kind in kinds)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long the run was meant to be: steps and epochs, each with the place that says so, or None."""

    steps: float | None
    epochs: float | None
    source: str


@provides
def events(stage: Stage) -> Events:
    return Events(stage.events)


@provides
def console_log(stage: Stage) -> ConsoleLog | Missing:
    if any(log.reader == "text" for log in stage.logs):
        return ConsoleLog(stage.events)
    return Missing("no console log", "keep the program's output: python train.py 2>&1 | tee train.log")


@provides
def plan(stage: Stage) -> Plan | Missing:
    return plan_of(stage) or Missing("the planned length is unknown", "planned_steps = … in runvet.toml")


STEPS = ("planned_steps", "max_steps", "n_updates", "num_updates", "max_updates", "max_update", "max_iters", "max_iter", "total_steps",
         "num_steps", "train_steps", "total_iters", "max_train_steps", "num_train_steps", "num_training_steps",
         "num_iterations", "n_steps", "total_timesteps", "iterations", "train_iters", "total_iterations")  # fmt: skip
EPOCHS = ("planned_epochs", "max_epochs", "num_epochs", "epochs", "n_epochs", "num_train_epochs", "total_epochs",
          "train_epochs", "max_epoch", "nepochs", "nb_epochs", "end_epoch", "epoch_num", "total_epoch")  # fmt: skip


def plan_of(stage: Stage) -> Plan | None:
    """The plan from settings (configuration first), else from what the log itself counts to (`Epoch 3/100`).

    A number that the run has already passed counts something else (the steps of one evaluation) and is left out.
    """
    steps, step_source = _planned(stage, STEPS, "planned-steps", _reached(stage, "step"))
    epochs, epoch_source = _planned(stage, EPOCHS, "planned-epochs", _reached(stage, "epoch"))
    return None if steps is None and epochs is None else Plan(steps, epochs, step_source or epoch_source)


def _reached(stage: Stage, axis: str) -> float:
    """The last step or epoch of any series, 0 where none has the axis."""
    places = [getattr(s, axis) for s in stage.series]
    return max((float(known.max()) for p in places if len(known := p[np.isfinite(p)])), default=0.0)


def _planned(stage: Stage, names: tuple[str, ...], kind: str, reached: float) -> tuple[float | None, str]:
    setting = stage.setting(*names)
    value = setting.number if setting is not None else None
    if setting is not None and value is not None and _plausible(value, reached):
        return value, place_of(setting)
    for event in stage.events:
        value = number(event.value) if event.kind == kind else None
        if value is not None and _plausible(value, reached):
            return value, event.where
    return None, ""


def _plausible(planned: float, reached: float) -> bool:
    """Whether a number can be the plan of a run that came so far; infinity is no plan."""
    return math.isfinite(planned) and planned > 0 and planned >= reached - 1


@dataclass(frozen=True, slots=True)
class RunEvents:
    """The events of all stages of a run, with the run itself."""

    run: Run

    def of(self, *kinds: str) -> tuple[Event, ...]:
        """The events of these kinds over all stages."""
        return tuple(e for stage in self.run.stages for e in stage.events if e.kind in kinds)


@provides
def run_events(run: Run) -> RunEvents:
    return RunEvents(run)
