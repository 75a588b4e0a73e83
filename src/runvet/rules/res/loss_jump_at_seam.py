"""RES101 loss-jump-at-seam."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet import examples
from runvet.evidence.seams import Joint, Seams
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num, percent, place, since, span
from runvet.run import FloatArray, Stage
from runvet.statistics import noise

FEWEST = 6  # points on either side
WINDOW_SHARE, LONGEST = 0.05, 100  # of the points of a side, and at most so many, are compared
LOSSES = frozenset({"train_loss", "loss_term", "train_perplexity"})


@dataclass(frozen=True, slots=True)
class Jump:
    """Levels before and after, their difference in standard errors, and how many points until it was made good."""

    before: float
    after: float
    errors: float
    noise: float
    window: int
    recovered: int | None


@rule("RES101", "loss-jump-at-seam", level="critical", since="0.1", explains=("LOSS102",))
def loss_jump_at_seam(
    seams: Seams, *, errors: float = 6.0, relative: float = 0.05, sigmas: float = 1.0, lost: float = 0.25
) -> Sick | Unsure | None:
    """The training loss jumps up where the run was resumed.

    ## What it checks
    At each seam at which training goes on: the median of the first points after it against the median of the last
    points before the step that it goes on from, in standard errors of these medians (noise measured before the
    seam). A finding needs more than `errors` of them, more than `sigmas` times the noise of a point, and more than
    `relative` of the level or, for losses that are not positive, of what had been gained; a drift on both sides is
    taken off. Critical where the old level is not seen again in the rest of the run and more than `lost` of the gain
    is gone; otherwise a warning.
    ## Why it matters
    A resumed run continues at the level it had. A jump says that something was not restored: optimiser moments,
    the averaged weights, the loss scale, the learning rate, or not even the weights.
    ## What to do
    Compare the keys of the checkpoint with what the program loads; evaluate the restored model once before the first
    step. Resume again with the full state, or accept the steps of recovery.
    ## When to ignore it
    The data, the loss or its weights were changed on purpose at this restart.
    ## Known limits
    Needs six points on either side. A logger that averages over a window starts again with fewer values.
    ## References
    - Failure reports: junyanz/pytorch-CycleGAN-and-pix2pix#1380, r9y9/wavenet_vocoder#132, mozilla/DeepSpeech#3620.
    """
    if seams.joints[0].lead.role not in LOSSES:
        return Unsure("no training loss across the seam", "log loss")
    worst: tuple[float, Joint, Jump] | None = None
    judged = 0
    for joint in seams.resumed:
        jump = _jump(joint)
        if jump is None:
            continue
        judged += 1
        size, base = jump.after - jump.before, _base(joint, jump.before)
        found = jump.errors > errors and size > sigmas * jump.noise and size > relative * base
        if found and (worst is None or jump.errors > worst[0]):
            worst = (jump.errors, joint, jump)
    if worst is None:
        return None if judged or not seams.resumed else Unsure("too few points beside the seam", "log loss more often")
    return _report(worst[1], worst[2], lost)


def _base(joint: Joint, before: float) -> float:
    """What a jump is measured against: the level where losses are positive, else all that was gained so far."""
    if joint.lead.minimum > 0:
        return abs(before)
    return abs(float(np.median(joint.before.value[:FEWEST])) - before)


def _jump(joint: Joint) -> Jump | None:
    old, new = joint.up_to_start(joint.before), joint.after
    if len(old) < FEWEST or len(new) < FEWEST:
        return None
    width = int(np.clip(WINDOW_SHARE * min(len(old), len(new)), FEWEST, LONGEST))
    tail = old.value[-4 * width :]
    sigma = noise(tail, block=True)
    if not math.isfinite(sigma):
        return None
    sigma = max(sigma, noise(new.value[: 4 * width]), _digit(np.concatenate([tail, new.value[: 4 * width]])))
    before, after = float(np.median(old.value[-width:])), float(np.median(new.value[:width]))
    wander = abs(before - float(np.median(old.value[-2 * width : -width]))) if len(old) >= 2 * width else 0.0
    error = max(1.2533 * sigma * math.sqrt(2.0 / width), wander / 2)
    # A level that rises on both sides drifts through the seam: what the drift explains is no jump.
    drift = max(0.0, _drift(old.value[-width:]) + _drift(new.value[:width]))
    return Jump(
        before, after, (after - before - drift) / error, sigma, width, _recovery(new.value, before, error, width)
    )


def _drift(values: FloatArray) -> float:
    """How far the second half of a window lies above the first."""
    half = len(values) // 2
    return float(np.median(values[-half:]) - np.median(values[:half]))


def _digit(values: FloatArray) -> float:
    """The smallest difference between values: printed curves are no finer than their last digit."""
    distinct = np.unique(values)
    return float(np.diff(distinct).min()) if len(distinct) > 1 else max(abs(float(distinct[0])), 1e-12)


def _recovery(values: FloatArray, level: float, error: float, width: int) -> int | None:
    """After how many points the median of `width` points is back at the old level, None where never."""
    for start in range(0, len(values) - width + 1, max(1, width // 2)):
        if float(np.median(values[start : start + width])) <= level + 2 * error:
            return start
    return None


def _report(joint: Joint, jump: Jump, lost: float) -> Sick:
    new, lead = joint.after, joint.lead
    x = new.x()
    gained = float(np.median(joint.before.value[:FEWEST])) - jump.before
    size = jump.after - jump.before
    if jump.recovered is None:
        healed = f"not back by {place(joint.axis, float(x[-1]))}"
        end = float(x[-1])
    else:
        end = float(x[min(jump.recovered, len(x) - 1)])
        healed = f"back after {num(end - joint.start)} {joint.axis}s"
    gone = jump.recovered is None and size > lost * max(gained, 0.0)
    share = f" ({percent(size / jump.before)})" if jump.before > 0 else ""
    return Sick(
        f"{lead.name} goes from {num(jump.before)} to {num(jump.after)}{share} at the restart at"
        f" {place(joint.axis, joint.start)}, {jump.errors:.0f} standard errors; {healed}",
        evidence=(
            Measure(f"median {lead.name} of {jump.window} points before", jump.before, None, joint.before.where(-1)),
            Measure(f"median {lead.name} of {jump.window} points after", jump.after, None, joint.where),
            Measure("noise of one point before the restart", jump.noise),
        ),
        since_step=since(lead, joint.start),
        innocent="the data, the loss or its weights were changed on purpose at this restart",
        actions=(
            Action(
                f"Compare what the restart at {place(joint.axis, joint.start)} loaded with what a resume needs:"
                " optimiser, scheduler, scaler, averaged weights",
                "minutes",
                "repair",
            ),
            Action(f"Resume again from the last checkpoint before {place(joint.axis, joint.start)}", "a restart"),
        ),
        window=span(lead, joint.start, end),
        level=None if gone else "warning",
    )


def _resumed(before: FloatArray, after: FloatArray, *, overlap: int = 0) -> Stage:
    first = len(before) - overlap
    steps = [*range(len(before)), *range(first, first + len(after))]
    return examples.stage(steps=steps, train_loss=np.concatenate([before, after]))


def sick() -> Iterator[Stage]:
    """A jump that heals, one that does not, one of a negative loss, and one after overlapping steps."""
    curve = examples.decay(2000)
    heal = np.exp(-np.arange(1000) / 150.0)
    yield _resumed(curve[:1000], curve[900:1900] + 1.5 * heal, overlap=100)
    yield _resumed(curve[:1000], curve[900:1900] + 2.0, overlap=100)
    low = examples.decay(2000, start=-1.0, end=-6.0)
    yield _resumed(low[:1000], low[950:1950] + 3.0, overlap=50)


def healthy() -> Iterator[Stage]:
    """Clean resumes: with overlap, heavy-tailed, with a first point that is an outlier, and a second fold."""
    curve = examples.decay(2000)
    yield _resumed(curve[:1000], curve[900:1900], overlap=100)
    rng = np.random.default_rng(3)
    heavy = curve * (1 + 0.2 * np.abs(rng.standard_t(2, 2000)))
    yield _resumed(heavy[:1000], heavy[990:1990], overlap=10)
    outlier = curve[900:1900].copy()
    outlier[0] = 9.0
    yield _resumed(curve[:1000], outlier, overlap=100)
    yield _resumed(curve[:600], examples.decay(600, seed=4)[1:], overlap=580)
    low = examples.decay(2000, start=1.0, end=-6.0, noise=0.2)
    yield _resumed(low[:1000], low[950:1950], overlap=50)
