"""PAR103 splits-differ."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss, ValLoss
from runvet.evidence.splits import COUNTS, SplitFacts
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num
from runvet.run import Stage


@rule("PAR103", "splits-differ", level="warning", since="0.1", explains=("LOSS109",))
def splits_differ(splits: SplitFacts, loss: TrainLoss, held_out: ValLoss, *, gap: float = 2.0) -> Iterator[Sick]:
    """Held-out losses are far above training's, and their splits have another number of views, classes or channels.

    ## What it checks
    Lines and settings that tell facts of each split (`split=train views=2`, `data.val.num_views`): numbers of views, cameras, classes, channels and
    sensors that differ between training and held-out data. Told only where the held-out loss is at least twice the
    training loss at the end, so that the difference may be the reason.
    ## Why it matters
    The held-out number is then that of another task, and the gap to training is no over-fitting.
    ## What to do
    Evaluate with the training's number too, and report both; or train with a number drawn at random.
    ## When to ignore it
    The model is meant for another number than it was trained with.
    ## Known limits
    Only what log or settings tell per split is known.
    ## References
    - Models of a varying number of views: Keetha et al. 2025, arXiv 2509.13414.
    """
    own, other = (
        float(np.median(part.lead.finite().value[-5:])) if len(part.lead.finite()) else 0.0 for part in (loss, held_out)
    )
    if own <= 0 or other < gap * own:
        return
    yield from _told(splits, f"{held_out.lead.name} {num(other)} against {loss.lead.name} {num(own)}")


def _told(splits: SplitFacts, gap: str) -> Iterator[Sick]:
    train = splits.facts.get("train", {})
    for held in ("val", "test"):
        known = splits.facts.get(held, {})
        for name in sorted(set(train) & set(known) & COUNTS):
            (own, line), (other, place) = train[name], known[name]
            if own != other:
                yield Sick(
                    f"{held} has {name} {other}, training {own}, beside {gap}",
                    evidence=(
                        Measure(f"{name} in training", own, None, line.where),
                        Measure(f"{name} in {held}", other, None, place.where),
                    ),
                    innocent="the model is meant for another number than it was trained with",
                    actions=(
                        Action(
                            f"Evaluate with {name} {own} too before calling the gap to training over-fitting",
                            "minutes",
                            "measure",
                        ),
                    ),
                )


def _stage(train: int, val: int, high: float = 5.0) -> Stage:
    texts = (f"split=train views={train} size=64", f"split=val views={val} size=64")
    events = [examples.event("range", text, line=i + 1) for i, text in enumerate(texts)]
    return examples.stage(
        loss=examples.decay(200), val_loss=examples.decay(20, start=9.0, end=high), events=events, console=True
    )


def sick() -> Iterator[Stage]:
    """Two views against four, in lines and in settings."""
    yield _stage(2, 4)
    told = {"data.train.num_views": 2, "data.val.num_views": 4}
    yield examples.stage(loss=examples.decay(200), val_loss=examples.decay(20, start=9.0, end=5.0), settings=told)


def healthy() -> Iterator[Stage]:
    """Two views in both; two against four without a gap."""
    yield _stage(2, 2, 1.2)
    yield _stage(2, 4, 1.2)
