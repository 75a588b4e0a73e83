"""What the log says in words, and the plan of the run."""

from __future__ import annotations

from dataclasses import dataclass

from runvet.evidence import Missing, provides
from runvet.run import Event, Run, Stage


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


STEPS = ("planned_steps", "max_steps", "n_updates", "num_updates", "max_updates", "max_iters", "max_iter", "total_steps",
         "num_steps", "train_steps", "total_iters", "max_train_steps", "num_train_steps", "num_training_steps",
         "num_iterations", "n_steps", "total_timesteps", "iterations", "train_iters", "total_iterations")  # fmt: skip
EPOCHS = ("planned_epochs", "max_epochs", "num_epochs", "epochs", "n_epochs", "num_train_epochs", "total_epochs",
          "train_epochs", "max_epoch", "nepochs", "nb_epochs", "end_epoch", "epoch_num", "total_epoch")  # fmt: skip


def plan_of(stage: Stage) -> Plan | None:
    """The plan from settings (configuration first), else from what the log itself counts to (`Epoch 3/100`)."""
    steps, epochs, source = None, None, ""
    for names in (STEPS, EPOCHS):
        setting = stage.setting(*names)
        if (
            setting is not None
            and isinstance(setting.value, (int, float))
            and not isinstance(setting.value, bool)
            and setting.value > 0
        ):
            if names is STEPS:
                steps = float(setting.value)
            else:
                epochs = float(setting.value)
            source = source or (f"{setting.key} in {setting.source}" + (f":{setting.line}" if setting.line else ""))
    for event in stage.events:
        if isinstance(event.value, (int, float)) and event.value > 0:
            if event.kind == "planned-steps" and steps is None:
                steps, source = float(event.value), source or event.where
            elif event.kind == "planned-epochs" and epochs is None:
                epochs, source = float(event.value), source or event.where
    return None if steps is None and epochs is None else Plan(steps, epochs, source)


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
