"""PAR103 splits-differ."""

from __future__ import annotations

from collections.abc import Iterator

from runvet import examples
from runvet.evidence.splits import COUNTS, SplitFacts
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Stage


@rule("PAR103", "splits-differ", level="warning", since="0.1", explains=("LOSS109",))
def splits_differ(splits: SplitFacts) -> Iterator[Sick]:
    """Validation or test give the model another number of views, classes or channels than training.

    ## What it checks
    Lines that print facts of each split (`split=train views=2`): numbers of views, cameras, classes, channels and
    sensors that differ between training and held-out data.
    ## Why it matters
    The held-out number is then that of another task, and the gap to training is no over-fitting.
    ## What to do
    Evaluate with the training's number too, and report both; or train with a number drawn at random.
    ## When to ignore it
    The model is meant for another number than it was trained with.
    ## Known limits
    Only what the log prints per split is known.
    ## References
    - Models of a varying number of views: Keetha et al. 2025, arXiv 2509.13414.
    """
    train = splits.facts.get("train", {})
    for held in ("val", "test"):
        known = splits.facts.get(held, {})
        for name in sorted(set(train) & set(known) & COUNTS):
            (own, line), (other, place) = train[name], known[name]
            if own != other:
                yield Sick(
                    f"{held} has {name} {other}, training {own}",
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


def _stage(train: int, val: int) -> Stage:
    texts = (f"split=train views={train} size=64", f"split=val views={val} size=64")
    events = [examples.event("range", text, line=i + 1) for i, text in enumerate(texts)]
    return examples.stage(loss=examples.decay(200), events=events, console=True)


def sick() -> Iterator[Stage]:
    """Two views against four."""
    yield _stage(2, 4)


def healthy() -> Iterator[Stage]:
    """Two views in both."""
    yield _stage(2, 2)
