"""What the names of files say: samples of a model, the data, predictions; at which step, of which class, which split."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Literal, TypeAlias

from runvet.artifacts.model import Item

What: TypeAlias = Literal["samples", "data"]

DATA = frozenset("data dataset datasets corpus corpora train_data training_data structures inputs blueprints".split())
REAL = frozenset("real reals gt truth reference references target targets original originals".split())
SAMPLE = frozenset(
    "sample samples generated generation generations gen fake fakes visualization visualizations visualisation visualisations"
    " vis viz recon recons reconstruction reconstructions preview previews rollout rollouts synthesized imagined output_images"
    " pictures generated_images inference validation_images".split()
)
PREDICTION = frozenset("pred preds prediction predictions predicted evaluation eval evals results test_results".split())
# Files that picture or describe something else than samples.
OTHER = frozenset("plot plots figure figures chart curve curves loss losses logo screenshot screenshots confusion histogram"
                  " metrics attention mask masks heatmap icon icons docs assets parity config configs seg segmentation semantic depth normals".split())  # fmt: skip
PLAIN = frozenset("sample samples img image images grid grids out output result voxel voxels data arr array item file generated gen"
                  " fake real reals fakes frame step iter epoch pred prediction the of and at id idx index no num number n"
                  " ep it iteration global seed train training val valid validation test dataset dev all".split())  # fmt: skip
STATE = frozenset(
    "checkpoint checkpoints ckpt ckpts weights model models optim optimizer optimiser state scheduler ema rng".split()
)
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
          "test": "test", "testing": "test", "holdout": "test"}  # fmt: skip
# Folders beside the run that hold the items of a split.
SPLIT_FOLDERS = frozenset("train training trainset train_set".split())
_STEP = re.compile(
    r"(?i)(?<![a-z])(?:global_?steps?|steps?|iter(?:ation)?s?|it|updates?|kimg|nimg|fakes|s)[-_= ]?(\d{1,12})(?![\da-z])"
)
_EPOCH = re.compile(r"(?i)(?<![a-z])(?:epochs?|ep|e)[-_= ]?(\d{1,9})(?!\d)")
_WORD = re.compile(r"[a-z]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a group: its step (None where no name tells it), what the step counts, class label and split."""

    item: Item
    step: float | None = None
    axis: Literal["step", "epoch"] = "step"
    label: str = ""
    split: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Files that belong together: the same role, the same folder but for numbers, the same kind of name."""

    name: str
    what: What
    entries: tuple[Entry, ...]

    @property
    def steps(self) -> tuple[float, ...]:
        """The steps there are, in order."""
        return tuple(sorted({e.step for e in self.entries if e.step is not None}))

    def at(self, step: float | None) -> tuple[Entry, ...]:
        """The files of one step."""
        return tuple(e for e in self.entries if e.step == step)

    @property
    def last(self) -> tuple[Entry, ...]:
        """The files of the last step; all of them where no name tells a step."""
        return self.at(self.steps[-1]) if self.steps else self.entries

    @property
    def axis(self) -> str:
        """What the steps count."""
        return self.entries[0].axis


def words(part: str) -> list[str]:
    """The lower-case words of a folder's or file's name."""
    return list(_words(part))


@lru_cache(maxsize=4096)
def _words(part: str) -> tuple[str, ...]:
    """The same, remembered: thousands of files share their folders."""
    return tuple(_WORD.findall(_HUMP.sub("_", part).lower()))


def role(name: str) -> What | None:
    """What a file is by its path: a sample of the model, data, or None where the path does not tell."""
    parts = name.split("/")
    folders, stem = parts[:-1], parts[-1].rpartition(".")[0]
    told = [(set(words(p)) | {p.lower()}) for p in folders]
    in_name = set(words(stem))
    if any(t & OTHER for t in told) or in_name & OTHER:
        return None
    if any(t & REAL for t in told) or in_name & REAL:
        return "data"
    for each in told:
        if each & DATA:
            return "data"
        if each & SAMPLE:
            return "samples"
    if step_of(name)[0] is not None and not (in_name.union(*told) & STATE):
        return "samples"
    if len(parts) > 1 and parts[0].lower() in SPLIT_FOLDERS and not in_name.union(*told) & (PREDICTION | STATE):
        return "data"
    return None


def step_of(name: str) -> tuple[float | None, Literal["step", "epoch"]]:
    """The step (or else the epoch) that a path names, the deepest one first."""
    folder, slash, file = name.rpartition("/")
    parts = (folder + slash + file.rpartition(".")[0]).split("/") if "." in file else name.split("/")
    for pattern, axis in ((_STEP, "step"), (_EPOCH, "epoch")):
        for part in reversed(parts):
            found = pattern.search(part)
            if found:
                return float(found.group(1)), "step" if axis == "step" else "epoch"
    return None, "step"


def label_of(name: str) -> str:
    """The class that a file's name tells: `oak_tree_3.npz` -> `oak tree`; empty where it holds only plain words."""
    parts = name.split("/")
    stem = parts[-1].rpartition(".")[0]
    return " ".join(w for w in _words(stem) if w not in PLAIN and len(w) > 1)


def split_of(name: str) -> str:
    """`train`, `val` or `test` where a folder or the file's name has that word."""
    for part in reversed(name.split("/")):
        for word in _words(part):
            if word in SPLITS:
                return SPLITS[word]
    return ""


def groups(items: Iterable[Item], suffixes: Sequence[str]) -> tuple[Group, ...]:
    """The groups of samples and data among files with these suffixes, in the order of their names."""
    found: dict[tuple[What, str], list[Entry]] = {}
    for item in items:
        if item.suffix not in suffixes:
            continue
        what = role(item.name)
        if what is None:
            continue
        folder, _, file = item.name.rpartition("/")
        step, axis = step_of(item.name) if what == "samples" else (None, "step")
        entry = Entry(item, step, axis, label_of(file), split_of(item.name))
        found.setdefault((what, _pattern(folder) + item.suffix), []).append(entry)
    return tuple(
        Group(key.rpartition(".")[0], what, _numbered(entries, what)) for (what, key), entries in found.items()
    )


def everything(items: Iterable[Item], suffixes: Sequence[str]) -> tuple[Group, ...]:
    """All files with these suffixes as data, grouped by folder: for a path that a person calls data."""
    found: dict[str, list[Entry]] = {}
    for item in items:
        if item.suffix in suffixes:
            folder, _, file = item.name.rpartition("/")
            found.setdefault(_pattern(folder) + item.suffix, []).append(
                Entry(item, label=label_of(file), split=split_of(item.name))
            )
    return tuple(Group(key.rpartition(".")[0], "data", tuple(entries)) for key, entries in found.items())


@lru_cache(maxsize=4096)
def _pattern(folder: str) -> str:
    return re.sub(r"\d+", "#", folder)


def _numbered(entries: list[Entry], what: What) -> tuple[Entry, ...]:
    """Steps from bare numbers where no word names them: folders `samples/10000/…` or files `samples/10000.png`."""
    if what == "data" or any(e.step is not None for e in entries):
        return tuple(entries)
    folders = [e.item.parts[-2] if len(e.item.parts) > 1 else "" for e in entries]
    stems = [e.item.parts[-1].rpartition(".")[0] for e in entries]
    for names in (folders, stems):
        if all(n.isdigit() for n in names):
            numbers = sorted({int(n) for n in names})
            gaps = [b - a for a, b in pairwise(numbers)]
            # Files numbered 0, 1, 2 are samples of one moment; steps are further apart.
            if len(numbers) > 1 and min(gaps) >= (10 if names is stems else 2):
                return tuple(replace(e, step=float(n)) for e, n in zip(entries, names, strict=True))
    return tuple(entries)


def by_stem(group: Group) -> list[tuple[str, tuple[Entry, ...]]]:
    """The files of a group by the words of their names: pictures of different things in one folder."""
    ordered = sorted(group.entries, key=lambda e: words(e.item.parts[-1].rpartition(".")[0]))
    return [
        (" ".join(key), tuple(many))
        for key, many in groupby(ordered, key=lambda e: words(e.item.parts[-1].rpartition(".")[0]))
    ]
