"""GEN105 identical-samples."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from runvet import examples_artifacts as made
from runvet.artifacts.model import Array
from runvet.artifacts.texture import grey
from runvet.evidence.likeness import Likeness, distances
from runvet.evidence.pictures import Picture, PictureSamples
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules.data._pictures import taken_again
from runvet.run import Run

FEWEST = 8  # pictures that are compared with each other alone
PLAIN = 8.0  # levels of 255: pictures of less contrast are nearly the same by nature
LOST = 10.0  # times that pictures differed more before
FILM = re.compile(r"(?i)(?<![a-z])(?:frames?|videos?|views?|cam|camera|slices?|denois\w*|t\d+)(?![a-z])")


@rule("GEN105", "identical-samples", level="critical", since="0.1", explains=("GEN109",))
def identical_samples(
    samples: Likeness, pictures: PictureSamples | None, *, alike: float = 0.5, near: float = 0.1, fine: float = 0.06
) -> Sick | Unsure | None:
    """Samples of one step are copies of each other.

    ## What it checks
    The contents of the samples of the last step, at least four. Critical where all are equal, or where their typical
    distance is below a tenth of the data's, or where all samples of each prompt (class) are equal, for two prompts of
    two or more samples at least; a warning where half of six or more are copies. Silent where the data repeat themselves
    as much. Without data beside: eight pictures or more that differ from each other by less than 6 % of their own
    contrast where those of an earlier step differed ten times as much; a warning where they differ by less than 2 %
    and no earlier step tells more.
    ## Why it matters
    The model has collapsed to one answer, or the sampler is deterministic: the same for every seed and prompt.
    ## What to do
    Sample with other seeds and prompts. If they stay equal, check that noise and condition reach the model; in GANs
    look at the discriminator.
    ## When to ignore it
    All were asked for with the same seed and prompt on purpose.
    ## Known limits
    Samples of different sizes are compared by content only. Pictures named as frames or views are not compared without data.
    ## References
    - Mode collapse: Salimans et al. 2016, arXiv 1606.03498.
    """
    n = len(samples.names)
    if n < 4:
        return Unsure(f"{n} samples of the last step", "keep 8 or more samples with different seeds")
    copies = 1 - samples.distinct / n
    repeats = 1 - samples.data_distinct
    if samples.data_digests and repeats >= 0.5 * max(copies, 0.5):
        return None
    same = samples.distinct == 1
    some = n >= 6 and copies >= alike
    ratio = float("nan")
    if (
        not same
        and samples.data_vectors.shape[1] == samples.vectors.shape[1] > 0
        and n >= 6
        and len(samples.data_names) >= 10
    ):
        own, real = float(np.median(distances(samples.vectors))), float(np.median(distances(samples.data_vectors)))
        ratio = own / real if real > 0 else float("nan")
    close = ratio < near
    fixed = 0 if same else _fixed(samples)
    if not (same or some or close or fixed):
        return None if pictures is None or samples.data_names else _among_themselves(samples, pictures, fine)
    return Sick(
        (f"all {n} samples are the same" if same else f"every seed gives the same sample: for each of {fixed} prompts all samples are equal" if fixed
         else f"{n - samples.distinct} of {n} samples are copies of others" if some
         else f"the samples differ from each other by {ratio:.2g} of what the data do")
        + f" ({samples.what} of {samples.where})",
        evidence=(
            Measure("distinct samples", samples.distinct, f"of {n}", samples.names[0]),
            *((Measure("distinct items of the data", round(samples.data_distinct, 3), "share", f"{len(samples.data_names)} read"),) if samples.data_names else ()),
            *((Measure("distance between samples over distance in the data", round(ratio, 4)),) if np.isfinite(ratio) else ()),
        ),
        since_step=samples.step,
        innocent="all were asked for with the same seed and prompt",
        actions=(
            Action("Sample from this checkpoint with four seeds and two prompts: check that noise and condition reach the model", "minutes", "repair"),
        ),
        level=None if same or close or fixed else "warning",
    )  # fmt: skip


def _among_themselves(samples: Likeness, pictures: PictureSamples, fine: float) -> Sick | None:
    """Pictures of the last step that hardly differ from each other, beside those of earlier steps."""
    series = next((s for s in pictures.series if s.name == samples.where), None)
    if series is None or len(series.last) < FEWEST or all(FILM.search(p.name) for p in series.last):
        return None
    now = _spread(series.last)
    if not now < fine:
        return None
    steps = sorted({p.step for p in series.pictures if p.step is not None})[:-1]
    before = {step: _spread([p for p in series.pictures if p.step == step]) for step in steps}
    told = {step: spread for step, spread in before.items() if np.isfinite(spread)}
    apart = max(told, key=lambda s: told[s]) if told else None
    lost = apart is not None and told[apart] >= LOST * now
    if not lost and 3 * now >= fine:
        return None
    return Sick(
        f"the {len(series.last)} pictures differ from each other by {100 * now:.2g} % of their own contrast"
        + (f", those of {series.axis} {apart:,.0f} by {100 * told[apart]:.2g} %" if lost and apart is not None else "")
        + f" ({samples.what} of {samples.where})",
        evidence=(
            Measure("difference between pictures over their contrast", round(now, 5), None, samples.names[0]),
            *((Measure(f"the same at {series.axis} {apart:,.0f}", round(told[apart], 5)),) if lost and apart is not None else ()),
        ),
        since_step=samples.step,
        innocent="all were asked for with the same seed and prompt, or are frames of a still film",
        actions=(
            Action("Sample from this checkpoint with four seeds and two prompts: check that noise and condition reach the model", "minutes", "repair"),
        ),
        level=None if lost else "warning",
    )  # fmt: skip


def _spread(pictures: Sequence[Picture]) -> float:
    """The largest difference of a picture from the first (root mean square) over their contrast.

    NaN where there are fewer than eight of one size, or less contrast than tells anything.
    """
    images = [grey(p.image).mean(axis=2) for p in pictures]
    if len(images) < FEWEST or len({i.shape for i in images}) > 1:
        return float("nan")
    contrast = float(np.median([i.std() for i in images]))
    apart = [float(np.sqrt(((i - images[0]) ** 2).mean())) for i in images[1:]]
    return max(apart) / contrast if contrast >= PLAIN else float("nan")


def _fixed(samples: Likeness) -> int:
    """The prompts with several samples where for every one of them all are equal; 0 where one has two different ones."""
    by_label: dict[str, list[bytes]] = {}
    for label, digest in zip(samples.labels, samples.digests, strict=True):
        by_label.setdefault(label, []).append(digest)
    several = [d for label, d in by_label.items() if label and len(d) >= 2]
    return len(several) if len(several) >= 2 and all(len(set(d)) == 1 for d in several) else 0


def sick() -> Iterator[Run]:
    """One tree for every seed, few trees repeated, pictures that hardly differ."""
    data = made.grids("dataset", [made.tree(i) for i in range(40)])
    yield made.with_files(data | made.grids("samples/step_9", [made.tree(99)] * 5))
    yield made.with_files(data | made.grids("samples/step_9", [made.tree(90 + i % 3) for i in range(9)]))
    seeds: dict[str, dict[str, Array]] = {}
    for number, name in enumerate(("oak", "fir", "elm")):
        seeds |= made.grids("samples/step_9", [made.tree(90 + number)] * 2, name=name)
    yield made.with_files(data | seeds)
    one = made.scene(7)
    rng = np.random.default_rng(0)
    near = [np.clip(one.astype(int) + rng.integers(-3, 4, one.shape), 0, 255).astype(np.uint8) for _ in range(8)]
    yield made.with_files(
        made.pictures("data/train", [made.scene(50 + i) for i in range(20)]) | made.pictures("samples/step_9", near)
    )

    # No data beside: the pictures of an earlier step differed.
    yield made.with_files(
        made.pictures("samples/step_5", [made.scene(i) for i in range(8)]) | made.pictures("samples/step_9", near)
    )


def healthy() -> Iterator[Run]:
    """Different trees, of other materials; data that repeat themselves; different pictures; a still film."""
    film = [taken_again(1, i) for i in range(8)]
    yield made.with_files(made.pictures("samples/step_9", film, name="frame"))
    yield made.with_files(
        made.pictures("samples/step_5", [made.scene(i) for i in range(8)])
        | made.pictures("samples/step_9", [made.scene(i) for i in range(50, 58)])
    )
    varied = made.grids("dataset", [np.where(made.tree(i) == 2, 200 + i % 9, made.tree(i)) for i in range(40)])
    yield made.with_files(varied | made.grids("samples/step_9", [made.tree(90 + i) for i in range(8)]))
    data = made.grids("dataset", [made.tree(i) for i in range(40)])
    yield made.with_files(data | made.grids("samples/step_9", [made.tree(90 + i) for i in range(6)]))
    few = made.grids("dataset", [made.tree(i % 3) for i in range(40)])
    yield made.with_files(few | made.grids("samples/step_9", [made.tree(i % 3) for i in range(9)]))
    yield made.with_files(
        made.pictures("data/train", [made.scene(50 + i) for i in range(20)])
        | made.pictures("samples/step_9", [made.scene(i) for i in range(8)])
    )
