"""CKPT111 prefix-mismatch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from runvet import examples
from runvet.checkpoints.model import Checkpoint
from runvet.evidence.checkpoints import Checkpoints, broken
from runvet.evidence.weights import bare, overlap
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules.ckpt._saves import told
from runvet.run import Run


@rule("CKPT111", "prefix-mismatch", level="warning", since="0.1", explains=("CKPT112",))
def prefix_mismatch(checkpoints: Checkpoints, *, raw: float = 0.1, stripped: float = 0.9) -> Sick | None:
    """Saves of one training name the same weights differently: `module.`, `_orig_mod.` or `model.` comes or goes.

    ## What it checks
    The names of the model's tensors in consecutive saves of the same kind: hardly any name in common (`raw`), and
    nearly all (`stripped`) once the prefixes of wrappers are taken away.
    ## Why it matters
    Loading one into the model of the other with `strict=False` loads nothing and says nothing.
    ## What to do
    Save the unwrapped module (`model.module`, `model._orig_mod`), and load strictly.
    ## When to ignore it
    Your loader strips the prefixes.
    ## Known limits
    Prefixes of your own wrappers are not known.
    ## References
    - pytorch/pytorch#101107, huggingface/pytorch-image-models#2003.
    """
    for family in checkpoints.families:
        whole = [s for s in family.saves if not broken(s)]
        for a, b in itertools.pairwise(whole):
            if a.tensors is b.tensors:
                continue  # siblings share one list of names and shapes
            first, second = _names(a), _names(b)
            if len(first) < 2 or len(second) < 2 or overlap(set(first), set(second)) > raw:
                continue
            common = overlap(set(first.values()), set(second.values()))
            if common < stripped:
                continue
            one = next(iter(second))
            other = next((n for n, base in first.items() if base == second[one]), next(iter(first)))
            return Sick(
                f"{told(a)} and {told(b)} name the same weights differently: {other!r} and {one!r}; {len(first)} names, none in common"
                if not set(first) & set(second)
                else f"{told(a)} and {told(b)} name the same weights differently: {other!r} and {one!r}",
                evidence=(
                    Measure("names in common", len(set(first) & set(second)), f"of {len(first)}", b.path),
                    Measure(
                        "names in common without prefixes",
                        len(set(first.values()) & set(second.values())),
                        f"of {len(first)}",
                        a.path,
                    ),
                ),
                since_step=b.step,
                innocent="the loader strips prefixes, or the run was wrapped anew on purpose at a restart",
                actions=(
                    Action(
                        "Save the unwrapped module, load strictly, and rename the keys of one of the two before you mix them",
                        "a few lines",
                        "change",
                    ),
                ),
            )
    return None


def _names(save: Checkpoint) -> dict[str, str]:
    """The names of the model's tensors, each with what is left of it without wrappers."""
    return {t.name: bare(t.name) for t in save.tensors if t.role == "model"}


def sick() -> Iterator[Run]:
    """A wrapper for several processes, and a compiled module."""
    stage = examples.stage(loss=examples.decay(1000))
    for prefix in ("model.module.", "model._orig_mod.", "module."):
        yield examples.run(
            stage,
            checkpoints=[
                *examples.training((200, 400)),
                examples.checkpoint(600, examples.trained(600, prefix=prefix)),
            ],
        )


def healthy() -> Iterator[Run]:
    """The same prefix everywhere; another model under another name."""
    stage = examples.stage(loss=examples.decay(1000))
    yield examples.run(
        stage, checkpoints=[examples.checkpoint(s, examples.trained(s, prefix="module.")) for s in (200, 400)]
    )
    other = examples.checkpoint(400, examples.trained(400, prefix="module."), path="export_{step}.pt")
    yield examples.run(stage, checkpoints=[*examples.training((200, 400)), other])
