"""GEN132 foreign-codes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.roles import words
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import num
from runvet.run import Run, Series, Stage


@rule("GEN132", "foreign-codes", level="critical", since="0.1", explains=("LOSS122", "GEN131"))
def foreign_codes(
    run: Run,
    stage: Stage,
    *,
    far: float = 4.0,  # dB by which the pictures of true codes must be below what the tokenizer reached
) -> Sick | Unsure | None:
    """A model learnt the codes of another tokenizer than the one that draws them.

    ## What it checks
    The PSNR of pictures drawn from the true codes of real frames (`rollout/psnr_decoded`) in the stage that predicts codes,
    beside the PSNR that the tokenizer's own stage reached on held-out frames (`val/psnr`). A finding where the first is 4 dB lower.
    ## Why it matters
    The model has learnt a language that its decoder does not speak: loss and accuracy are fine, and every picture is noise.
    ## What to do
    Encode the data anew with the tokenizer that draws, or point the run at the tokenizer whose codes were learnt; keep its
    hash in every checkpoint.
    ## When to ignore it
    The two stages were measured on different data.
    ## Known limits
    Both measures must be logged, in stages of one run.
    ## References
    - Bruce et al. 2024, Genie, arXiv 2402.15391 (two stages share one tokenizer).
    """
    drawn = next((s for s in stage.series if len(s) and {"psnr", "decoded"} <= set(words(s.name))), None)
    if drawn is None:
        return Unsure("the pictures of true codes are not measured", "log rollout/psnr_decoded", applicable=False)
    own = next((s for other in run.stages if other is not stage for s in _own(other)), None)
    if own is None:
        return Unsure("no stage of this run is a tokenizer with val/psnr", "keep the logs of all stages in one folder")
    made, reached = float(np.median(drawn.finite().value)), own.last
    if made > reached - far:
        return None
    return Sick(
        f"true codes draw pictures of {num(made)} dB ({drawn.name}), the tokenizer itself reached {num(reached)} ({own.name}): the codes are"
        " of another tokenizer than the one that draws",
        (
            Measure(drawn.name, float(f"{made:.4g}"), "dB", drawn.where(-1)),
            Measure(f"{own.name} of the tokenizer", float(f"{reached:.4g}"), "dB", own.where(-1)),
        ),
        since(drawn, float(drawn.x()[0])),
        "the two stages were measured on different data",
        (
            Action("Encode the data anew with the tokenizer that draws, and train this stage again", "this stage", "repair"),
            Action("Keep the tokenizer's hash beside the codes and in every checkpoint, and compare", "a few lines", "change"),
        ),
    )  # fmt: skip


def _own(stage: Stage) -> Iterator[Series]:
    """The PSNR of a tokenizer's reconstructions of held-out frames."""
    if any(w.startswith("tokeni") or w in ("vae", "vqvae", "autoencoder") for w in words(stage.name)):
        yield from (s for s in stage.series if len(s) and s.split == "val" and words(s.name)[-1] == "psnr")


def _run(decoded: float, reached: float) -> Run:
    tokenizer = examples.stage(
        train_loss=examples.decay(400), val__psnr=np.linspace(18, reached, 5), name="video_tokenizer"
    )
    dynamics = examples.stage(
        train_loss=examples.decay(400), rollout__psnr_decoded=np.full(4, decoded), name="dynamics"
    )
    return examples.run(tokenizer, dynamics)


def sick() -> Iterator[Run]:
    """Noise from true codes."""
    yield _run(9.0, 27.0)


def healthy() -> Iterator[Run]:
    """As good as the tokenizer; a little worse; a poor tokenizer."""
    yield _run(27.1, 27.0)
    yield _run(25.0, 27.0)
    yield _run(19.0, 20.0)
