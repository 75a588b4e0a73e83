"""How many codes or actions a stage uses, out of how many it has."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from runvet.evidence import Missing, provides
from runvet.evidence.settings import place_of
from runvet.roles import words
from runvet.run import FloatArray, Series, Stage, number

ACTIONS = (
    "n_actions",
    "num_actions",
    "action_vocab_size",
    "num_latent_actions",
    "n_latent_actions",
    "latent_action_vocab",
)
CODES = ("codebook_size", "n_embed", "num_embeddings", "n_codes", "num_codes", "num_codebook_vectors", "codebook_num",
         "num_code", "nb_code", "codebook_vectors", "n_e", "num_tokens")  # fmt: skip
BATCH = ("batch_size_per_gpu", "batch_size", "per_device_train_batch_size", "train_batch_size", "batch")
_LEVELS = 1 << 16  # of one latent dimension
_CODE = re.compile(r"code|codes|codebook|vq|quant|token|tokens|latent|cluster|dictionary")


@dataclass(frozen=True, slots=True)
class Use:
    """One series of diversity: `effective` (n,) is how many are in use at each point, in units of `noun`.

    `size` is how many there are, with its source, or NaN where nothing says so. `unit` tells what the series itself
    holds: "entropy" (nats or bits), "count", "perplexity" or "share".
    """

    series: Series
    effective: FloatArray
    size: float
    source: str
    noun: str
    unit: str


@dataclass(frozen=True, slots=True)
class Diversity:
    """All series of diversity of a stage, entropies first; `batch` is the samples per batch, NaN where unknown."""

    uses: tuple[Use, ...]
    batch: float


@provides
def diversity(stage: Stage) -> Diversity | Missing:
    if stage.role("reward"):
        return Missing("the entropy of a policy is judged with its reward", "", applicable=False)
    uses = []
    for series in (*stage.role("entropy"), *stage.role("codebook_usage")):
        parts = words(series.name)
        acts = any(w.startswith("action") for w in parts)
        if not len(series.finite()) or not (acts or any(_CODE.fullmatch(w) for w in parts)):
            continue
        use = _use(stage, series.finite(), "actions" if acts else "codes")
        if use is not None:
            uses.append(use)
    if not uses:
        return Missing("no entropy or use of codes or actions", "log the entropy of the codes in use", applicable=False)
    told = stage.setting(*BATCH)
    return Diversity(tuple(uses), _number(told.value) if told else math.nan)


def _use(stage: Stage, series: Series, noun: str) -> Use | None:
    size, source = _size(stage, noun)
    joined, value = "_".join(words(series.name)), series.value
    if series.role == "entropy":
        top = float(value.max())
        if value.min() < -1e-6:
            return None
        bits = not math.isnan(size) and top > math.log(size) * 1.02
        return Use(series, np.exp2(value) if bits else np.exp(value), size, source, noun, "entropy")
    if "perplexity" in joined or "ppl" in joined:
        # A language model's perplexity of tokens is no use of codes.
        if "token" in joined and not re.search(r"code|vq|quant", joined):
            return None
        return Use(series, value, size, source, noun, "perplexity") if value.min() >= 0.99 else None
    if "unique" in joined or value.max() > 100.0 or (value.max() > 1.0 and np.all(value == np.round(value))):
        return Use(series, value, size, source, noun, "count")
    share = value if value.max() <= 1.0 else value / 100.0
    return Use(series, share * size, size, source, noun, "share") if not math.isnan(size) else None


def _size(stage: Stage, noun: str) -> tuple[float, str]:
    for name in ACTIONS if noun == "actions" else CODES:
        told = stage.setting(name)
        if told is not None and _number(told.value) >= 2:
            return _number(told.value), place_of(told)
    bins, dim = stage.setting("num_bins"), stage.setting("latent_dim")
    if noun == "codes" and bins is not None and dim is not None:
        base, power = _number(bins.value), _number(dim.value)
        if 2 <= base <= _LEVELS and 1 <= power <= 32:
            return base**power, f"num_bins ** latent_dim in {bins.source}"
    return math.nan, ""


def _number(value: object) -> float:
    found = number(value)
    return math.nan if found is None else found
