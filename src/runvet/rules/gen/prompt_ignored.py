"""GEN121 prompt-ignored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from runvet import examples_artifacts as made
from runvet.artifacts.model import Array
from runvet.evidence.grids import GridSamples, Solid
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import percent
from runvet.run import Run
from runvet.statistics.groups import groups_p
from runvet.statistics.proportions import share_bounds

FEWEST = 16  # samples
CLASSES = 3  # that samples and data share


@rule(
    "GEN121",
    "prompt-ignored",
    level="critical",
    since="0.1",
    explains=("GEN101", "GEN102", "GEN109"),
)
def prompt_ignored(grids: GridSamples, *, known: float = 0.7, heard: float = 0.01) -> Sick | Unsure | None:
    """Samples look like the data and not like what they were asked for.

    ## What it checks
    For each of at least 16 labelled samples the nearest item of the data (cells that differ) and its class, beside
    the rate at which items of the data find their own class that way (it must reach 0.7). Critical where the 95 %
    interval of the samples' rate (Clopper and Pearson) holds that of shuffled labels and ends below the middle between
    it and the data's, although the classes that they resemble are as many as were asked for, and the numbers of filled
    cells do not differ between the classes asked for (Kruskal-Wallis by permutation).
    ## Why it matters
    The condition does not reach the model, or only in training: a prompt is decoration, whatever the loss says.
    ## What to do
    Follow one prompt to the first layer that uses it: is it encoded, does its gradient exist, is it passed on when
    sampling? Two prompts with the same seed must give two samples.
    ## When to ignore it
    Samples drawn without a condition on purpose, labelled by something else.
    ## Known limits
    Noise and empty samples resemble one class only and are left to other rules.
    ## References
    - Classification accuracy score: Ravuri and Vinyals 2019, arXiv 1905.10887.
    """
    labels = {g.label for g in grids.samples} & {g.label for g in grids.data} - {""}
    samples = [g for g in grids.samples if g.label in labels and g.filled]
    data = [g for g in grids.data if g.label in labels]
    if len(labels) < CLASSES or len(samples) < FEWEST:
        return Unsure(
            f"{len(samples)} samples of {len(labels)} classes that the data have",
            "keep 16 or more samples of three classes or more, with their prompts",
        )
    if len({g.grid.shape for g in (*samples, *data)}) != 1:
        return None
    flat = np.stack([g.grid.ravel() for g in data])
    told = [g.label for g in data]
    found = [told[_nearest(flat, g.grid)] for g in samples]
    own = _own_rate(flat, told)
    right = float(np.mean([a == g.label for a, g in zip(found, samples, strict=True)]))
    shuffled = _shuffled(found, [g.label for g in samples])
    if own < known or _kinds(found) < 0.6 * _kinds([g.label for g in samples]):
        return None
    low, high = share_bounds(round(right * len(samples)), len(samples))
    # A model that makes more or fewer cells of one class than of another has heard what was asked for.
    asked = [g for g in grids.samples if g.label in labels]
    if low > shuffled or groups_p([g.filled for g in asked], [g.label for g in asked]) < heard:
        return None
    if high > (shuffled + own) / 2:
        return Unsure(f"{len(samples)} samples do not tell whether the prompt has an influence", "keep more samples")
    return _report(grids, samples, found, right, shuffled, own)


def _report(
    grids: GridSamples, samples: Sequence[Solid], found: Sequence[str], right: float, shuffled: float, own: float
) -> Sick:
    hits = round(right * len(samples))
    first = next(i for i, g in enumerate(samples) if found[i] != g.label)
    return Sick(
        f"{hits} of {len(samples)} samples of {grids.when} resemble what they were asked for ({percent(right)}); shuffled labels"
        f" would give {percent(shuffled)}, items of the data reach {percent(own)}: what is asked for has no influence that can be seen",
        evidence=(
            Measure("samples nearest to an item of their own class", hits, f"of {len(samples)}", grids.where),
            Measure("share with shuffled labels", round(shuffled, 4)),
            Measure("share among items of the data", round(own, 4), None, f"{len(grids.data)} grids"),
            Measure(f"asked for {samples[first].label}, resembles", found[first], None, samples[first].name),
        ),
        since_step=grids.since,
        innocent="the samples were drawn without a condition on purpose",
        actions=(
            Action(
                "Draw two prompts with one seed: equal samples show that the prompt does not reach the model; follow it to"
                " the first layer that uses it, in training and in sampling",
                "minutes",
                "repair",
            ),
        ),
    )


def _nearest(flat: Array, grid: Array) -> int:
    return int((flat != grid.ravel()).sum(axis=1).argmin())


def _own_rate(flat: Array, told: Sequence[str]) -> float:
    """How often an item's nearest other item has its class; copies of an item would answer for it and do not count."""
    hits = []
    for row in range(len(flat)):
        apart = (flat != flat[row]).sum(axis=1).astype(np.float64)
        apart[apart == 0] = np.inf
        if np.isfinite(apart).any():
            hits.append(told[int(apart.argmin())] == told[row])
    return float(np.mean(hits)) if hits else 0.0


def _shuffled(found: Sequence[str], asked: Sequence[str]) -> float:
    """The share that would be right if labels were dealt out anew."""
    a, b = Counter(found), Counter(asked)
    return sum(a[k] * b[k] for k in b) / (len(found) * len(asked))


def _kinds(labels: Sequence[str]) -> float:
    """How many classes are in use: the exponential of the entropy."""
    share = np.array(list(Counter(labels).values())) / len(labels)
    return float(np.exp(-(share * np.log(share)).sum()))


def _box(kind: int, seed: int) -> Array:
    """A slab, a column or a block at the middle of the ground."""
    rng = np.random.default_rng(seed)
    grid = np.zeros((12, 12, 12), np.uint8)
    wide, high, deep = ((9, 2, 9), (3, 10, 3), (6, 6, 6), (10, 6, 2))[kind]
    wide, high, deep = (int(n + rng.integers(0, 2)) for n in (wide, high, deep))
    x, z = 6 - wide // 2, 6 - deep // 2
    grid[x : x + wide, :high, z : z + deep] = 1 + rng.integers(2)
    return grid


NAMES = ("slab", "tower", "block", "wall")


def _files(folder: str, kinds: Sequence[int], names: Sequence[int], seed: int) -> dict[str, dict[str, Array]]:
    return {
        f"{folder}/{NAMES[name]}_{i:03d}.npz": {"voxels": _box(kind, seed + i)}
        for i, (kind, name) in enumerate(zip(kinds, names, strict=True))
    }


def sick() -> Iterator[Run]:
    """Four classes, and labels that have nothing to do with them; each label with all classes in turn."""
    data = _files("data", [i % 4 for i in range(60)], [i % 4 for i in range(60)], 0)
    rng = np.random.default_rng(0)
    asked = [i % 4 for i in range(32)]
    yield made.with_files(data | _files("samples/step_900", [int(k) for k in rng.permutation(asked)], asked, 500))
    yield made.with_files(data | _files("samples/step_900", [i // 8 for i in range(32)], asked, 700))


def healthy() -> Iterator[Run]:
    """Samples of the class asked for; a few wrong ones."""
    data = _files("data", [i % 4 for i in range(60)], [i % 4 for i in range(60)], 0)
    asked = [i % 4 for i in range(24)]
    yield made.with_files(data | _files("samples/step_900", asked, asked, 500))
    some = [(k + 1) % 4 if i % 7 == 3 else k for i, k in enumerate(asked)]
    yield made.with_files(data | _files("samples/step_900", some, asked, 500))
