"""GEN132 foreign-codes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.references import Beside, Copies
from runvet.roles import words
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules.loss._common import num, since
from runvet.run import Stage


@rule("GEN132", "foreign-codes", level="critical", since="0.2", explains=("LOSS122", "GEN131"))
def foreign_codes(
    copies: Copies,
    *,
    far: float = 6.0,  # dB that pictures must be below copying
    near: float = 0.1,  # by which the accuracy of the codes may be below copying
    fewest: float = 2,
) -> Sick | Unsure | None:
    """Codes are predicted well, and the pictures drawn from them are noise: another tokenizer draws than encoded.

    ## What it checks
    The accuracy of predicted codes beside that of copying (`val/token_accuracy`, `val/copy_accuracy`), and the PSNR
    of the pictures drawn from them beside that of copying (`rollout/psnr`, `rollout/psnr_copy`). A finding where codes are
    about as right as a copy's or better, and the pictures 6 dB worse.
    ## Why it matters
    The dynamics has learnt a language that its decoder does not speak. Loss and accuracy cannot show it.
    ## What to do
    Encode the data anew with the tokenizer that draws, or point the run at the tokenizer whose codes were learnt; keep its
    hash in every checkpoint.
    ## When to ignore it
    The tokenizer itself is far below copying.
    ## Known limits
    Both measures must be logged with their references.
    ## References
    - Bruce et al. 2024, Genie, arXiv 2402.15391 (two stages share one tokenizer).
    """
    codes = next(
        (p for p in copies.pairs if {"accuracy", "acc"} & set(words(p.own.name)) and len(p.own) >= fewest), None
    )
    drawn = next((p for p in copies.pairs if "psnr" in words(p.own.name) and len(p.own) >= fewest), None)
    if codes is None or drawn is None:
        return Unsure("accuracy of codes and PSNR of pictures are not both logged beside copying", "log both")
    (right, kept), (made, still) = _late(codes), _late(drawn)
    if right < kept - near or right < 0.5 or made > still - far:
        return None
    return Sick(
        f"{codes.own.name} is {num(right)} (copying {num(kept)}), yet {drawn.own.name} is {num(made)} dB, {num(still - made)} dB below copying:"
        " the codes are right, and something else draws them",
        (
            Measure(codes.own.name, float(f"{right:.4g}"), None, codes.own.where(-1)),
            Measure(codes.reference.name, float(f"{kept:.4g}"), None, codes.reference.where(-1)),
            Measure(drawn.own.name, float(f"{made:.4g}"), "dB", drawn.own.where(-1)),
            Measure(drawn.reference.name, float(f"{still:.4g}"), "dB", drawn.reference.where(-1)),
        ),
        since(drawn.own, float(drawn.own.x()[0])),
        "the tokenizer itself draws far worse than copying",
        (
            Action("Decode the codes of real frames: if they are noise, encode the data anew with this tokenizer", "minutes", "repair"),
            Action("Keep the tokenizer's hash beside the codes and in every checkpoint, and compare", "a few lines", "change"),
        ),
    )  # fmt: skip


def _late(pair: Beside) -> tuple[float, float]:
    half = max(1, len(pair.own) // 2)
    return float(np.median(pair.own.value[-half:])), float(np.median(pair.reference.value[-half:]))


def sick() -> Iterator[Stage]:
    """Accurate codes, noise in pictures."""
    yield examples.stage(
        train_loss=examples.decay(400),
        val__token_accuracy=np.array([0.7, 0.9, 0.93, 0.94]), val__copy_accuracy=np.full(4, 0.92),
        rollout__psnr=np.array([9.0, 9.1, 9.0, 9.2]), rollout__psnr_copy=np.full(4, 23.0),
    )  # fmt: skip


def healthy() -> Iterator[Stage]:
    """Both fine; pictures a little below copying; far above it."""
    for accuracy, psnr in ((0.94, 25.0), (0.93, 22.8), (0.95, 31.0)):
        yield examples.stage(
            train_loss=examples.decay(400),
            val__token_accuracy=np.linspace(accuracy - 0.02, accuracy, 4), val__copy_accuracy=np.full(4, 0.92),
            rollout__psnr=np.linspace(psnr - 0.5, psnr, 4), rollout__psnr_copy=np.full(4, 23.0),
        )  # fmt: skip
