"""PAR106 unseen-classes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.artifacts.profile import Profile
from runvet.evidence.datasets import DataSets
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.run import Run


@rule("PAR106", "unseen-classes", level="warning", since="0.1")
def unseen_classes(data: DataSets, *, fewest: float = 3.0, share: float = 0.05) -> list[Sick] | Unsure:
    """Held-out data hold classes that training does not.

    ## What it checks
    Classes of each split of a data set, by folders, names or side-cars: those of which validation or test hold at
    least three samples and 5 % of theirs, and training none.
    ## Why it matters
    The model cannot know them; the held-out metric has a ceiling that no training reaches, and indices of classes may
    be shifted between the splits.
    ## What to do
    Compare the lists of classes of the splits, and build the indices from one list.
    ## When to ignore it
    Zero-shot evaluation; a split by class on purpose.
    ## Known limits
    Only what was read of a large data set is compared; classes of fewer samples are left alone.
    ## References
    - Splits of zero-shot learning: Xian et al. 2019, doi 10.1109/TPAMI.2018.2857768.
    """
    judged = [(p, s) for p in data.profiles if (s := _by_split(p)).get("train") and len(s) > 1]
    if not judged:
        return Unsure(
            "no data set tells classes of training and held-out samples", "keep class folders below train/ and val/"
        )
    out = []
    for profile, splits in judged:
        known = splits["train"]
        for held in ("val", "test"):
            found = splits.get(held, {})
            whole = sum(found.values())
            new = {c: n for c, n in found.items() if c not in known and n >= fewest and n >= share * whole}
            # Names that never meet are file names, not classes.
            if new and set(found) & set(known) and len(known) >= 2 and profile.read >= 0.5 * profile.files:
                out.append(_report(profile, held, new, known, whole))
    return out


def _by_split(profile: Profile) -> dict[str, dict[str, int]]:
    out: dict[str, dict[str, int]] = {}
    for item in profile.items:
        if item.label and item.split:
            of = out.setdefault(item.split, {})
            of[item.label] = of.get(item.label, 0) + 1
    return out


def _report(profile: Profile, held: str, new: dict[str, int], known: dict[str, int], whole: int) -> Sick:
    shown = ", ".join(f"{c} ({n})" for c, n in sorted(new.items(), key=lambda p: -p[1])[:5])
    return Sick(
        f"{held} of {profile.name} holds {len(new)} classes that training does not: {shown}, {sum(new.values())} of its {whole} samples",
        (
            Measure(f"classes of {held} that training lacks", len(new), None, profile.name),
            Measure("their samples", sum(new.values()), None, f"of {whole}"),
            Measure("classes of training", len(known)),
        ),
        innocent="zero-shot evaluation",
        actions=(
            Action(
                f"Compare the class lists of train and {held}, and take {next(iter(new))} out or into both",
                "minutes",
                "repair",
            ),
        ),
    )


def _set(val: tuple[str, ...]) -> Run:
    files = {}
    for split, names in (("train", ("cat", "dog", "bird")), ("val", val)):
        for k, name in enumerate(names):
            for i in range(8):
                grid = np.random.default_rng(100 * k + i + (len(split) << 9)).normal(size=(12, 12))
                files[f"data/{split}/{name}/item_{i}.npy"] = {"array": grid}
    return made.with_files(files)


def sick() -> Iterator[Run]:
    """A class that only validation has."""
    yield _set(("cat", "dog", "horse"))


def healthy() -> Iterator[Run]:
    """The same classes; fewer in validation."""
    yield _set(("cat", "dog", "bird"))
    yield _set(("cat", "dog"))
