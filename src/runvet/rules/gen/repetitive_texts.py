"""GEN117 repetitive-texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from runvet import examples_artifacts as made
from runvet.artifacts.texts import repetition
from runvet.evidence.text_samples import TextSamples
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.run import FloatArray, Run
from runvet.statistics.two_samples import mann_whitney


@rule("GEN117", "repetitive-texts", level="warning", since="0.1")
def repetitive_texts(
    texts: TextSamples, *, much: float = 0.5, factor: float = 3.0, p_value: float = 0.01
) -> Sick | Unsure | None:
    """Generated texts go round in circles.

    ## What it checks
    The share of each text's sequences of four words that came before in it, for texts of at least 40 words of the last
    step, at least three. A warning where the median is above one half; where five texts of the data can be compared, it
    must also be three times theirs with p below 0.01 (Mann-Whitney).
    ## Why it matters
    A loop has a high likelihood, so the loss looks good while nothing can be read.
    ## What to do
    Sample with temperature 1 and nucleus sampling: if the loops go, it was greedy decoding. If they stay, look for
    repeated lines in the training data and for too few steps.
    ## When to ignore it
    Verse with refrains, tables and code.
    ## Known limits
    Languages that are written without spaces are not judged.
    ## References
    - Holtzman et al. 2020, The curious case of neural text degeneration, arXiv 1904.09751.
    - Welleck et al. 2020, Neural text generation with unlikelihood training, arXiv 1908.04319.
    """
    own, data = _repetitions(texts.texts), _repetitions(texts.data)
    if len(own) < 3:
        return Unsure(f"{len(own)} texts of 40 words or more", "keep 8 samples of 100 words or more")
    middle = float(np.median(own))
    if middle <= much:
        return None
    known = len(data) >= 5
    p = mann_whitney(own, data) if known else float("nan")
    usual = float(np.median(data)) if known else float("nan")
    if known and (p > p_value or middle < factor * usual):
        return None
    worst = max(range(len(texts.texts)), key=lambda i: np.nan_to_num(repetition(texts.texts[i]), nan=-1.0))
    beside = f", in the data {usual:.2f} (n = {len(data)})" if known else ""
    return Sick(
        f"texts of {texts.when} repeat themselves: {middle:.2f} of a text's sequences of four words came before in it (median, n = {len(own)}){beside}",
        evidence=(
            Measure("repeated sequences of four words, median", round(middle, 4), "share", texts.where),
            Measure("the most repetitive text", round(float(own.max()), 4), "share", texts.names[worst]),
            *((Measure("repeated sequences in the data, median", round(usual, 4), "share", f"{len(data)} texts"),
               Measure("p of the Mann-Whitney test", float(f"{p:.2g}"))) if known else ()),
        ),
        since_step=texts.since,
        innocent="verse, tables or code, which repeat themselves by nature",
        actions=(Action("Sample again from this checkpoint with temperature 1 and nucleus sampling (p = 0.95): loops that go were those of greedy decoding", "minutes", "measure"),),
    )  # fmt: skip


def _repetitions(texts: Sequence[str]) -> FloatArray:
    values = np.array([repetition(t) for t in texts], np.float64)
    return values[np.isfinite(values)]


def _prose(seed: int, words: int = 90) -> str:
    rng = np.random.default_rng(seed)
    return " ".join(f"w{int(n)}" for n in rng.zipf(1.3, words) % 4000)


def sick() -> Iterator[Run]:
    """Loops without data to compare, and beside prose."""
    loops = [{"text": "the cat sat on the mat and " * 12}, {"text": "yes it is " * 30}, {"text": "so I say and " * 20}]
    yield made.with_files({"samples/step_900/texts.jsonl": [*loops, {"text": _prose(1)}]})
    data = {"data/train.jsonl": [{"text": _prose(10 + i)} for i in range(20)]}
    yield made.with_files(data | {"samples/step_900/texts.jsonl": [*loops, {"text": "no no " * 40}]})


def healthy() -> Iterator[Run]:
    """Prose; one loop of four; verse where the data are verse."""
    yield made.with_files({"samples/step_900/texts.jsonl": [{"text": _prose(i)} for i in range(6)]})
    yield made.with_files({"samples/step_900/texts.jsonl": [{"text": _prose(i)} for i in range(3)] + [{"text": "la " * 90}]})  # fmt: skip
    refrain = [{"text": f"{_prose(i, 20)} " + "row row row your boat gently down the stream " * 8} for i in range(12)]
    yield made.with_files({"samples/step_900/texts.jsonl": refrain[:4], "data/train.jsonl": refrain[4:]})
