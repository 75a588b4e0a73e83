"""CKPT123 idle-adapter."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from runvet import examples
from runvet.checkpoints.model import Checkpoint
from runvet.evidence.checkpoints import Checkpoints
from runvet.evidence.curves import TrainLoss
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules.ckpt._saves import keep, listed, milder, steps_of, table, told, unread
from runvet.run import Run

# The two factors of a low-rank update: peft's, diffusers' and kohya's names.
FACTOR = re.compile(r"(?i)(?:^|[._])lora[._]?(?:embedding[._]?)?(a|b|down|up)(?=[._]|$)")
FEWEST = 10  # losses of a run that has trained


@rule("CKPT123", "idle-adapter", level="critical", since="0.1")
def idle_adapter(checkpoints: Checkpoints, loss: TrainLoss | None) -> Sick | Unsure | None:
    """A low-rank adapter multiplies by zero: with it the model is what it was without.

    ## What it checks
    Checkpoints after step 0 (or of no known step, beside a log of at least ten losses) that hold both factors of
    low-rank updates (`lora_A` and `lora_B`, `lora.down` and `lora.up`): a finding where one of the two is zero in every
    module, to the last number. A warning where the newest save is in order.
    ## Why it matters
    One factor starts as zero, so that training begins at the base model. If it is still zero, no gradient ever reached
    it, or the save gathered none of its values (sharded parameters): what is kept is the base model.
    ## What to do
    Check that the adapter's parameters require gradients, are in the optimizer, and that inputs of checkpointed blocks
    do (`enable_input_require_grads`).
    ## When to ignore it
    The checkpoint was saved before the first update on purpose.
    ## Known limits
    Values must have been read. Adapters of other kinds (prefixes, IA3, biases) are not judged.
    ## References
    - Hu et al. 2021, LoRA: low-rank adaptation of large language models, arXiv 2106.09685, section 4.1.
    - huggingface/peft#1402, cloneofsimo/lora#26, kohya-ss/sd-scripts#91, locuslab/open-unlearning#178.
    """
    trained = loss is not None and len(loss.lead) >= FEWEST
    after = [c for c in checkpoints.saves if (trained if c.step is None else c.step > 0)]
    counted = [(c, zero) for c in after if (zero := _zero(c)) is not None]
    if not counted:
        if any(FACTOR.search(t.name) for c in checkpoints.saves for t in c.tensors) and checkpoints.unscanned:
            return unread(checkpoints)
        return Unsure("no checkpoint of a training holds both factors of a low-rank adapter", "", applicable=False)
    bad = [c for c, zero in counted if zero]
    if not bad:
        return None
    return Sick(
        f"the adapter of {len(bad)} of {len(counted)} checkpoints multiplies by zero: {listed(bad, checkpoints.saves)};"
        f" every {_zero(bad[0])} is zero in all {_modules(bad[0])} modules of {told(bad[0])}",
        evidence=(
            Measure("checkpoints whose adapter does nothing", len(bad), f"of {len(counted)}"),
            *table(bad, "modules whose update is zero", _modules, "modules"),
        ),
        since_step=steps_of(bad),
        innocent="the adapter was saved before its first update",
        actions=(
            *keep(checkpoints, bad, "what is kept is the base model"),
            Action("Print the gradient norm of the adapter's parameters after one backward pass", "minutes", "measure"),
        ),
        level="warning" if milder(checkpoints, bad) else None,
    )  # fmt: skip


def _factors(checkpoint: Checkpoint) -> dict[str, list[int]]:
    """The indices of dense, scanned tensors of each factor."""
    found: dict[str, list[int]] = {}
    values = checkpoint.values
    for i, tensor in enumerate(checkpoint.tensors):
        named = FACTOR.search(tensor.name)
        if named and tensor.role == "model" and tensor.elements and values is not None and values.scanned[i]:
            found.setdefault(named[1].lower(), []).append(i)
    return found


def _zero(checkpoint: Checkpoint) -> str | None:
    """The factor that is zero everywhere, '' where none is; None for a checkpoint without both factors."""
    found, values = _factors(checkpoint), checkpoint.values
    if values is None or not ({"a", "b"} <= set(found) or {"down", "up"} <= set(found)):
        return None
    still = [f for f, at in found.items() if all(int(values.zero[i]) == checkpoint.tensors[i].elements for i in at)]
    return f"lora_{still[0].upper() if len(still[0]) == 1 else still[0]}" if still else ""


def _modules(checkpoint: Checkpoint) -> int:
    return max((len(at) for at in _factors(checkpoint).values()), default=0)


def _adapter(step: int, scale: float, *, names: tuple[str, str] = ("lora_A", "lora_B")) -> Checkpoint:
    rng = np.random.default_rng(step)
    arrays: dict[str, npt.NDArray[np.float32]] = {}
    for layer in range(3):
        arrays[f"model.layers.{layer}.q_proj.{names[0]}.weight"] = rng.standard_normal((4, 16)).astype(np.float32)
        arrays[f"model.layers.{layer}.q_proj.{names[1]}.weight"] = (scale * rng.standard_normal((16, 4))).astype(
            np.float32
        )
    return examples.checkpoint(step, arrays)


def sick() -> Iterator[Run]:
    """The second factor stays zero while decay moves the first; the same by the names of diffusers."""
    stage = examples.stage(loss=examples.decay(600))
    yield examples.run(stage, checkpoints=[_adapter(s, 0.0) for s in (200, 400, 600)])
    yield examples.run(stage, checkpoints=[_adapter(500, 0.0, names=("lora.down", "lora.up"))])


def healthy() -> Iterator[Run]:
    """Both factors hold numbers; the zero factor of the start, before the first update."""
    stage = examples.stage(loss=examples.decay(600))
    yield examples.run(stage, checkpoints=[_adapter(s, 0.01) for s in (200, 400, 600)])
    yield examples.run(stage, checkpoints=[_adapter(0, 0.0), _adapter(300, 0.001), _adapter(600, 0.002)])
