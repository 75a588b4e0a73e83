"""GEN116 mix-unlike-data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.grids import GridSamples, Solid
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import percent
from runvet.run import FloatArray, Run
from runvet.statistics.permutation import permutation_p

KINDS = 64  # most frequent values that are told apart; the others are one


@rule("GEN116", "mix-unlike-data", level="warning", since="0.1")
def mix_unlike_data(
    grids: GridSamples, *, apart: float = 0.3, beyond: float = 2.0, p_value: float = 0.005
) -> Sick | Unsure | None:
    """Samples are built of other blocks, or use far fewer codes, than the data.

    ## What it checks
    The shares of values among the filled cells (all cells for tokens) of samples and data of the same class. A warning
    where half the L1 distance of the mean shares is above 0.3 and twice what halves of the data differ by, and a
    permutation test of whole grids gives p below 0.005.
    ## Why it matters
    Counts and connectedness can be right with everything made of one block, or with a tenth of the codebook.
    ## What to do
    Compare the most frequent values of both; check the order of the palette, class weights in the loss, and temperature.
    ## When to ignore it
    The samples were asked for other materials.
    ## Known limits
    Needs four samples and ten grids of the data; a permutation test of fewer cannot reach such a p.
    ## References
    - Total variation and permutation tests: Good 2005, doi 10.1007/b138696.
    """
    labels = {g.label for g in grids.samples}
    shared = labels & {g.label for g in grids.data}
    samples = [g for g in grids.samples if g.filled and (not shared or g.label in shared)]
    data = [g for g in grids.data if g.filled and (not shared or g.label in shared)]
    if len(samples) < 4 or len(data) < 10:
        return Unsure(f"{len(samples)} samples, {len(data)} grids of the data", "keep 8 samples, and the data beside the run")  # fmt: skip
    values, rows = _shares([*samples, *data])
    n = len(samples)
    distance = _apart(rows[:n], rows[n:])
    usual = _halves(rows[n:], n)
    if distance < max(apart, beyond * usual):
        return None
    p = permutation_p(rows, n, _apart)
    return _report(grids, values, rows, (n, distance, usual, p)) if p < p_value else None


def _shares(grids: Sequence[Solid]) -> tuple[list[int], FloatArray]:
    """The values, the most frequent first, and each grid's shares of them (n, k), the rest in the last column."""
    mixes = [{v: c / g.filled for v, c in g.values.items() if v not in g.background} for g in grids]
    total: Counter[int] = Counter()
    for mix in mixes:
        total.update(mix)
    values = [v for v, _ in total.most_common(KINDS)]
    known = np.array([[mix.get(v, 0.0) for v in values] for mix in mixes])
    return values, np.concatenate([known, 1 - known.sum(axis=1, keepdims=True)], axis=1)


def _apart(first: FloatArray, second: FloatArray) -> float:
    """Total variation: half the L1 distance of the mean shares, 0 to 1."""
    return float(np.abs(first.mean(axis=0) - second.mean(axis=0)).sum() / 2)


def _halves(rows: FloatArray, n: int, *, times: int = 200) -> float:
    """What `n` grids of the data differ from the others by, at most in 95 of 100 choices."""
    rng = np.random.default_rng(0)
    n = min(n, len(rows) // 2)
    orders = [rng.permutation(len(rows)) for _ in range(times)]
    return float(np.quantile([_apart(rows[o[:n]], rows[o[n:]]) for o in orders], 0.95))


def _report(grids: GridSamples, values: list[int], rows: FloatArray, told: tuple[int, float, float, float]) -> Sick:
    n, distance, usual, p = told
    own, data = rows[:n].mean(axis=0), rows[n:].mean(axis=0)
    worst = int(np.abs(own - data)[: len(values)].argmax())
    used, known = (float(np.exp(-(s[s > 0] * np.log(s[s > 0])).sum())) for s in (own, data))
    name = grids.called(values[worst])
    what = "codes" if grids.tokens else "blocks"
    return Sick(
        f"samples of {grids.when} are made of other {what} than the data: {name} makes up {percent(float(own[worst]))} of them and {percent(float(data[worst]))} of the data;"
        f" {used:.1f} {what} in effective use against {known:.1f}; n = {n}",
        evidence=(
            Measure("total variation of the shares", round(distance, 4), None, grids.where),
            Measure("total variation within the data, 95 %", round(usual, 4), None, f"{len(rows) - n} grids"),
            Measure(f"share of {name} in samples", round(float(own[worst]), 4)),
            Measure(f"share of {name} in the data", round(float(data[worst]), 4)),
            Measure("p of the permutation test", float(f"{p:.2g}"), None, f"{n} samples"),
        ),
        since_step=grids.since,
        innocent="the samples were asked for other materials than the data hold",
        actions=(Action(f"Decode one batch of real data through the sampler's path and compare the shares of {what}; check palette order and class weights", "minutes", "repair"),),
    )  # fmt: skip


def sick() -> Iterator[Run]:
    """Trees of leaves only; tokens that are nearly all the same."""
    data = made.grids("dataset", [made.tree(i) for i in range(40)])
    bare = [np.where(made.tree(90 + i) > 0, 1, 0).astype(np.uint8) for i in range(6)]
    yield made.with_files(data | made.grids("samples/step_9", bare))
    yield made.with_files(
        {f"data/{i}.npz": {"tokens": _tokens(i, 64)} for i in range(20)}
        | {f"samples/step_9/{i}.npz": {"tokens": _tokens(50 + i, 3)} for i in range(6)}
    )


def _tokens(seed: int, codes: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.random.default_rng(seed).integers(0, codes, (8, 8))


def healthy() -> Iterator[Run]:
    """The same blocks; one sample that is odd; codes as in the data."""
    data = made.grids("dataset", [made.tree(i) for i in range(40)])
    good = [made.tree(90 + i) for i in range(6)]
    yield made.with_files(data | made.grids("samples/step_9", good))
    yield made.with_files(data | made.grids("samples/step_9", [np.where(good[0] > 0, 1, 0).astype(np.uint8), *good[1:]]))  # fmt: skip
    yield made.with_files(
        {f"data/{i}.npz": {"tokens": _tokens(i, 64)} for i in range(20)}
        | {f"samples/step_9/{i}.npz": {"tokens": _tokens(50 + i, 64)} for i in range(6)}
    )
