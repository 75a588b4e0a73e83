"""Where the settings say that the data of each split lie: paths, files and names of splits."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from runvet.artifacts.grouping import words
from runvet.evidence import Missing, provides
from runvet.run import Run, Setting, Split, Stage, number

SIDES: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trn", "trainset", "traindata"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "devset", "valset", "eval", "evaluation"), "val"),
    **dict.fromkeys(("test", "testing", "testset"), "test"),
}  # fmt: skip
# Words of a key whose value says where data lie.
PLACE = frozenset(
    "data dataset datasets file files path paths dir dirs folder root csv tsv json jsonl parquet txt text bin list filelist"
    " manifest ann anns annotation annotations anno images imgs img image shards split splits src source sources uri url urls"
    " h5 hdf5 npz npy lmdb records tfrecord tfrecords corpus prefix features labels input inputs index ids set subset subsets".split()
)
# Words of a key about something else than the data, and of what is meant to differ between the splits.
OTHER = frozenset(
    "transform transforms augment augmentation augmentations aug augs pipeline checkpoint checkpoints ckpt log logs logging"
    " output out save saves result results weight weights pretrained model models config configs cfg script tokenizer cache tmp"
    " optimizer scheduler loss metric metrics sampler collate backend format column columns field fields prompt template"
    " batch batches size shuffle workers worker drop pin prefetch persistent repeat crop flip resize lr seed steps iters"
    " interval every freq frequency epochs type class classes device verbose desc target targets".split()
)
# Words of a key that picks a part of the data: where one side alone has it, the same place means two parts.
PART = frozenset(
    "split splits subset fold folds fraction frac ratio pct percent percentage portion partition indices index ids range start"
    " end begin stop offset skip first last limit filter filters query where year years date dates until holdout exclude"
    " include mask scenes sequences mode phase samples num count length name".split()
)
SHARE = frozenset("split splits ratio fraction frac pct percent percentage portion prop proportion size len num n samples count".split())  # fmt: skip
FOLDS = frozenset("fold folds kfold kfolds cv crossval holdout loocv".split())
TRIAL = re.compile(r"(?i)(?<![a-z])(?:over_?fit\w*|sanity|debug\w*|smoke|fast_dev_run|memori[sz]e\w*|dry_?run|coco\d{1,3}(?!\d))(?![a-z])")  # fmt: skip
NAMES = frozenset("name note notes tag tags description comment experiment run title".split())
CONTENTS = frozenset("split splits meta metadata index manifest info folds fold annotations all".split())
TABLES = (".csv", ".tsv", ".jsonl", ".txt", ".bin")  # files of one split; archives and stores may hold several
_FILE = re.compile(r"\.[a-z][a-z0-9]{1,7}$", re.IGNORECASE)
Key: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sided:
    """A setting of one split; `key` is its key with `#` for the word of the split, `group` the section it stands in."""

    split: Split
    key: Key
    group: Key
    names: frozenset[str]
    setting: Setting


@dataclass(frozen=True, slots=True)
class SharedPlace:
    """The same place told for training and for a held-out split. `sure` where it is named as training's own."""

    split: Split
    train: Setting
    held: Setting
    sure: bool


@dataclass(frozen=True, slots=True)
class DataPlaces:
    """Places that settings tell for training and for a held-out split: how many are compared, and which are the same."""

    compared: int
    shared: tuple[SharedPlace, ...] = ()
    apart: str = field(default="")  # why equal places may still hold two parts


@provides
def data_places(stage: Stage, run: Run) -> DataPlaces | Missing:
    settings = [*stage.settings, *run.settings]
    by_file: dict[str, list[Setting]] = {}
    for setting in settings:
        by_file.setdefault(setting.source, []).append(setting)
    compared, shared = 0, []
    for several in by_file.values():
        for pairs, same in _compared([s for one in several if (s := sided(one)) is not None]):
            compared += pairs
            shared += same
    if not compared:
        return Missing("no settings name the data of both splits", "write the paths of training and validation data into the configuration", applicable=False)  # fmt: skip
    return DataPlaces(
        compared, tuple(shared), _apart(settings, f"{stage.name} {run.path.rpartition('/')[2]}") if shared else ""
    )


def sided(setting: Setting) -> Sided | None:
    """The split that the innermost telling part of a key names; None where none or two of them are named."""
    parts = setting.key.replace("-", "_").split(".")
    if any(w == "summary" for w in words(parts[0])):
        return None
    for i in range(len(parts) - 1, -1, -1):
        told = words(parts[i])
        found = {SIDES[w] for w in told if w in SIDES}
        if len(found) > 1:
            return None
        # `data.val.train: false` is about validation.
        last = i == len(parts) - 1
        if found and not (last and i and set(told) <= SIDES.keys() and isinstance(setting.value, bool)):
            bare = "_".join("#" if w in SIDES else w for w in told)
            key = tuple(p.lower() for p in (*parts[:i], bare, *parts[i + 1 :]))
            names = frozenset(w for p in parts[i:] for w in words(p)) - SIDES.keys()
            return Sided(found.pop(), key, key[:i] if last else key[: i + 1], names, setting)
    return None


def _compared(several: Sequence[Sided]) -> Iterator[tuple[int, list[SharedPlace]]]:
    """For each section and held-out split: how many places both sides tell, and those that are equal where nothing differs."""
    groups: dict[Key, dict[Key, dict[Split, Sided]]] = {}
    for one in several:
        groups.setdefault(one.group, {}).setdefault(one.key, {}).setdefault(one.split, one)
    for table in groups.values():
        for held in ("val", "test"):
            pairs = [(t["train"], t[held]) for t in table.values() if "train" in t and held in t]
            places = [(a, b) for a, b in pairs if _is_place(a) and _is_place(b)]
            if not places:
                continue
            alone = [
                s
                for t in table.values()
                for side in ("train", held)
                if (s := t.get(side)) and len({*t} & {"train", held}) == 1
            ]
            differs = any(_value(a.setting) != _value(b.setting) and not a.names & OTHER for a, b in pairs)
            parted = any(
                s.names & PART and not s.names & OTHER and s.setting.value not in (None, False, "", 0) for s in alone
            )
            same = [SharedPlace(held, a.setting, b.setting, _sure(a)) for a, b in places if _tells(a)]
            yield len(places), [] if differs or parted else same


def _is_place(one: Sided) -> bool:
    """Whether a setting says where the data of a split lie."""
    texts = _texts(one.setting)
    if not texts or one.names & OTHER:
        return False
    if one.names:
        return bool(one.names & PLACE)
    section = {w for part in one.group[-1:] for w in words(part)}
    return bool(section & {"data", "dataset", "datasets"}) or all("/" in t or _FILE.search(t) for t in texts)


def _texts(setting: Setting) -> list[str]:
    values = setting.value if isinstance(setting.value, list) else [setting.value]
    texts = [
        v.strip()
        for v in values
        if isinstance(v, str) and v.strip().lower() not in ("", "none", "null", "true", "false", "auto")
    ]
    return texts if len(texts) == len(values) else []


def _value(setting: Setting) -> object:
    """A value to compare: paths without what means nothing in them."""
    texts = _texts(setting)
    return sorted(posixpath.normpath(t.replace("\\", "/")) for t in texts) if texts else setting.value


def _sure(one: Sided) -> bool:
    """Whether each place is named as training's own: `data/train`, `train.csv`, the split `train`."""
    return all(_named(t) == {"train"} for t in _texts(one.setting))


def _named(text: str) -> set[str]:
    path = posixpath.normpath(text.replace("\\", "/"))
    return {SIDES[w] for part in path.split("/")[-2:] for w in words(part) if w in SIDES}


def _tells(one: Sided) -> bool:
    """Whether an equal place means equal data: training's own, or a table that does not list splits itself."""
    texts = _texts(one.setting)
    tables = all(
        t.lower().endswith(TABLES) and not CONTENTS & set(words(t.rpartition("/")[2])) and not _named(t) for t in texts
    )
    return _sure(one) or tables


def _apart(settings: Sequence[Setting], name: str) -> str:
    """A setting by which equal places may hold two parts, or the run is no training at all; empty where there is none."""
    for setting in settings:
        key = set(words(setting.key.rpartition(".")[2]))
        told = setting.value not in (None, "", "none", "None", "null") and setting.value is not False
        given = told and setting.value != 0
        share = key & SHARE and key & {*SIDES, "split", "splits"} and not key & OTHER - {"size"} and _shares(setting)
        names = key & (NAMES | PLACE) or set(words(setting.key)) & SIDES.keys()
        trial = TRIAL.search(setting.key) or (names and isinstance(setting.value, str) and TRIAL.search(setting.value))
        if (told and key & FOLDS) or (given and (share or trial)):  # the first fold is number 0
            return f"{setting.key}: {setting.value} in {setting.where}"
    return "the run is named a trial" if TRIAL.search(name) else ""


def _shares(setting: Setting) -> bool:
    """Whether a value holds numbers: 0.1, [0.8, 0.2], "80/20"."""
    values = setting.value if isinstance(setting.value, list) else [setting.value]
    return any(number(v) is not None or (isinstance(v, str) and bool(re.search(r"\d", v))) for v in values)
