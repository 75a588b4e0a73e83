"""DATA109 mixed-scales."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from runvet import examples_artifacts as made
from runvet.artifacts.measuring import One, column
from runvet.artifacts.profile import Profile
from runvet.evidence.datasets import DataSets
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num, percent
from runvet.run import Run
from runvet.statistics.two_samples import mann_whitney


@rule("DATA109", "mixed-scales", level="warning", since="0.1")
def mixed_scales(data: DataSets, *, some: float = 0.02, factor: float = 20.0, p_value: float = 0.001) -> Iterator[Sick]:
    """Some items are scaled another way than the rest, or validation another way than training.

    ## What it checks
    Pictures, arrays and recordings of one data set. A warning where between 2 % and 98 % of the items lie within -1..1
    and all others reach beyond 16 (0..255 beside 0..1, or 16-bit amplitudes beside fractions), or where the spread of
    the held-out items differs from that of training by a factor of 20 with p below 0.001 (Mann-Whitney).
    ## Why it matters
    Half-scaled data look like black pictures or silence to the model; a validation of another scale measures nothing.
    ## What to do
    Scale where the data are read, by the type of the file; print minimum and maximum of a batch of each split.
    ## When to ignore it
    The loader divides by the range that it finds in each item.
    ## Known limits
    Whole-number grids and tables are not judged: their values are names or have units.
    ## References
    - Normalisation in one split only: pytorch/vision transforms `ToTensor`; mlpack/examples#213.
    """
    for found in data.profiles:
        if found.kind not in ("pictures", "arrays", "sounds") or len(found.items) < 20:
            continue
        varied = [i for i in found.items if i.sd > 0 and np.isfinite(i.high)]
        small = [i for i in varied if i.high <= 1.001 and i.low >= -1.001]
        large = [i for i in varied if i.high > 16]
        share = len(small) / max(1, len(varied))
        if some <= share <= 1 - some and len(small) + len(large) == len(varied) and min(len(small), len(large)) >= 2:
            yield _mixed(found, small, large)
            continue
        train, held = ([i for i in varied if i.split in names] for names in (("train",), ("val", "test")))
        if len(train) >= 10 and len(held) >= 5:
            ratio = float(np.median(column(held, "sd")) / np.median(column(train, "sd")))
            p = mann_whitney(column(held, "sd"), column(train, "sd"))
            if not 1 / factor < ratio < factor and p < p_value:
                yield _splits(found, train, held, ratio, p)


def _mixed(found: Profile, small: Sequence[One], large: Sequence[One]) -> Sick:
    n = len(small) + len(large)
    return Sick(
        f"{len(small)} of {n} items of {found.name} lie within -1 to 1 and {len(large)} reach {num(float(np.median(column(large, 'high'))))} ({percent(len(small) / n)} are scaled another way)",
        evidence=(
            Measure("items within -1..1", len(small), f"of {n}", small[0].name),
            Measure("items beyond 16", len(large), f"of {n}", large[0].name),
            Measure("highest value of the latter, median", float(np.median(column(large, "high")))),
        ),
        innocent="the loader divides by the range that it finds in each item",
        actions=(Action(f"Scale where the data are read; look at {small[0].name} beside {large[0].name}", "minutes", "repair"),),
    )  # fmt: skip


def _splits(found: Profile, train: Sequence[One], held: Sequence[One], ratio: float, p: float) -> Sick:
    spread = [float(np.median(column(part, "sd"))) for part in (train, held)]
    return Sick(
        f"held-out items of {found.name} vary {ratio:.3g} times as much as training items: standard deviation {spread[1]:.4g} against {spread[0]:.4g}",
        evidence=(
            Measure("standard deviation of a training item, median", float(f"{spread[0]:.5g}"), None, f"{len(train)} items"),
            Measure("standard deviation of a held-out item, median", float(f"{spread[1]:.5g}"), None, held[0].name),
            Measure("p of the Mann-Whitney test", float(f"{p:.2g}")),
        ),
        innocent="the loader scales each split by its own range",
        actions=(Action("Print minimum and maximum of one batch of each split as the model gets it", "minutes", "measure"),),
    )  # fmt: skip


def _arrays(folder: str, seeds: range, scale: float) -> dict[str, dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]]:  # fmt: skip
    return {
        f"{folder}/{i}.npz": {"features": (scale * np.random.default_rng(i).random((6, 40))).astype(np.float32)}
        for i in seeds
    }


def sick() -> Iterator[Run]:
    """A fifth of the arrays in 0..1 among 0..255; a validation that was not divided."""
    yield made.with_files(_arrays("data/a", range(32), 255.0) | _arrays("data/a", range(40, 48), 1.0))
    yield made.with_files(_arrays("data/train", range(30), 0.1) | _arrays("data/val", range(40, 52), 10.0))


def healthy() -> Iterator[Run]:
    """One scale; scales that vary from item to item; splits alike."""
    yield made.with_files(_arrays("data/a", range(40), 255.0))
    yield made.with_files({k: {"features": v["features"] * 1.3**i} for i, (k, v) in enumerate(_arrays("data/a", range(30), 0.2).items())})  # fmt: skip
    yield made.with_files(_arrays("data/train", range(30), 1.0) | _arrays("data/val", range(40, 52), 1.4))
