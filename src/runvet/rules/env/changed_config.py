"""ENV103 changed-config."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from runvet import examples
from runvet.evidence.config_changes import Changed, ConfigChanges
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import place, since
from runvet.run import Plain, Setting, Stage


@rule("ENV103", "changed-config", level="warning", since="0.1")
def changed_config(changes: ConfigChanges) -> Sick | None:
    """The run went on with another configuration than it began with.

    ## What it checks
    Settings that make it another training (learning rate, batch, optimiser, loss, data, sizes of the model,
    precision …) where two processes of one resumed training both told them, in two files (or folders) whose names differ
    in numbers only: `config_1.yaml` and `config_2.yaml`, two logs, two Hydra folders.
    ## Why it matters
    The curve is then that of two trainings: a jump, a slope or a gap at the seam is no property of the model, and the
    run cannot be repeated from either file.
    ## What to do
    Resume with the configuration that the checkpoint was trained with, or start a new run from its weights and say so.
    ## When to ignore it
    The change is meant, such as a longer plan or a lower learning rate to end with.
    ## Known limits
    Needs a file of each process: of settings printed twice in one log only the last are known.
    ## References
    - Provenance of runs: Herschel et al. 2017, doi 10.1007/s00778-017-0486-1.
    """
    if not changes.changed:
        return None
    at = place(changes.joint.axis, changes.joint.start)
    first = changes.changed[0]
    shown = ", ".join(f"{c.key} {_short(c.before)} -> {_short(c.after)}" for c in changes.changed[:4])
    return Sick(
        f"{len(changes.changed)} of {changes.compared} settings changed at the restart at {at}: {shown}",
        evidence=tuple(m for c in changes.changed[:4] for m in _both(c)),
        since_step=since(changes.joint.lead, changes.joint.start),
        innocent="the change is meant, such as a lower learning rate to end with",
        actions=(Action(f"Resume at {at} with {first.key} {_short(first.before)}, or call what follows another run", "a restart", "repair"),),
    )  # fmt: skip


def _short(setting: Setting) -> str:
    return str(setting.value)[:40]


def _both(change: Changed) -> tuple[Measure, Measure]:
    return tuple(  # type: ignore[return-value]
        Measure(f"{change.key} {when}", _short(s), None, s.where)
        for when, s in (("before", change.before), ("after", change.after))
    )


def _stage(first: dict[str, Plain], second: dict[str, Plain], names: tuple[str, str]) -> Stage:
    steps = [*range(600), *range(500, 1200)]
    made = examples.stage(steps=steps, train_loss=np.concatenate([examples.decay(600), examples.decay(1200)[500:]]))
    told = [Setting(k, v, name) for name, values in zip(names, (first, second), strict=True) for k, v in values.items()]
    return replace(made, settings=tuple(told))


def sick() -> Iterator[Stage]:
    """Another learning rate and loss; another batch."""
    names = ("config_20251201.yaml", "config_20251202.yaml")
    yield _stage({"train.lr": 1e-4, "loss": "l1"}, {"train.lr": 1e-3, "loss": "huber"}, names)
    yield _stage(
        {"batch_size": 8, "seed": 1}, {"batch_size": 10, "seed": 1}, ("runs/1/config.yaml", "runs/2/config.yaml")
    )


def healthy() -> Iterator[Stage]:
    """The same again, written otherwise; another seed, path and plan."""
    names = ("config_20251201.yaml", "config_20251202.yaml")
    yield _stage({"train.lr": 1e-4, "loss": "L1"}, {"train.lr": 0.0001, "loss": "l1"}, names)
    yield _stage({"lr": 1e-4, "seed": 1, "epochs": 9}, {"lr": 1e-4, "seed": 2, "epochs": 19}, names)
