"""LOG103 traceback."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from runvet import examples
from runvet.evidence.events import ConsoleLog
from runvet.evidence.timeline import Timeline
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Event, Stage

# A person or a scheduler ended the process, or it tidied up: no failure of the program.
ENDED_BY_HAND = frozenset({"KeyboardInterrupt", "SystemExit", "GeneratorExit", "BdbQuit", "Abort"})
TEARDOWN = frozenset(
    {"BrokenPipeError", "ConnectionResetError", "EOFError", "ConnectionRefusedError", "ChildProcessError"}
)
# Trackers and hubs that could not be reached; training does not need them.
NETWORK = re.compile(r"connect|timeout|http|ssl|url|request|comm|network|wandb|proxy|grpc|rpc", re.IGNORECASE)
# Exceptions that a program caught are its own affair until there are many of them.
CAUGHT, CAUGHT_SHARE = 5, 0.01
EARLIEST_STOP = 0.3  # share of the plan after which a program that says it is finished is believed
# Told by LOG107 killed-process.
MEMORY = re.compile(r"OutOfMemory|out of memory", re.IGNORECASE)
# A compiler that falls back to eager mode prints the traceback of what it could not compile.
FALLBACK = re.compile(
    r"_dynamo|_inductor|WON'T CONVERT|BackendCompilerFailed|Exception ignored in|can only test a child process"
    r"|sys\.meta_path is None|(?:interpreter|at) shutdown|__del__",
    re.IGNORECASE,
)


@rule("LOG103", "traceback", level="critical", since="0.1")
def traceback(log: ConsoleLog, timeline: Timeline, *, reached: float = 0.97, repeats: float = 3) -> Iterator[Sick]:
    """The program died of an exception.

    ## What it checks
    Exceptions in the console log, with what the same process and later ones trained after them. Critical where
    nothing was trained after the last one and the plan was not reached, or where no process trained at all, or
    where several launches died so. A warning where training went on after it, or where the plan is unknown or
    reached. Spared are interrupts by hand, tear-down of workers, compilers that fall back, a few exceptions that the
    same process survived, and launches that failed before anything was trained and were put right. Running out of
    memory is `killed-process`.
    ## Why it matters
    Whatever the curve looks like, what should have come after (more steps, the evaluation, the last save) is missing.
    ## What to do
    Fix what the last line names, start again from the last complete checkpoint.
    ## When to ignore it
    The exception came after the result was saved.
    ## Known limits
    A log that ends before the exception was written shows nothing: see the planned and the last step.
    ## References
    - The exceptions of Python: https://docs.python.org/3/library/exceptions.html
    """
    deaths = timeline.deaths([e for e in log.of("traceback") if not _by_design(e)])
    caught = sum(timeline.knows(e) and timeline.survived(e) for e in deaths)
    failures = [e for e in deaths if not _put_right(e, timeline, caught)]
    if not failures:
        return
    last, done = failures[-1], timeline.done
    after = timeline.after(last) if timeline.knows(last) else 0
    trained = any(len(lines) for lines in timeline.lines.values())
    critical = after == 0 and (not trained or _unfinished(log, timeline, last, reached, known=len(deaths) < repeats))
    yield Sick(
        _message(deaths, last, timeline.before(last), after, done, trained),
        evidence=(
            *(Measure(_type(e), e.text[:160], None, e.where) for e in _distinct(deaths)[:5]),
            Measure("training lines after the last exception", after, "lines"),
            *(() if math.isnan(done) else (Measure("share of the plan that was trained", round(min(done, 1.0), 4)),)),
        ),
        since_step=last.step,
        innocent="the exception was raised on purpose, or after everything of value had been saved",
        actions=(
            Action(f"Fix {_type(last)} ({last.where}): {last.text[:120]}", "code", "repair"),
            *((Action("Start again from the last complete checkpoint", "a restart", "repair"),) if critical else ()),
        ),
        level="critical" if critical else "warning",
    )


def _by_design(event: Event) -> bool:
    kind = _type(event)
    said = f"{event.value} {event.text}"
    return kind in ENDED_BY_HAND or kind in TEARDOWN or bool(MEMORY.search(said) or FALLBACK.search(said))


def _put_right(event: Event, timeline: Timeline, caught: int) -> bool:
    """Whether training began only after it, or the same process went on and it is one of few."""
    if not timeline.knows(event) or not timeline.after(event):
        return False
    if not timeline.between(event.source, 0, event.line):
        return True
    few = caught < max(CAUGHT, CAUGHT_SHARE * len(timeline.lines[event.source]))
    return timeline.survived(event) and (few or NETWORK.search(_type(event)) is not None)


def _unfinished(log: ConsoleLog, timeline: Timeline, last: Event, reached: float, *, known: bool) -> bool:
    """Whether the run ended before its plan; where the plan is not known, `known` says to stay careful."""
    ended = any(timeline.launch(e) == timeline.launch(last) for e in log.of("finished") if e.source == last.source)
    if math.isnan(timeline.done):
        return not known and not ended
    # Some programs say how long they trained even where an exception ended it; early stopping comes later than that.
    return timeline.done < (EARLIEST_STOP if ended else reached)


def _type(event: Event) -> str:
    name = event.value if isinstance(event.value, str) and event.value else event.text.split(":")[0]
    return name.rsplit(".", 1)[-1].strip()[:60] or "exception"


def _distinct(deaths: Sequence[Event]) -> list[Event]:
    """The last failure first, then one of each other kind."""
    seen: dict[tuple[str, str], Event] = {}
    for event in reversed(deaths):
        seen.setdefault((_type(event), event.text[:80]), event)
    return list(seen.values())


def _message(deaths: Sequence[Event], last: Event, before: int, after: int, done: float, trained: bool) -> str:
    head = f"{_type(last)} at {last.where}"
    if len(deaths) > 1:
        kinds = sorted({_type(e) for e in deaths})
        head = f"{len(deaths)} launches died of an exception ({', '.join(kinds[:4])}), the last at {last.where}"
    if after:
        return f"{head}; {after} training lines came after it"
    if not trained:
        return f"{head}; no training line stands in this log"
    share = "" if math.isnan(done) else f" and {min(done, 1.0):.0%} of the plan"
    return f"{head}, after {before} training lines of that launch{share}; nothing was trained after it"


def _died(text: str, line: int) -> Event:
    return examples.event("traceback", text, line=line, value=text.partition(":")[0])


def sick() -> Iterator[Stage]:
    """A run that dies half-way, several launches that die, and one that was started again after its exception."""
    death = _died("ValueError: too many dimensions 'Boxes'", 501)
    yield examples.stage(console=True, train_loss=examples.decay(500), settings={"max_steps": 1000}, events=[death])
    yield examples.stage(
        console=True,
        train_loss=examples.decay(60),
        events=[
            _died("AssertionError: empty", 100),
            _died("KeyError: 'image'", 200),
            _died("AssertionError: empty", 300),
        ],
    )
    early = _died("FileNotFoundError: data.h5", 20)
    yield examples.stage(
        console=True,
        steps=[*range(20), *range(480)],
        train_loss=examples.decay(500),
        events=[early],
    )


def healthy() -> Iterator[Stage]:
    """Stopped by hand after the plan, a compiler's fallback, a worker's failure that training survived."""
    yield examples.stage(console=True, train_loss=examples.decay(500), events=[_died("KeyboardInterrupt", 501)])
    yield examples.stage(
        console=True,
        train_loss=examples.decay(500),
        events=[_died("torch._dynamo.exc.BackendCompilerFailed: backend='inductor' raised", 3)],
    )
    yield examples.stage(
        console=True, train_loss=examples.decay(500), events=[_died("TimeoutError: upload failed", 250)]
    )
    yield examples.stage(console=True, train_loss=examples.decay(500))
