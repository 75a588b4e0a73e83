"""GEN110 few-effective-actions."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.diversity import Diversity, Use
from runvet.rules import Action, Measure, Sick, Unsure, Window, rule
from runvet.run import Stage

FEWEST = 20  # points from which a level can be told


@rule("GEN110", "few-effective-actions", level="warning", since="0.1")
def few_effective_actions(diversity: Diversity, *, power: float = 0.5, fallen: float = 0.1) -> Sick | Unsure | None:
    """Few of the codes or actions are in use.

    ## What it checks
    Entropy e of codes or actions (exp(e) are effectively in use), their perplexity, count or share. A warning where
    the second half of the run stays below size ** 0.5 (an entropy below half of its maximum); where the size is
    unknown, where it fell below a tenth of its own early level.
    ## Why it matters
    A codebook or action space that has collapsed carries almost nothing: reconstruction may still be good, but what
    is trained on the codes later cannot choose.
    ## What to do
    Measure the use over a whole epoch. Restart unused codes, lower the commitment weight, add an entropy term, or
    use fewer codes.
    ## When to ignore it
    The data truly has one dominant action, or the measure is taken over batches too small to hold more.
    ## Known limits
    Perplexity and counts depend on how many codes one batch holds; where that is near the number in use, the
    rule does not decide.
    ## References
    - van den Oord et al. 2017, Neural Discrete Representation Learning, arXiv 1711.00937.
    - Batch size and perplexity: bshall/VectorQuantizedVAE#3.
    """
    unsure: Unsure | None = None
    for use in diversity.uses:
        if len(use.effective) < FEWEST:
            continue
        half = use.effective[len(use.effective) // 2 :]
        level, recent = float(np.median(half)), float(np.median(half[len(half) // 2 :]))
        early = float(np.median(use.effective[: max(5, len(use.effective) // 10)]))
        known = not math.isnan(use.size)
        if known and (use.size < 4 or max(level, recent) >= use.size**power):
            continue
        if not known and max(level, recent) >= fallen * early:
            continue
        if use.unit != "entropy" and level >= 0.5 * diversity.batch:
            unsure = Unsure(
                f"{use.series.name}: {level:.3g} {use.noun} in batches of {diversity.batch:g} samples",
                f"count the {use.noun} in use over a whole epoch",
            )
            continue
        return _report(use, diversity, known, early)
    return unsure


def _report(use: Use, diversity: Diversity, known: bool, early: float) -> Sick:
    series, last = use.series, float(use.effective[-1])
    of = f" of {use.size:,.0f}" if known else f", {early:,.3g} in the first tenth"
    counts = [u for u in diversity.uses if u.unit == "count" and u.noun == use.noun and u is not use]
    beside = f" ({counts[0].series.last:g} in use)" if counts else ""
    shown = f"{last:.1f}" if last < 100 else f"{last:,.0f}"
    meaning = "" if use.unit == "count" else f" = {shown} {use.noun}"
    axis, x = series.axis, series.x()
    half = use.effective[len(use.effective) // 2 :]
    return Sick(
        f"{series.name} {series.last:.6g}{meaning}{of}{beside}; median {np.median(half):.3g} over the second half",
        evidence=(
            Measure(f"last {series.name}", series.last, None, series.where(len(series) - 1)),
            Measure(f"effective {use.noun}", round(last, 3), use.noun),
            *((Measure(f"{use.noun} there are", use.size, use.noun, use.source),) if known else ()),
            *(Measure(f"last {u.series.name}", u.series.last, use.noun) for u in counts[:1]),
        ),
        since_step=float(x[len(x) // 10]) if axis == "step" and known else None,
        innocent=f"the data truly needs only few {use.noun}, or one batch holds too few to show more",
        actions=(
            Action(f"Count the {use.noun} in use over a whole epoch", "minutes", "measure"),
            Action(f"Restart unused {use.noun} or add an entropy term before training on them", "a restart", "change"),
        ),
        window=Window(series.name, float(x[len(x) // 2]), float(x[-1]), axis),
    )


def sick() -> Iterator[Stage]:
    """Two of sixteen actions, a codebook of 1024 with a perplexity of 6, a codebook that falls to nothing."""
    few = examples.level(2000, 0.48, noise=0.1)
    yield examples.stage(
        train__loss=examples.decay(2000),
        train__action_entropy=few,
        train__unique_actions=np.where(np.arange(2000) % 3 == 0, 3.0, 2.0),
        settings={"n_actions": 16, "batch_size_per_gpu": 8},
    )
    yield examples.stage(
        loss=examples.decay(500), codebook_perplexity=examples.level(500, 6.0), settings={"codebook_size": 1024}
    )
    falling = np.concatenate([examples.level(100, 300.0), examples.level(400, 4.0)])
    yield examples.stage(loss=examples.decay(500), code_perplexity=falling)


def healthy() -> Iterator[Stage]:
    """Many in use, use that grows from little, a small batch, a policy's entropy beside its reward."""
    grown = 1.31 + 0.63 * np.linspace(0, 1, 2000) ** 0.2
    yield examples.stage(loss=examples.decay(2000), action_entropy=grown, settings={"n_actions": 16})
    yield examples.stage(
        loss=examples.decay(500), codebook_perplexity=examples.level(500, 240.0), settings={"codebook_size": 512}
    )
    slow = np.concatenate([examples.level(150, 1.2), examples.level(350, 90.0)])
    yield examples.stage(loss=examples.decay(500), codebook_perplexity=slow, settings={"codebook_size": 512})
    yield examples.stage(
        loss=examples.decay(500), action_entropy=examples.level(500, 2.2), unique_actions=examples.level(500, 10.0)
    )
