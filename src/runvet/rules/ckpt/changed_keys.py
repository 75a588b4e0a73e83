"""CKPT112 changed-keys."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from runvet import examples
from runvet.checkpoints.model import Checkpoint
from runvet.evidence.checkpoints import Checkpoints, broken
from runvet.evidence.weights import bare, is_buffer, is_float, listed
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules.ckpt._saves import told
from runvet.run import Run

Shape = tuple[int, ...]


@rule("CKPT112", "changed-keys", level="warning", since="0.1")
def changed_keys(checkpoints: Checkpoints) -> Sick | None:
    """Weights that one save holds are gone or have another shape in the next.

    ## What it checks
    Names (without wrappers) and shapes of the model's tensors in consecutive saves of the same kind. Names that come
    new, buffers and caches, and tables that all grow by the same number of rows (a larger vocabulary, more points of
    a scene) are left alone.
    ## Why it matters
    The model was changed in the middle of a run: its curves before and after are not one training, and a restart
    with `strict=False` begins those parts at random.
    ## What to do
    Compare the code and configuration of both parts; train the changed model as a run of its own.
    ## When to ignore it
    A model that is meant to change while it trains.
    ## Known limits
    Weights that were renamed look like weights that were lost.
    ## References
    - PyTorch documentation, Module.load_state_dict: `strict`.
    """
    for family in checkpoints.families:
        whole = [s for s in family.saves if not broken(s)]
        for a, b in itertools.pairwise(whole):
            if a.tensors is b.tensors:
                continue  # siblings share one list of names and shapes
            first, second = _weights(a), _weights(b)
            if not first.keys() & second.keys():
                continue  # another model, or only an adapter: names with nothing in common are no change
            lost = first.keys() - second.keys()
            other = {n for n in first.keys() & second.keys() if first[n] != second[n]}
            if _grown(first, second, other):
                other = set()
            if lost or other:
                return _changed(a, b, first, second, sorted(lost), sorted(other))
    return None


def _changed(
    a: Checkpoint, b: Checkpoint, first: dict[str, Shape], second: dict[str, Shape], lost: list[str], other: list[str]
) -> Sick:
    parts = []
    if lost:
        parts.append(f"{len(lost)} of {len(first)} weights of {told(a)} are gone in {told(b)}: {listed(lost)}")
    if other:
        name = other[0]
        parts.append(
            f"{len(other)} have another shape in {told(b)}: {name} was {list(first[name])} and is {list(second[name])}"
        )
    return Sick(
        "; ".join(parts),
        evidence=(
            Measure("weights lost", len(lost), f"of {len(first)}", b.path),
            Measure("weights of another shape", len(other), f"of {len(first)}", b.path),
            *(Measure(f"lost: {n}", str(list(first[n])), None, a.path) for n in lost[:8]),
            *(Measure(f"shape of {n}", f"{list(first[n])} -> {list(second[n])}", None, b.path) for n in other[:8]),
        ),
        since_step=b.step,
        innocent="a model that is meant to change while it trains, such as a head that is thrown away",
        actions=(
            Action(
                f"Compare code and configuration of {told(a)} and {told(b)}; do not join their curves",
                "minutes",
                "measure",
            ),
        ),
    )


def _weights(save: Checkpoint) -> dict[str, Shape]:
    return {
        bare(t.name): t.shape
        for t in save.tensors
        if t.role == "model" and is_float(t) and t.elements and not is_buffer(t.name)
    }


def _grown(first: dict[str, Shape], second: dict[str, Shape], other: set[str]) -> bool:
    """Whether all shapes differ in the same way and in the number of rows alone: a table that got more rows."""
    ways = {(first[n][0], second[n][0]) for n in other if first[n] and second[n]}
    return len(ways) == 1 and all(len(first[n]) == len(second[n]) and first[n][1:] == second[n][1:] for n in other)


def sick() -> Iterator[Run]:
    """A layer gone; a layer of another width."""
    stage = examples.stage(loss=examples.decay(1000))
    layers = tuple(f"block.{i}" for i in range(6))
    whole = examples.checkpoint(200, examples.checkpoint_weights(2, layers=layers))
    yield examples.run(
        stage, checkpoints=[whole, examples.checkpoint(400, examples.checkpoint_weights(4, layers=layers[:-1]))]
    )
    wide = examples.checkpoint_weights(4, layers=layers) | examples.checkpoint_weights(4, layers=layers[:1], width=12)
    yield examples.run(stage, checkpoints=[whole, examples.checkpoint(400, wide)])


def healthy() -> Iterator[Run]:
    """The same weights; new ones; a wrapper; a scene that gets more points."""
    stage = examples.stage(loss=examples.decay(1000))
    yield examples.run(stage, checkpoints=examples.training((200, 400, 600)))
    more = [
        examples.checkpoint(s, examples.checkpoint_weights(s, layers=tuple(f"block.{i}" for i in range(s // 100))))
        for s in (200, 400)
    ]
    yield examples.run(stage, checkpoints=more)
    yield examples.run(
        stage, checkpoints=[examples.checkpoint(200), examples.checkpoint(400, examples.trained(400, prefix="module."))]
    )
    points = [
        examples.checkpoint(
            s,
            {
                f"model.{n}": examples.trained(s, width=max(4, s // 50))["model.head.weight"][:, :k]
                for n, k in (("xyz", 3), ("opacity", 1))
            },
        )
        for s in (200, 400, 600)
    ]
    yield examples.run(stage, checkpoints=points)
