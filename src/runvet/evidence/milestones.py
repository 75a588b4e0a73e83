"""What the user expects of a run at certain steps or epochs."""

from __future__ import annotations

from dataclasses import dataclass

from runvet.config import Config, Expected, parse
from runvet.evidence import Missing, provides
from runvet.run import Stage


@dataclass(frozen=True, slots=True)
class Milestones:
    """What is expected of the run, from runvet.toml and the run's own configuration; never empty."""

    expected: tuple[Expected, ...]


@provides
def milestones(stage: Stage, config: Config) -> Milestones | Missing:
    own = tuple(
        entry
        for setting in stage.settings
        if setting.key == "runvet.expected"
        for entry in parse({"expected": setting.value}, setting.source).expected
    )
    if config.expected or own:
        return Milestones((*config.expected, *own))
    return Missing(
        "no milestones are expected",
        "[[expected]] steps = [0, 1000], loss = [1.0, 3.0] in runvet.toml",
        applicable=False,
    )
