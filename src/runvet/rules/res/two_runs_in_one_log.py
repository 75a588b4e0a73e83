"""RES111 two-runs-in-one-log."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.launches import ANEW, Launch, Launches, begins_again, way_back
from runvet.evidence.nature import given
from runvet.evidence.settings import name_of
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num, place, since, span
from runvet.run import Stage

MOST = 3  # runs in one log; more are a search or folds
FIRST = 3  # points at the start that tell the learning rate
SEARCH = re.compile(
    r"fold|trial|sweep|search|seed|cross_?val|n_splits|repeat|round|ensemble|grid|bootstrap|subject|task|cv", re.I
)


@rule("RES111", "two-runs-in-one-log", level="warning", since="0.1")
def two_runs_in_one_log(stage: Stage, launches: Launches, *, other: float = 1.2) -> Sick | None:
    """Two trainings with different settings stand in one table.

    ## What it checks
    A table (CSV, JSON lines) in which steps or epochs begin again from the start, the training loss begins where it had
    begun, and the learning rate starts at another value (by more than `other` times): the logger appended to the file
    of an earlier run. Left alone: console logs, in which a new run shows itself; folds, trials and repeats (their columns or settings say so, or there are more than three),
    phases that go on with trained weights, restarts after a kill, and runs with equal rates.
    ## Why it matters
    Plots over steps mix the two, the best value may belong to the other run, and a table read to its end tells of the
    last run only.
    ## What to do
    Cut the file at the line named, and let each run write to a folder of its own.
    ## When to ignore it
    Both were meant to stand in one file.
    ## Known limits
    Two runs with the same learning rate cannot be told from folds. Each part is judged by itself in any case.
    ## References
    - Failure reports: amazonqa/amazonqa#1, DeepLabCut/DeepLabCut#3179.
    """
    texts = {log.source for log in stage.logs if log.reader == "text"}
    if len(launches.launches) > MOST or any(SEARCH.search(s.name) for s in stage.series if s.role is None):
        return None
    if any(SEARCH.search(name_of(s)) and "seed" not in name_of(s) and given(s.value) for s in stage.settings):
        return None
    for old, new in launches.pairs:
        if new.part.files[int(new.part.file[0])] not in texts and _another(old, new, other):
            return _report(launches, old, new)
    return None


def _another(old: Launch, new: Launch, other: float) -> bool:
    if old.part.files[int(old.part.file[0])] != new.part.files[int(new.part.file[0])]:
        return False
    if old.killed is not None or new.resumed is not None or old.rate is None or new.rate is None:
        return False
    gone = way_back(old, new)
    if not begins_again(old, new) or gone is None or gone <= ANEW:
        return False
    ratio = _start(new) / max(_start(old), 1e-300)
    return not 1 / other <= ratio <= other and float(new.rate.value.max()) != float(old.rate.value.max())


def _start(launch: Launch) -> float:
    """The learning rate over the first points, or 0."""
    return 0.0 if launch.rate is None else float(np.median(launch.rate.value[:FIRST]))


def _report(launches: Launches, old: Launch, new: Launch) -> Sick:
    axis, where = new.part.axis, new.part.where(0)
    name = old.rate.name if old.rate is not None else "lr"
    return Sick(
        f"{len(launches.launches)} trainings stand in {new.part.files[int(new.part.file[0])]}: {axis}s go back from"
        f" {num(old.end)} to {num(new.begin)} at {where}, where {name} goes from {num(_start(old))} to {num(_start(new))}"
        f" and {launches.series} from {num(old.last)} back to {num(new.first)}",
        evidence=(
            Measure(f"{launches.series} of the first training, at its end", old.last, None, old.part.where(-1)),
            Measure(f"{launches.series} of the second, at its start", new.first, None, where),
            Measure(f"{name} of the two", f"{num(_start(old))} and {num(_start(new))}", None, where),
        ),
        since_step=since(old.part, old.end),
        innocent="both were meant to stand in one file",
        actions=(
            Action(
                f"Cut the log before {where}, and let each run write to a folder of its own; read the best value from"
                f" the training it belongs to ({place(axis, new.end)} is the end of the last)",
                "minutes",
                "measure",
            ),
        ),
        window=span(new.part, new.begin, new.end),
    )


def _appended(rates: tuple[float, ...], n: int = 200, *, fold: bool = False, console: bool = False) -> Stage:
    """Trainings of `n` steps each that begin anew, with constant learning rates and perhaps a column of the fold."""
    loss = np.concatenate([examples.decay(n, seed=i) for i in range(len(rates))])
    steps = [*range(n)] * len(rates)
    lr = np.repeat(rates, n)
    if fold:
        return examples.stage(steps=steps, train_loss=loss, lr=lr, fold=np.repeat(np.arange(float(len(rates))), n))
    return examples.stage(steps=steps, train_loss=loss, lr=lr, console=console)


def sick() -> Iterator[Stage]:
    """Two rates in one file, also as epochs."""
    yield _appended((1e-3, 1e-2))
    yield _appended((3e-4, 1e-4), 40)


def healthy() -> Iterator[Stage]:
    """Folds with one rate, a search over rates, folds told by a column, a console log, and a second phase on trained
    weights.
    """
    yield _appended((1e-3, 1e-3))
    yield _appended((1e-3, 1e-2, 1e-4, 3e-4))
    yield _appended((1e-3, 1e-2), fold=True)
    yield _appended((1e-3, 1e-2), console=True)
    lr = np.repeat([1e-3, 1e-5], 200)
    yield examples.stage(steps=[*range(200)] * 2, train_loss=examples.decay(400), lr=lr)
