"""The file of finished weights that a run was to start from, as its configuration or log names it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runvet.checkpoints.candidates import named_sure
from runvet.checkpoints.listing import list_checkpoints
from runvet.checkpoints.model import Checkpoint
from runvet.checkpoints.reading import BYTES
from runvet.evidence import Missing, provides
from runvet.evidence.settings import name_of, place_of
from runvet.run import Run, Stage

_KEY = re.compile(
    r"pretrain|^(?:init_(?:from|ckpt|checkpoint|weights|model)|load_from|fine_?tune(?:_from)?|start_from|warm_start|weights|backbone_weights)$"
)
_PATH = re.compile(r"[\w./\\+=@%~:-]{1,300}\.(?:pth|pt|ckpt|bin|safetensors|th|keras)\b")
_ABOVE = 3  # folders above the run's in which a relative path is looked for: the program ran in one of them


@dataclass(frozen=True, slots=True)
class Pretrained:
    """The weights at the start: the read file, its path as stated, and the line or setting that states it."""

    checkpoint: Checkpoint
    path: str
    where: str


@provides
def pretrained(run: Run, stage: Stage) -> Pretrained | Missing:
    stated = dict(_stated(stage))
    for path, where in stated.items():
        wanted = path.replace("\\", "/").removeprefix("./")
        for each in run.checkpoints:
            if f"/{wanted}".endswith(f"/{each.path}") or f"/{each.path}".endswith(f"/{wanted}"):
                return Pretrained(each, path, where)
        place = _found(Path(run.path), wanted)
        if place is not None:
            for read in list_checkpoints(place, deep=place.stat().st_size <= BYTES):
                return Pretrained(read, path, where)
    if not stated:
        return Missing("no file of pretrained weights is named", applicable=False)
    return Missing(
        f"the pretrained weights {next(iter(stated))} are not here", "keep them beside the run", applicable=False
    )


def _stated(stage: Stage) -> Iterator[tuple[str, str]]:
    for setting in stage.settings:
        last = name_of(setting)
        if (
            _KEY.search(last)
            and isinstance(setting.value, str)
            and named_sure(setting.value)
            and len(setting.value) < 400
        ):
            yield (
                setting.value,
                place_of(setting),
            )
    for event in stage.events:
        if event.kind in ("weights-loaded", "weights-missing") and (found := _PATH.search(event.text)):
            yield found[0], event.where


def _found(root: Path, wanted: str) -> Path | None:
    """An ordinary file of this path: as it is where it is absolute, else below the run's folder or one above it."""
    path = Path(wanted)
    base = root.absolute()
    places = [path] if path.is_absolute() else [p / path for p in (base, *list(base.parents)[:_ABOVE])]
    try:
        return next((p for p in places if p.is_file()), None)
    except (OSError, ValueError):  # a path that no system allows
        return None
