"""LOSS122 worse-than-copy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.references import Beside, Copies
from runvet.roles import words
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import num, place
from runvet.run import Stage

MARGIN = 0.02  # of the reference, by which a measure must be worse


@rule("LOSS122", "worse-than-copy", level="critical", since="0.1", explains=("LOSS104", "LOSS108"))
def worse_than_copy(copies: Copies, *, fewest: float = 3) -> Sick | Unsure | None:
    """A model of video does worse than copying the last frame.

    ## What it checks
    Measures that are logged beside those of copying (`val/psnr` and `val/psnr_copy`, `val/token_accuracy` and
    `val/copy_accuracy`): the last quarter of the evaluations, at least three of them. A finding where a measure is more than
    2 % worse than its reference, and would still be after as long again at the pace of the second half.
    ## Why it matters
    Most of a picture stays as it was. A high accuracy or PSNR says nothing until it is above that of doing nothing, and
    a falling loss does not say it either.
    ## What to do
    Weigh what changes: pixels or codes that differ from the frame before. Check that tokenizer and dynamics belong
    together, that the context reaches the model in the right order, and the learning rate.
    ## When to ignore it
    The run has only begun.
    ## Known limits
    The reference must be logged. Measures of what changes alone have no such reference.
    ## References
    - Bruce et al. 2024, Genie, arXiv 2402.15391, appendix on controllability measures.
    """
    found, early = [], None
    for pair in copies.pairs:
        own, reference = pair.own.finite(), pair.reference.finite()
        if len(own) < fewest or not len(reference):
            early = Unsure(f"{pair.own.name} was measured {len(own)} times", "evaluate at least three times")
            continue
        level, target, gain = _levels(pair)
        if _perfect(pair, target):
            early = Unsure(
                f"{pair.reference.name} is perfect: nothing moves in these data", "measure on data that move"
            )
            continue
        behind = target - level if pair.direction == "up" else level - target
        if behind <= MARGIN * abs(target):
            continue
        if gain >= behind:
            early = Unsure(f"{pair.own.name} is behind copying, and still gains fast", "train longer")
            continue
        found.append((behind / max(abs(target), 1e-12), pair, level, target))
    return _told(found) if found else early


def _perfect(pair: Beside, target: float) -> bool:
    """Whether a copy makes no error at all, as on frames that never change."""
    if "psnr" in words(pair.reference.name):
        return target >= 60
    return target >= 0.9999 if pair.direction == "up" and target <= 1 else target <= 0


def _levels(pair: Beside) -> tuple[float, float, float]:
    """The last level of a measure, that of its reference, and how much the measure gained over its second half."""
    values = pair.own.finite().value
    late = values[-max(1, len(values) // 4) :]
    before = values[len(values) // 2 - 1 : len(values) - len(late)]
    level, target = float(np.median(late)), float(np.median(pair.reference.finite().value[-max(1, len(late)) :]))
    gain = (level - float(before[0])) if pair.direction == "up" else float(before[0]) - level
    return level, target, gain


def _told(found: list[tuple[float, Beside, float, float]]) -> Sick:
    found.sort(key=lambda f: -f[0])
    _, worst, level, target = found[0]
    more = "".join(f"; {p.own.name} {num(a)} against {num(b)}" for _, p, a, b in found[1:])
    own = worst.own.finite()
    return Sick(
        f"{worst.own.name} ends at {num(level)}, copying the last frame at {num(target)} ({worst.reference.name}){more}",
        tuple(
            measure
            for _, p, a, b in found
            for measure in (
                Measure(p.own.name, float(f"{a:.5g}"), None, p.own.where(-1)),
                Measure(p.reference.name, float(f"{b:.5g}"), None, p.reference.where(-1)),
            )
        ),
        since(own, float(own.x()[0])),
        f"the run has only begun: it was measured up to {place(own, float(own.x()[-1]))}",
        (
            Action("Measure accuracy on changed pixels or codes alone, beside the whole", "minutes", "measure"),
            Action("Weigh what changes from frame to frame more, and lower the learning rate if the loss is restless", "a restart", "change"),
        ),
    )  # fmt: skip


def sick() -> Iterator[Stage]:
    """A tokenizer, an accuracy, and a roll-out that stay below copying."""
    n = 400
    level = 20.0 + 2.0 * (1 - np.exp(-np.arange(8.0)))
    yield examples.stage(train_loss=examples.decay(n), val__psnr=level, val__psnr_copy=np.full(8, 25.1))
    accuracy = np.linspace(0.79, 0.80, 8)
    yield examples.stage(
        train_loss=examples.decay(n), val__token_accuracy=accuracy, val__copy_accuracy=np.full(8, 0.83)
    )
    yield examples.stage(
        train_loss=examples.decay(n), rollout__mse=np.full(6, 0.03), rollout__mse_copy_last=np.full(6, 0.01)
    )


def healthy() -> Iterator[Stage]:
    """Above copying; first below and then above; as good as copying."""
    n = 400
    yield examples.stage(
        train_loss=examples.decay(n), val__psnr=np.linspace(24, 29, 8), val__psnr_copy=np.full(8, 25.0)
    )
    yield examples.stage(
        train_loss=examples.decay(n), val__token_accuracy=np.linspace(0.5, 0.95, 8), val__copy_accuracy=np.full(8, 0.9)
    )
    yield examples.stage(
        train_loss=examples.decay(n), val__psnr=np.linspace(24.6, 24.9, 8), val__psnr_copy=np.full(8, 25.0)
    )
