"""How many outcomes the model chooses from: classes, tokens, codes, prototypes, candidates. A uniform guess costs their logarithm."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from runvet.evidence import Missing, provides
from runvet.evidence.alphabets import Alphabet, told_in, whole
from runvet.evidence.self_supervised import alternatives
from runvet.evidence.settings import name_of
from runvet.run import Stage


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Every number of outcomes that the settings or the log name; never empty."""

    alphabets: tuple[Alphabet, ...]

    def of(self, *what: str) -> tuple[Alphabet, ...]:
        """Those of a kind."""
        return tuple(a for a in self.alphabets if a.what in what)


CLASSES = frozenset(
    [
        "num_classes",
        "n_classes",
        "nb_classes",
        "nc",
        "num_labels",
        "n_labels",
        "num_class",
        "class_num",
        "classes",
        "num_cls",
    ]
)
TOKENS = frozenset(
    [
        "vocab_size",
        "n_vocab",
        "padded_vocab_size",
        "vocabulary_size",
        "num_tokens",
        "ntokens",
        "n_tokens",
        "vocab",
        "tokenizer_vocab_size",
    ]
)
CODES = frozenset(
    [
        "codebook_size",
        "num_embeddings",
        "n_embed",
        "n_codes",
        "num_codes",
        "codebook_num",
        "n_embeddings",
        "num_codebook_vectors",
        "codebook",
    ]
)
# Data sets whose number of classes everybody knows; the name must stand alone.
DATASETS = (
    (re.compile(r"(?<![a-z0-9])cifar[-_ ]?100(?![0-9])"), 100, "CIFAR-100"),
    (re.compile(r"(?<![a-z0-9])cifar[-_ ]?10(?![0-9])"), 10, "CIFAR-10"),
    (re.compile(r"(?<![a-z0-9])(?:fashion[-_ ]?|k)?mnist(?![a-z0-9])"), 10, "MNIST"),
    (re.compile(r"(?<![a-z0-9])svhn(?![a-z0-9])"), 10, "SVHN"),
    (re.compile(r"(?<![a-z0-9])stl[-_ ]?10(?![0-9])"), 10, "STL-10"),
    (re.compile(r"(?<![a-z0-9])tiny[-_ ]?imagenet"), 200, "Tiny ImageNet"),
    (re.compile(r"(?<![a-z0-9])(?:imagenet[-_ ]?1k|ilsvrc)"), 1000, "ImageNet"),
    (re.compile(r"(?<![a-z0-9])dbpedia"), 14, "DBpedia"),
    (re.compile(r"(?<![a-z0-9])ag[-_ ]?news"), 4, "AG News"),
    (re.compile(r"(?<![a-z0-9])(?:imdb|sst[-_ ]?2)(?![a-z0-9])"), 2, "IMDb or SST-2"),
)


def _from_settings(stage: Stage) -> Iterator[Alphabet]:
    for setting in stage.settings:
        key, size = name_of(setting), whole(setting.value)
        for names, what in ((CLASSES, "classes"), (TOKENS, "tokens"), (CODES, "codes")):
            if key in names and size is not None and size < 5_000_000:
                yield Alphabet(size, what, told_in(setting))
        levels = setting.value
        if key in ("levels", "fsq_levels") and isinstance(levels, list) and 2 <= len(levels) <= 12:
            each = [whole(v) for v in levels]
            if all(each):
                yield Alphabet(math.prod(v for v in each if v), "codes", told_in(setting))
    yield from _scalar_quantiser(stage)


def _scalar_quantiser(stage: Stage) -> Iterator[Alphabet]:
    """A finite scalar quantiser: so many bins in each latent dimension make bins ** dimensions codes."""
    bins = stage.setting("num_bins", "n_bins", "num_levels", "n_levels", "bins_per_dim")
    dims = stage.setting("latent_dim", "code_dim", "num_latent_dims", "n_dims", "z_dim", "fsq_dim")
    if bins is None or dims is None:
        return
    levels, width = whole(bins.value), whole(dims.value)
    if levels and width and levels <= 64 and width <= 24 and levels**width <= 1 << 24:
        yield Alphabet(levels**width, "codes", told_in(dims, bins))


def _from_words(stage: Stage) -> Iterator[Alphabet]:
    """Known data sets in settings, file names and the log's own lines."""
    texts = [(str(s.value), told_in(s)) for s in stage.settings if isinstance(s.value, str) and "data" in name_of(s)]
    texts += [(log.source, log.source) for log in stage.logs] + [(stage.name, stage.name), (stage.run, stage.run)]
    texts += [(e.text, e.where) for e in stage.events[:400]]
    for text, where in texts:
        low = unquote(text).lower()
        for pattern, size, name in DATASETS:
            if pattern.search(low):
                yield Alphabet(size, "classes", f"{name} in {where}")


@provides
def vocabulary(stage: Stage) -> Vocabulary | Missing:
    found: dict[tuple[int, str], Alphabet] = {}
    for one in (*_from_settings(stage), *_from_words(stage), *alternatives(stage)):
        found.setdefault((one.size, one.what), one)
    if found:
        return Vocabulary(tuple(found.values()))
    return Missing(
        "the number of classes or tokens is unknown", "keep the configuration beside the log (num_classes, vocab_size)"
    )
