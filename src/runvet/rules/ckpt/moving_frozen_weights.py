"""CKPT118 moving-frozen-weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.checkpoints.model import Checkpoint
from runvet.evidence.checkpoints import Checkpoints
from runvet.evidence.freezing import Freezing, Part
from runvet.evidence.weights import comparable, listed, trained
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules.ckpt._saves import told, unread
from runvet.run import Run


@rule("CKPT118", "moving-frozen-weights", level="warning", since="0.1")
def moving_frozen_weights(checkpoints: Checkpoints, freezing: Freezing, *, share: float = 0.5) -> Sick | Unsure | None:
    """A module that the configuration freezes is trained all the same.

    ## What it checks
    The digests of the weights of each module that a setting freezes by its name (`freeze_backbone: true`,
    `frozen_modules: [...]`, `train_encoder: false`, `encoder_lr: 0`) in consecutive saves of the same name: at least
    the share `share` of them differ. Running statistics and added adapters are left out.
    ## Why it matters
    The pretrained features drift away, memory goes to gradients that nobody wanted, and the experiment is not the one
    that its configuration describes.
    ## What to do
    Set `requires_grad` before the optimizer is made and before the model is wrapped, give the optimizer only what is
    to be trained (weight decay moves the rest), and count the trainable parameters at the start.
    ## When to ignore it
    The module is unfrozen later by a schedule that the configuration does not name.
    ## Known limits
    Freezing by a number of layers or stages is not judged, nor names that no weight has.
    ## References
    - neuralmagic/sparseml#965, facebookresearch/fairseq#4702, ahrefs/ocannl#673.
    """
    if not freezing.frozen:
        return None
    if checkpoints.unscanned:
        return unread(checkpoints)
    pairs = [
        (a, b) for f in checkpoints.families for a, b in f.pairs() if a.finite is not False and b.finite is not False
    ]
    if not pairs:
        return Unsure("there are no two saves to compare", "keep at least two checkpoints")
    known = 0
    for part in freezing.frozen:
        for a, b in reversed(pairs):
            inside = part.of(t for _, t in trained(b))
            changed, equal = (names & inside for names in comparable(a, b))
            known += len(changed) + len(equal)
            if len(changed) > 1 and len(changed) >= share * (len(changed) + len(equal)):
                return _sick(part, a, b, changed, equal)
    if not known:
        return Unsure(f"no weight is named as {listed(p.name for p in freezing.frozen)}")
    return None


def _sick(part: Part, a: Checkpoint, b: Checkpoint, changed: set[str], equal: set[str]) -> Sick:
    total = len(changed) + len(equal)
    return Sick(
        f"{len(changed)} of {total} weights of {part.name} moved between {told(a)} and {told(b)}, which {part.where} freezes",
        evidence=(
            Measure("frozen weights that moved", len(changed), f"of {total}", b.path),
            Measure("among them", listed(changed), None, b.path),
            Measure("setting", part.name, None, part.where),
        ),
        since_step=float(b.step) if b.step is not None else None,
        innocent="a schedule unfreezes the module on purpose, or the setting is not one of this model",
        actions=(
            Action(
                f"Print which parameters of {part.name} have requires_grad and which the optimizer holds, and take them out of it",
                "minutes",
                "change",
            ),
        ),
    )


def _saves(*frozen: str, width: int = 8) -> list[Checkpoint]:
    """Saves of a training in which the modules of these names stay as they are."""
    made = []
    for step in (200, 400, 600):
        start = examples.trained(0, width=width)
        arrays = {
            n: start[n] if any(f in n for f in frozen) else a for n, a in examples.trained(step, width=width).items()
        }
        made.append(examples.checkpoint(step, arrays))
    return made


def sick() -> Iterator[Run]:
    """A flag, a list, a flag of the module itself, a rate of zero; each in vain."""
    for settings in (
        {"freeze_encoder": True},
        {"model.frozen_modules": ["encoder.0"]},
        {"model.encoder.trainable": False},
        {"optim.encoder_lr": 0.0},
    ):
        yield examples.run(examples.stage(loss=examples.decay(1000), settings=settings), checkpoints=_saves())


def healthy() -> Iterator[Run]:
    """Frozen indeed; running statistics and adapters in it move; not frozen."""
    for settings in ({"freeze_encoder": True}, {"frozen_modules": ["encoder.0", "encoder.1"]}):
        yield examples.run(examples.stage(loss=examples.decay(1000), settings=settings), checkpoints=_saves("encoder"))
    yield examples.run(
        examples.stage(loss=examples.decay(1000), settings={"freeze_encoder": False}), checkpoints=_saves()
    )
    added = [
        examples.checkpoint(
            s,
            examples.trained(0)
            | {
                f"model.encoder.0.{n}": np.full(8, s, np.float32)
                for n in ("bn.running_mean", "lora_A.weight", "lora_B.weight")
            }
            | {n: a for n, a in examples.trained(s).items() if "head" in n},
        )
        for s in (200, 400)
    ]
    yield examples.run(examples.stage(loss=examples.decay(1000), settings={"freeze_encoder": True}), checkpoints=added)
