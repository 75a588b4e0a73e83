"""CKPT105 code-in-checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

from runvet import examples
from runvet.evidence.checkpoints import Checkpoints
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules.ckpt._saves import listed, table
from runvet.run import Run


@rule("CKPT105", "code-in-checkpoint", level="critical", since="0.1")
def code_in_checkpoint(checkpoints: Checkpoints) -> Sick | None:
    """Loading a checkpoint would run code that no checkpoint needs.

    ## What it checks
    The callables that a pickle within a checkpoint names, read without running any: those that start processes,
    open files or connections, or evaluate text. Classes of the project itself are not reported.
    ## Why it matters
    `torch.load` with `weights_only=False` and `pickle.load` call them: the file takes over the machine.
    ## What to do
    Do not load it. Find out where it comes from. Load checkpoints with `weights_only=True`, or keep them as safetensors.
    ## When to ignore it
    Never without knowing who wrote the file and why.
    ## Known limits
    A class of the project that does harm when it is built is not known to do so.
    ## References
    - Python documentation, pickle: warning on untrusted data.
    - PyTorch documentation, torch.load: `weights_only`.
    """
    bad = checkpoints.having("code-in-checkpoint")
    if not bad:
        return None
    names = sorted({n for c in bad for n in c.dangerous})
    return Sick(
        f"loading {listed(bad, checkpoints.saves)} with pickle would run {', '.join(names[:4])}" + (f" and {len(names) - 4} more" if len(names) > 4 else ""),
        evidence=(
            Measure("checkpoints that can run code", len(bad), f"of {len(checkpoints.saves)}"),
            *table(bad, "calls", lambda c: ", ".join(c.dangerous[:6])),
        ),
        innocent="a tool of your own that pickles whole objects together with functions",
        actions=(
            Action(f"Do not load {', '.join(c.path for c in bad[:3])}; find out who wrote it", "now, free", "stop"),
            Action("Load checkpoints with weights_only=True, or keep weights as safetensors", "one line", "repair"),
        ),
    )  # fmt: skip


def sick() -> Iterator[Run]:
    """A call of the shell."""
    stage = examples.stage(loss=examples.decay(1000))
    yield examples.run(
        stage, checkpoints=[*examples.training((200, 400)), examples.checkpoint(600, dangerous=("posix.system",))]
    )


def healthy() -> Iterator[Run]:
    """Nothing but tensors and numbers."""
    yield examples.run(examples.stage(loss=examples.decay(1000)), checkpoints=examples.training((200, 400)))
