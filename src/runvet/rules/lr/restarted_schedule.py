"""LR106 restarted-schedule."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import LearningRate, TrainLoss
from runvet.evidence.launches import told_of_resume
from runvet.evidence.nature import given
from runvet.evidence.settings import name_of
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num, place, since, span
from runvet.run import FloatArray, Series, Stage
from runvet.statistics.schedule import StartedOver, started_over

MOST = 4  # restarts; a schedule that starts over more often was written that way
WIDTH = 5  # points of the loss whose median is its level
BACK = 0.5  # of the way back to the first loss: a model that is so far back was set up anew
CYCLIC = re.compile(r"restart|cyclic|sgdr|relora|snapshot", re.IGNORECASE)
CYCLES = frozenset({"t_0", "t_mult", "num_cycles", "cycle_mult", "cycle_limit", "lr_cycle_limit", "cycle_length"})
ANY = re.compile("")  # whatever a line of a resume says
RESUME = re.compile(r"^(?:auto_?)?resume|^ckpt_path$|^restore_from$|^load_checkpoint$")
# A curve of one of these, at the same point another level: a new part of the training begins, with its own schedule.
PARTS = re.compile(
    r"phase|stage|fold|task|round|trial|cycle|curricul|unfre|freez|trainable|level|resol|size|len(?:gth)?\b|domain",
    re.I,
)


@rule("LR106", "restarted-schedule", level="warning", since="0.1", explains=("LR104", "LR105"))
def restarted_schedule(
    stage: Stage, rates: LearningRate, loss: TrainLoss | None, *, most: float = MOST, back: float = BACK
) -> Sick | None:
    """The schedule starts over in the middle of its decay, though steps go on and no restart can be seen.

    ## What it checks
    Every uninterrupted part of a learning rate: a place at which it repeats its own beginning point by point (the
    warm-up to the same peak, or the fall from the peak where there is no warm-up) although it had not come down to its
    end and was not about to. A planned cycle ends where the rate stands still; a resumed run whose scheduler was not
    restored stops anywhere. Where the rate was constant before, the settings or the log must speak of a resume. Left
    alone: schedules whose settings speak of cycles or restarts, more than `most` restarts, a new phase, fold or size
    at the same point, another peak, and models that were set up anew (the loss is back by `back` of its way).
    ## Why it matters
    The scheduler's state was not restored: the rate is too high for a model that was trained further, the decay ends
    late or never, and often the optimiser's moments were lost with it.
    ## What to do
    Save and load the scheduler with the model, or compute the rate from the global step. Resume again from the
    checkpoint before the restart.
    ## When to ignore it
    A second round with the same schedule was started on purpose from the weights of the first.
    ## Known limits
    Needs ten points on either side, and sixteen of the decay. Cycles that are cut in mid-fall by design look the same.
    ## References
    - Failure reports: lightly-ai/lightly-train#301, vllm-project/speculators#900, allenai/allennlp#1650.
    """
    if any(_cyclic(name_of(s), s.value) for s in stage.settings):
        return None
    told = told_of_resume(stage, ANY, RESUME)
    for series in rates.series:
        for part in series.segments():
            known = part.finite()
            places = started_over(known.x(), known.value)
            places = tuple(
                p for p in places if p.index and (told or not p.plateau) and not _part(stage, known, p.index)
            )
            kept = [p for p in places if not _anew(loss, known, p.index, back)]
            if kept and len(places) <= most:
                return _report(known, kept[0], len(kept), told)
    return None


def _cyclic(name: str, value: object) -> bool:
    """Whether a setting asks for a schedule that starts over."""
    if name in CYCLES:
        return given(str(value)) and str(value) not in ("1", "1.0", "0.5")
    return ("sched" in name or name.startswith("lr") or name in ("name", "type", "_target_")) and bool(
        CYCLIC.search(str(value))
    )


def _part(stage: Stage, rate: Series, index: int) -> bool:
    """Whether a phase, a size or the like changes where the schedule starts over."""
    x = rate.x()
    low, high = x[max(0, index - 2)], x[min(index + 1, len(x) - 1)]
    for series in stage.series:
        if series.role is not None or series.axis != rate.axis or not PARTS.search(series.name):
            continue
        at = series.x()
        before, after = series.value[at <= low][-WIDTH:], series.value[at >= high][:WIDTH]
        if len(before) and len(after) and not np.ptp(before) and not np.ptp(after) and before[0] != after[0]:
            return True
    return False


def _anew(loss: TrainLoss | None, rate: Series, index: int, back: float) -> bool:
    """Whether the loss returns to where it began: another model is trained from here on."""
    if loss is None or loss.lead.axis != rate.axis:
        return False
    lead = loss.lead.finite()
    x, at = lead.x(), float(rate.x()[index])
    before, after = lead.value[x < at], lead.value[x >= at]
    if len(before) < 2 * WIDTH or len(after) < WIDTH:
        return False
    first, old, new = (float(np.median(v)) for v in (before[:WIDTH], before[-WIDTH:], after[:WIDTH]))
    return first > old and new - old > back * (first - old)


def _report(part: Series, found: StartedOver, times: int, told: str) -> Sick:
    x = part.x()
    at = float(x[found.index])
    length = float(x[found.top] - x[found.index])
    rate: FloatArray = part.value
    how = f"warms up again over {num(length)} {part.axis}s to" if found.warms_up else "goes back to"
    again = f" ({times} times in all)" if times > 1 else ""
    state = "its peak" if found.plateau else "mid-decay"
    return Sick(
        f"{part.name} starts over at {place(part.axis, at)}{again}: from {num(found.before)}, {state}, to"
        f" {num(found.first)}; it {how} {num(float(rate[found.top]))} as at the beginning, while {part.axis}s go on",
        evidence=(
            Measure(f"{part.name} before", found.before, None, part.where(found.index - 1)),
            Measure(f"{part.name} after", found.first, None, part.where(found.index)),
            Measure("points that repeat the beginning", found.points, "points", part.where(found.index)),
            *((Measure("told of a resume", "yes", None, told),) if told else ()),
        ),
        since_step=since(part, at),
        innocent="a second round with the same schedule was started on purpose from the weights of the first",
        actions=(
            Action(
                "Restore the schedule: save and load the scheduler, or compute the learning rate from the global step;"
                f" then resume from {place(part.axis, at)}",
                f"{num(float(x[-1]) - at)} {part.axis}s again",
                "repair",
            ),
        ),
        window=span(part, at, float(x[-1])),
    )


def _resumed(cut: int, n: int = 2000, *, warmup: float = 0.05, jump: float = 0.0) -> tuple[FloatArray, FloatArray]:
    """A loss that goes on, and a cosine that starts over at `cut`."""
    full = examples.cosine(n, warmup=warmup)
    loss = examples.decay(n)
    loss[cut:] += jump * np.exp(-np.arange(n - cut) / 150.0)
    return loss, np.concatenate([full[:cut], full[: n - cut]])


def sick() -> Iterator[Stage]:
    """A warm-up again at 60 % of a cosine, a jump back to the peak, twice in one run, and a constant rate in a run that
    says it was resumed.
    """
    loss, lr = _resumed(1200, jump=0.2)
    yield examples.stage(loss=loss, lr=lr)
    loss, lr = _resumed(900, warmup=0.0)
    yield examples.stage(loss=loss, lr=lr, settings={"max_steps": 2000})
    full = examples.cosine(3000)
    twice = np.concatenate([full[:1100], full[:900], full[:1000]])
    yield examples.stage(loss=examples.decay(3000), lr=twice)
    constant = np.minimum(np.arange(2000) % 1000 / 100, 1.0) * 1e-3
    yield examples.stage(loss=examples.decay(2000), lr=constant, settings={"resume_from_checkpoint": "out/1000"})


def healthy() -> Iterator[Stage]:
    """One schedule, warm restarts (to zero, to a floor, with warm-up), a second fold, a new phase with its own rate,
    a new size, a second round after the first was complete, and a warm-up again to a constant rate.
    """
    yield examples.stage(loss=examples.decay(2000), lr=examples.cosine(2000))
    yield examples.stage(loss=examples.decay(2000), lr=np.tile(examples.cosine(500, warmup=0.0), 4))
    floor = np.tile(examples.cosine(500, warmup=0.1, floor=2e-4), 4)
    yield examples.stage(loss=examples.decay(2000), lr=floor)
    _, lr = _resumed(1000)
    folds = np.concatenate([examples.decay(1000), examples.decay(1000, seed=3)])
    yield examples.stage(loss=folds, lr=lr)
    lr[1000:] *= 0.3
    yield examples.stage(loss=examples.decay(2000), lr=lr)
    _, lr = _resumed(1000)
    yield examples.stage(loss=examples.decay(2000), lr=lr, image_size=np.where(np.arange(2000) < 1000, 128.0, 256.0))
    done = examples.cosine(1000)
    yield examples.stage(loss=examples.decay(2000), lr=np.tile(done, 2))
    constant = np.minimum(np.arange(2000) % 1000 / 100, 1.0) * 1e-3
    yield examples.stage(loss=examples.decay(2000), lr=constant)
    yield examples.stage(
        loss=examples.decay(2000), lr=_resumed(1200)[1], settings={"lr_scheduler_type": "cosine_with_restarts"}
    )
