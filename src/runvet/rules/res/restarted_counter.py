"""RES109 restarted-counter."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.counters import CounterRestarts
from runvet.evidence.launches import same_schedule
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num, place, since, span
from runvet.run import FloatArray, Stage


@rule("RES109", "restarted-counter", level="warning", since="0.1", explains=("LR104", "LR105"))
def restarted_counter(counters: CounterRestarts) -> Sick | None:
    """A resumed run counts its steps from 0 again.

    ## What it checks
    Each place where steps (or epochs) begin anew while the training loss goes on at the level that had been reached:
    the weights were loaded, the counter was not. A finding needs a first part that had not reached its plan, and
    either a learning rate that runs through the same schedule from its beginning again or words of a resume in the
    log or the settings. A part with a schedule of its own, and one after a complete training, is a new phase.
    ## Why it matters
    Everything that depends on the step is off: the warm-up comes a second time, the decay comes late or never, the
    plan is exceeded, and checkpoints named after steps overwrite older ones.
    ## What to do
    Save the step with the model and load it with the scheduler and the optimiser; resume again from the checkpoint
    before the restart.
    ## When to ignore it
    The weights alone were taken over on purpose, to train once more.
    ## Known limits
    Needs a training loss that had clearly fallen before the restart.
    ## References
    - Failure reports: MaybeShewill-CV/CRNN_Tensorflow#208, ZFTurbo/Music-Source-Separation-Training#26,
      jcjohnson/torch-rnn#73.
    """
    if not counters.pairs:
        return None
    old, new = counters.pairs[0]
    axis, lead = old.part.axis, old.part
    several = f" ({len(counters.pairs)} such restarts)" if len(counters.pairs) > 1 else ""
    schedule = ", and the learning rate runs through its schedule from the beginning" if same_schedule(old, new) else ""
    final = counters.pairs[-1][1].end
    return Sick(
        f"{axis}s begin again at {num(new.begin)} after {place(axis, old.end)}, while {lead.name} goes on at"
        f" {num(new.first)} (it was {num(old.last)} before and {num(old.first)} at the very start){schedule}{several}:"
        f" {num(counters.uncounted)} {axis}s are no longer counted, {num(final + counters.uncounted)} were trained in all",
        evidence=(
            Measure(f"{lead.name} before the restart", old.last, None, old.part.where(-1)),
            Measure(f"{lead.name} after it", new.first, None, new.part.where(0)),
            Measure(f"{axis}s no longer counted", counters.uncounted, f"{axis}s"),
            *((Measure("told of a resume", "yes", None, counters.told),) if counters.told else ()),
        ),
        since_step=since(old.part, old.end),
        innocent="the weights alone were taken over on purpose, to train once more",
        actions=(
            Action(
                f"Load the step, the scheduler and the optimiser with the weights, and resume from {place(axis, old.end)}",
                f"{num(final - new.begin)} {axis}s again",
                "repair",
            ),
        ),
        window=span(new.part, new.begin, final),
    )


def _again(cut: int, more: int, *, lr: FloatArray | float, resume: bool = False, plan: int = 2000) -> Stage:
    """A loss that goes on at `cut` with steps that begin at 0."""
    told = [examples.event("resume", "resumed from step_1000.pt", line=cut)] if resume else []
    curve = examples.decay(cut + more, start=6.0, end=1.5)
    rate = np.full(cut + more, lr) if isinstance(lr, float) else lr
    return examples.stage(
        steps=[*range(cut), *range(more)], loss=curve, lr=rate, events=told, settings={"max_steps": plan}
    )


def sick() -> Iterator[Stage]:
    """A schedule that begins again, and a constant rate in a log that speaks of a resume."""
    full = examples.cosine(2000)
    yield _again(1000, 1500, lr=np.concatenate([full[:1000], full[:1500]]))
    yield _again(1000, 900, lr=1e-3, resume=True)


def healthy() -> Iterator[Stage]:
    """A second fold, a phase with its own schedule, one after a complete training, and a clean resume."""
    full = examples.cosine(2000)
    rate = np.concatenate([full[:1000], full[:1000]])
    fold = np.concatenate([examples.decay(1000), examples.decay(1000, seed=3)])
    plan = {"max_steps": 2000}
    yield examples.stage(steps=[*range(1000)] * 2, loss=fold, lr=rate, settings=plan)
    yield _again(1000, 1000, lr=np.concatenate([full[:1000], 0.1 * examples.cosine(1000)]))
    done = examples.cosine(1000)
    yield _again(1000, 1000, lr=np.concatenate([done, done]), plan=1000)
    yield examples.stage(
        steps=[*range(1000), *range(900, 2000)],
        loss=examples.decay(2100),
        lr=[*full[:1000], *full[900:]],
        settings=plan,
    )
