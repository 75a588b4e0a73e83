"""GEN115 empty-samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.grids import GridSamples
from runvet.evidence.sounds import SoundSamples
from runvet.evidence.text_samples import TextSamples
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.run import Run, Stage
from runvet.statistics.proportions import fisher_greater, share_bounds

Told = tuple[str, str, float | None, list[bool], list[bool], str]


@rule("GEN115", "empty-samples", level="critical", since="0.1", explains=("GEN105",))
def empty_samples(
    stage: Stage, grids: GridSamples | None, sounds: SoundSamples | None, texts: TextSamples | None,
    *, most: float = 0.5, p_value: float = 0.01,
) -> Sick | Unsure | None:  # fmt: skip
    """Samples hold nothing: grids without a filled cell, silent recordings, texts without a character.

    ## What it checks
    Samples of the last step, at least three. Critical where half of them are empty and the data are not; a warning
    where Fisher's exact test says that they are emptier than the data (p below 0.01).
    ## Why it matters
    The mean of the others looks right, and every eighth user gets nothing.
    ## What to do
    Raise the temperature or change the order in which cells are drawn; check the end-of-text token and the decoder.
    ## When to ignore it
    Empty answers were asked for.
    ## Known limits
    Data that were not kept are taken to hold no empty item.
    ## References
    - Clopper and Pearson 1934, The use of confidence or fiducial limits, Biometrika 26.
    """
    told: list[Told] = []
    if grids is not None and not grids.tokens:
        told.append(("grids", grids.when, grids.since, [g.filled == 0 for g in grids.samples], [g.filled == 0 for g in grids.data], grids.where))  # fmt: skip
    if sounds is not None:
        told.append(("recordings", sounds.when, sounds.since, [s.silent for s in sounds.sounds], [s.silent for s in sounds.data], sounds.where))  # fmt: skip
    if texts is not None:
        told.append(("texts", texts.when, texts.since, [not t.strip() for t in texts.texts], [not t.strip() for t in texts.data], texts.where))  # fmt: skip
    if not told:
        return Unsure(f"no grids, recordings or texts among the samples of {stage.name}", "keep samples below samples/step_N/", applicable=False)  # fmt: skip
    judged = [one for one in told if len(one[3]) >= 3]
    for what, when, since, made_empty, real_empty, where in judged:
        k, n = sum(made_empty), len(made_empty)
        j, m = sum(real_empty), len(real_empty)
        p = fisher_greater(k, n, j, m) if m else 1.0
        half = k >= most * n and (j < 0.1 * m or not m)
        if k and (half or p < p_value):
            return _report(what, when, since, (k, n, j, m), p, where, worst=half)
    return None if judged else Unsure("fewer than three samples of the last step", "keep 8 or more samples")


def _report(
    what: str, when: str, since: float | None, counts: tuple[int, int, int, int], p: float, where: str, *, worst: bool
) -> Sick:
    k, n, j, m = counts
    low, high = share_bounds(k, n)
    beside = f", {j} of {m} of the data are" if m else ""
    return Sick(
        f"{k} of {n} {what} of {when} are empty ({100 * low:.0f} to {100 * high:.0f} % of all such samples, 95 % sure){beside}",
        evidence=(
            Measure("empty samples", k, f"of {n}", where),
            *((Measure("empty items of the data", j, f"of {m}"), Measure("p of Fisher's exact test", float(f"{p:.2g}"))) if m else ()),
        ),
        since_step=since,
        innocent="empty answers were asked for",
        actions=(Action(f"Draw 20 samples more from this checkpoint and count the empty ones; look at what ends or empties them (temperature, order of"
                        f" drawing, end token, scaling of {what})", "minutes", "measure"),),
        level=None if worst else "warning",
    )  # fmt: skip


def sick() -> Iterator[Run]:
    """Five of nine grids, silent recordings, empty texts."""
    data = made.grids("dataset", [made.tree(i) for i in range(40)])
    air = np.zeros((12, 12, 12), np.uint8)
    yield made.with_files(data | made.grids("samples/step_9", [*[air] * 5, *(made.tree(90 + i) for i in range(4))]))
    yield made.with_files(data | made.grids("samples/step_9", [*[air] * 3, *(made.tree(90 + i) for i in range(9))]))
    silence = {f"samples/step_9/{i}.npy": {"array": np.zeros(4000, np.float32)} for i in range(4)}
    yield made.with_files(silence)
    yield made.with_files({"samples/step_9/texts.jsonl": [{"text": ""}] * 4 + [{"text": "one two three"}]})


def healthy() -> Iterator[Run]:
    """All hold something; one of twelve is empty; data that are as empty."""
    data = made.grids("dataset", [made.tree(i) for i in range(40)])
    air = np.zeros((12, 12, 12), np.uint8)
    yield made.with_files(data | made.grids("samples/step_9", [made.tree(90 + i) for i in range(9)]))
    bare = made.grids("dataset", [*(made.tree(i) for i in range(20)), *[air] * 8], name="item")
    yield made.with_files(bare | made.grids("samples/step_9", [air, *(made.tree(90 + i) for i in range(3))]))
