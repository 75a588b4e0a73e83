"""LOG105 dropped-steps."""

from __future__ import annotations

from collections.abc import Iterator

from runvet import examples
from runvet.evidence.events import ConsoleLog
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Stage, number


@rule("LOG105", "dropped-steps", level="warning", since="0.1")
def dropped_steps(log: ConsoleLog, stage: Stage, *, fewest: float = 10, share: float = 0.01) -> Sick | None:
    """The tracker threw points away.

    ## What it checks
    How often the log says that points were ignored because their step lies behind one already logged: at least ten
    points and one in a hundred. A few after a resume are expected and spared.
    ## Why it matters
    The curve in the tracker has holes that look like a run without trouble.
    ## What to do
    Continue the tracker's run from the step of the checkpoint (W&B: `resume_from` or `fork_from`), or log against an
    own step metric (`define_metric`).
    ## When to ignore it
    The same points stand in another log of this run.
    ## Known limits
    Only the console says so; the tracker's own files just lack the points.
    ## References
    - Failure reports: wandb/wandb#9449, wandb/wandb#5913.
    """
    found = log.of("tracker-dropped")
    dropped = sum(e.count for e in found)
    longest = max((s.total for s in stage.series), default=0)
    if dropped < fewest or dropped < share * longest:
        return None
    first = found[0]
    step = number(first.value)
    return Sick(
        f"the tracker dropped {dropped} points, the first at {first.where}: {first.text[:140]}",
        evidence=(
            Measure("points dropped", dropped, "points", first.where),
            Measure("points of the longest series", longest, "points"),
        ),
        since_step=first.step if step is None else step,
        innocent="a second writer logged the same steps, and nothing of value was lost",
        actions=(
            Action("Resume the tracker's run at the step of the checkpoint, or log against an own step metric", "code"),
        ),
    )


def sick() -> Iterator[Stage]:
    """A run resumed behind its tracker's last step."""
    lost = [
        examples.event("tracker-dropped", f"Tried to log to step {i} that is less than 249. Ignored.", line=i, value=i)
        for i in range(203, 249)
    ]
    yield examples.stage(console=True, train_loss=examples.decay(400), events=lost)


def healthy() -> Iterator[Stage]:
    """None lost, and the few of an overlap."""
    yield examples.stage(console=True, train_loss=examples.decay(400))
    few = [examples.event("tracker-dropped", f"step {i} < 249, ignored", line=i, value=i) for i in range(245, 249)]
    yield examples.stage(console=True, train_loss=examples.decay(400), events=few)
