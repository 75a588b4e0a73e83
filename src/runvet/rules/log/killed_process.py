"""LOG107 killed-process."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from runvet import examples
from runvet.evidence.events import ConsoleLog
from runvet.evidence.timeline import Timeline
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Event, Stage

MEMORY = re.compile(r"OutOfMemory|out of memory|\bOOM\b|oom-kill", re.IGNORECASE)
ORDERLY = re.compile(r"time limit|preempt|CANCELLED|SIGTERM|signal 15|^\s*Terminated\b|SIGINT|SIGHUP", re.IGNORECASE)


@rule("LOG107", "killed-process", level="critical", since="0.1")
def killed_process(log: ConsoleLog, timeline: Timeline, *, reached: float = 0.97) -> Iterator[Sick]:
    """The process was killed, crashed or ran out of memory.

    ## What it checks
    Lines such as `Killed`, `Segmentation fault`, `SIGKILL` and out-of-memory errors of host or accelerator, with what
    was trained after them. Critical where nothing was trained after the last one and the plan was not reached; a
    warning otherwise. Running out of memory that the same process survived, and launches that died before anything was
    trained and were put right, are spared.
    ## Why it matters
    A killed process writes no last checkpoint, and a save under way may be cut in half. Memory that was not enough
    once will not be enough again.
    ## What to do
    Check the newest checkpoint before resuming from it. Host memory: fewer data-loading workers, smaller caches.
    Accelerator memory: smaller batch with accumulation, checkpointed activations.
    ## When to ignore it
    Somebody ended the run on purpose. An orderly end (`Terminated`, a scheduler's time limit) is spared.
    ## Known limits
    The kernel's own message stands in the system log, not in the program's output.
    ## References
    - The out-of-memory killer of Linux: https://docs.kernel.org/mm/oom.html
    """
    # A kill is always final for its process: what follows it in the same file is a later launch.
    found = [e for e in log.events if _fatal(e) and (e.kind == "killed" or not timeline.survived(e))]
    found = [e for e in timeline.deaths(found) if not _put_right(e, timeline)]
    if not found:
        return
    last, deaths = found[-1], len(found)
    after = timeline.after(last) if timeline.knows(last) else 0
    done = timeline.done
    finished = any(timeline.launch(e) == timeline.launch(last) for e in log.of("finished") if e.source == last.source)
    unfinished = deaths > 1 if math.isnan(done) else done < reached
    critical = after == 0 and not finished and (unfinished or not timeline.lines)
    what = (
        f"{_name(last)} at {last.where}" if deaths == 1 else f"{deaths} deaths, the last {_name(last)} at {last.where}"
    )
    rest = f"{after} training lines came after it" if after else "nothing was trained after it"
    share = "" if math.isnan(done) else f"; {min(done, 1.0):.0%} of the plan was trained"
    yield Sick(
        f"{what}: {last.text[:100]}; {rest}{share}",
        evidence=(
            *(Measure(_name(e), e.text[:160], None, e.where) for e in found[-5:]),
            Measure("training lines after the last one", after, "lines"),
        ),
        since_step=last.step,
        innocent="somebody, or the scheduler's time limit, ended the process on purpose",
        actions=(
            Action(
                "Check the newest checkpoint before resuming from it: the kill may have cut its save",
                "a minute",
                "keep",
            ),
            Action(_remedy(last), "config", "change"),
        ),
        level="critical" if critical else "warning",
    )


def _fatal(event: Event) -> bool:
    if event.kind == "killed":
        return not ORDERLY.search(event.text)
    return event.kind == "out-of-memory" or (
        event.kind == "traceback" and MEMORY.search(f"{event.value} {event.text}") is not None
    )


def _put_right(event: Event, timeline: Timeline) -> bool:
    """Whether it happened before anything was trained, and a later launch trained."""
    return timeline.knows(event) and timeline.after(event) > 0 and not timeline.between(event.source, 0, event.line)


def _name(event: Event) -> str:
    if event.kind != "killed":
        return "out of memory"
    return "segmentation fault" if re.search(r"segm|SIGSEGV|core dumped|signal 11", event.text, re.I) else "killed"


def _remedy(event: Event) -> str:
    if event.kind != "killed":
        return "Lower the batch size and accumulate gradients, or recompute activations"
    if _name(event) == "segmentation fault":
        return "Run with PYTHONFAULTHANDLER=1 to see which library crashed"
    return "Ask the system log whether memory ran out; use fewer data-loading workers or smaller caches"


def sick() -> Iterator[Stage]:
    """Killed half-way, out of memory with nothing after, and killed twice with a restart between."""
    yield examples.stage(
        console=True,
        train_loss=examples.decay(300),
        settings={"max_steps": 1000},
        events=[examples.event("killed", "Killed", line=301)],
    )
    oom = examples.event("out-of-memory", "torch.OutOfMemoryError: CUDA out of memory.", line=301)
    yield examples.stage(console=True, train_loss=examples.decay(300), settings={"max_steps": 1000}, events=[oom])
    yield examples.stage(
        console=True,
        train_accuracy=examples.level(30, 11.5, noise=0.02),
        steps=[*range(26), *range(4)],
        events=[examples.event("killed", "Killed", line=27), examples.event("killed", "Killed", line=40)],
    )


def healthy() -> Iterator[Stage]:
    """A batch too large that was skipped, a scheduler's limit, and a quiet log."""
    skipped = examples.event("out-of-memory", "| WARNING: ran out of memory, skipping batch", line=150)
    yield examples.stage(console=True, train_loss=examples.decay(300), events=[skipped])
    limit = examples.event("killed", "slurmstepd: error: *** JOB 12 CANCELLED DUE TO TIME LIMIT ***", line=301)
    yield examples.stage(console=True, train_loss=examples.decay(300), events=[limit])
    yield examples.stage(console=True, train_loss=examples.decay(300))
