"""RES106 best-is-not-best."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from runvet import examples
from runvet.evidence.declared_best import DeclaredBest
from runvet.evidence.kept_best import Evaluated, KeptBest
from runvet.evidence.kept_best import better as ahead_of
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num, place, since
from runvet.run import Event, FloatArray, Run, Series, Stage

FEWEST = 4  # evaluations
CLEARLY = 1e-3  # of the spread of all evaluations: a better one must be better by more
KINDS = ("loss", "accuracy", "metric", "error", "success_rate", "perplexity")


@rule("RES106", "best-is-not-best", level="critical", since="0.1")
def best_is_not_best(
    stage: Stage, best: DeclaredBest | None, kept: KeptBest | None, *, better: float = 0.25, worst: float = 0.9
) -> Sick | Unsure | None:
    """The checkpoint kept as the best is not the best by its own metric.

    ## What it checks
    The value that the log (or trainer state) declares as the best, found again in the curve of exactly one held-out
    metric whose better direction is known: a finding where at least three evaluations and the share `better` of all
    are better. Critical where the share `worst` of all are better: the comparison runs the wrong way round. Also a
    checkpoint named as the best whose step or epoch is known: critical where at least five evaluations and the share
    `worst` of all are better than the evaluation of that step and both its neighbours, by the metric that the
    configuration, its name or a value inside names, else by every metric; a warning from half of them on by such a name.
    ## Why it matters
    The model that is kept, reported and shipped is one of the worst of the run.
    ## What to do
    Set the direction of the metric (Hugging Face: `greater_is_better`), start it at infinity and not at 0, and pick
    the best checkpoint from the evaluations again.
    ## When to ignore it
    The metric was smoothed or combined with another before it was compared.
    ## Known limits
    Lines that name several metrics do not tell which one decides: they are left alone. Of checkpoints that are named best
    and numbered, the newest is judged.
    ## References
    - Failure reports: huggingface/transformers#31142, #28500, Lightning-AI/pytorch-lightning#2636.
    """
    declared = _declared(stage, best, better, worst) if best is not None else None
    if isinstance(declared, Sick) or (kept is None and best is not None):
        return declared
    if kept is None:
        return Unsure("no best model is declared", "print the value of each new best model", applicable=False)
    return next((sick for found in kept.all if (sick := _kept(found, worst)) is not None), declared if best else None)


def _kept(found: Sequence[Evaluated], worst: float) -> Sick | None:
    """A checkpoint named as the best beside the metrics that may have chosen it: all of them must tell the same."""
    least = [(one, min(ahead_of(one.series, i, CLEARLY) for i in one.at)) for one in found]
    shares = [ahead / (len(one.series) - 1) for one, ahead in least]
    one = found[0]
    if min(ahead for _, ahead in least) < 5 or min(shares) < (0.5 if one.told else worst):
        return None
    event = Event("best", one.checkpoint.path, one.checkpoint.path)
    lower = -one.series.value if one.series.direction == "up" else one.series.value
    at = one.at[0]
    if not one.told and (one.series.role or "").endswith(("loss", "perplexity")) and at > int(np.argmin(lower)):
        return None  # chosen by a metric that went on improving while the loss rose, and that is not logged
    ahead = ahead_of(one.series, at, CLEARLY)
    return _report(
        one.series, event, float(one.series.value[at]), at, ahead, int(np.argmin(lower)), min(shares) >= worst
    )


def _declared(stage: Stage, best: DeclaredBest, better: float, worst: float) -> Sick | Unsure | None:
    """The value that the log declares, found again in one curve."""
    last, value = best.event, best.value
    held = [s.finite() for s in stage.series if s.direction and s.role in _roles() and len(s.finite()) >= FEWEST]
    if not held:
        return Unsure("too few evaluations to find the best of", "log the metric that decides at every evaluation")
    found = [(s, at) for s in held if (at := _points(s, value)).size]
    if len(found) > 1 or value == round(value):  # a whole number stands in many curves
        words = last.text.lower()
        found = [(s, at) for s, at in found if re.split(r"[/_. ]", s.name.lower())[-1] in words]
    if len(found) != 1:
        return Unsure(f"the best value {num(value)} stands in no or in several curves", "log the metric that decides")
    series, at = found[0]
    sign = -1.0 if series.direction == "up" else 1.0
    lower = sign * series.value
    margin = CLEARLY * float(lower.max() - lower.min())
    ahead = int(np.sum(lower < sign * value - margin))
    others = len(series) - len(at)
    if ahead < 3 or ahead < better * others:
        return None
    return _report(series, last, value, int(at[0]), ahead, int(np.argmin(lower)), ahead >= worst * others)


def _roles() -> Sequence[str]:
    return [f"{split}_{kind}" for split in ("val", "test") for kind in KINDS] + [k for k in KINDS if k != "loss"]


def _points(series: Series, value: float) -> FloatArray:
    """The points that are the declared value, as far as its digits go."""
    digits = len(f"{value:.12g}".partition(".")[2])
    near = np.abs(series.value - value) <= max(0.51 * 10.0**-digits, 1e-9 * abs(value))
    return np.flatnonzero(near).astype(np.float64)


def _report(series: Series, event: Event, value: float, at: int, ahead: int, top: int, reversed_: bool) -> Sick:
    x = series.x()
    how = "higher" if series.direction == "up" else "lower"
    true = place(series.axis, float(x[top]))
    return Sick(
        f"the best model {_which(event)} {series.name} {num(value)} ({place(series.axis, float(x[at]))}), but {ahead} of"
        f" {len(series)} evaluations are {how}, {num(float(series.value[top]))} at {true} the most",
        evidence=(
            Measure(f"{series.name} declared as the best", value, None, event.where),
            Measure(f"best {series.name}", float(series.value[top]), None, series.where(top)),
            Measure("evaluations that are better", ahead, f"of {len(series)}"),
        ),
        since_step=since(series, float(x[at])),
        innocent="the metric was smoothed or combined with another before it was compared",
        actions=(
            Action(
                f"Use the checkpoint nearest to {true}; set the direction of {series.name}: {how} is better",
                "config",
                "keep",
            ),
        ),
        level=None if reversed_ else "warning",
    )


def _which(event: Event) -> str:
    return f"{event.source} is of" if event.text == event.source else "is declared at"


def _saved(values: FloatArray, step: int, *, name: str = "val_accuracy", monitor: str = "", **inside: float) -> Run:
    """Evaluations up to step 199, and a best.pt of a step."""
    told = {"monitor": monitor} if monitor else {}
    curves: dict[str, Any] = {name: values}
    stage = examples.stage(loss=examples.decay(200), settings=told, **curves)
    kept = examples.checkpoint(step, path="checkpoints/best.pt", inside={"step": step, **inside})
    return examples.run(stage, checkpoints=[kept, examples.checkpoint(199)])


def _stage(values: FloatArray, declared: float, name: str = "val_accuracy") -> Stage:
    event = examples.event("best", f"New best model: {declared:g}", value=declared)
    if name == "val_loss":
        return examples.stage(loss=examples.decay(200), val_loss=values, events=[event], console=True)
    return examples.stage(loss=examples.decay(200), val_accuracy=values, events=[event], console=True)


def sick() -> Iterator[Stage | Run]:
    """The first and worst accuracy is kept; a middling loss is kept; best.pt holds the worst, or a middling, evaluation."""
    rising = np.round(np.linspace(0.3, 0.9, 10), 4)
    yield _stage(rising, 0.3)
    yield _stage(np.round(np.linspace(2.0, 0.5, 10), 4), 1.5, "val_loss")
    yield _saved(np.round(np.linspace(0.3, 0.9, 20), 4), 10)
    yield _saved(np.round(np.linspace(0.3, 0.9, 20), 4), 60, monitor="val_accuracy")


def healthy() -> Iterator[Stage | Run]:
    """The true best, the best but one within noise, and a best before overfitting, declared or kept."""
    rising = np.round(np.linspace(0.3, 0.9, 10), 4)
    falling = np.array([2.0, 1.0, 0.6, 0.61, 0.62, 0.63, 0.62, 0.64, 0.63, 0.63])
    yield _saved(rising, 199)
    yield _saved(falling, 60, name="val_loss")
    yield _saved(rising, 100)  # by which metric is not told, and some accuracies before were worse
    yield _stage(rising, 0.9)
    yield _stage(np.array([0.3, 0.5, 0.91, 0.9, 0.6, 0.55]), 0.9)
    yield _stage(np.array([2.0, 1.0, 0.6, 0.62, 0.63, 0.61]), 0.6, "val_loss")
