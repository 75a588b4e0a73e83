"""Where a run says that it writes its checkpoints, and where it says that it lives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from runvet.evidence import Missing, provides
from runvet.evidence.settings import name_of, place_of
from runvet.run import Run, Stage

SAVES = ("checkpoint_dir", "ckpt_dir", "checkpoints_dir", "checkpoint_path", "ckpt_path", "save_dir", "save_path", "save_folder",
         "model_dir", "weights_dir", "snapshot_dir", "dirpath")  # fmt: skip
HOMES = ("output_dir", "out_dir", "work_dir", "workdir", "run_dir", "log_dir", "logdir", "exp_dir", "experiment_dir",
         "result_dir", "results_dir", "default_root_dir", "root_dir", "logging_dir")  # fmt: skip
NAMES = (
    "cfg",
    "config",
    "config_file",
    "cfg_file",
    "exp_name",
    "run_name",
    "experiment",
    "experiment_name",
    "name",
    "tag",
)
_REMOTE = re.compile(r"^[a-zA-Z][\w+.-]+://")


@dataclass(frozen=True, slots=True)
class Place:
    """A path as the run states it, with slashes, and the line or setting that states it."""

    path: str
    where: str
    step: float | None = None


@dataclass(frozen=True, slots=True)
class SavePlaces:
    """`saved`: files that the log says were written. `folders`: where the configuration wants them. `homes`: the run's folders.

    `home` is the one of `homes` that is the folder that is read: both have the same name. `names` are names of the
    run. `kept` is how many checkpoints lie in the folder that is read. At least one of `saved` and `folders` is there.
    """

    saved: tuple[Place, ...]
    folders: tuple[Place, ...]
    homes: tuple[Place, ...]
    home: Place | None
    names: tuple[str, ...]
    kept: int
    path: str


@provides
def save_places(run: Run, stage: Stage) -> SavePlaces | Missing:
    saved = tuple(
        Place(_plain(e.value), e.where, e.step)
        for e in stage.events
        if e.kind == "checkpoint-saved" and isinstance(e.value, str) and not _REMOTE.match(e.value)
    )
    folders = tuple(_settings(stage, SAVES))
    if not saved and not folders:
        return Missing("nothing says where checkpoints are written", applicable=False)
    homes = (
        *_settings(stage, HOMES),
        *(Place(_plain(e.value), e.where) for e in stage.events if e.kind == "work-dir" and isinstance(e.value, str)),
    )
    own = PurePosixPath(_plain(run.path)).name
    home = next((h for h in homes if own and PurePosixPath(h.path).name == own), None)
    names = tuple(PurePosixPath(p.path).stem for p in _settings(stage, NAMES))
    return SavePlaces(saved, folders, homes, home, names, len(run.checkpoints), _plain(run.path))


def _settings(stage: Stage, names: tuple[str, ...]) -> Iterator[Place]:
    for setting in stage.settings:
        last = name_of(setting)
        value = setting.value
        if last in names and isinstance(value, str) and value.strip() and len(value) < 400 and not _REMOTE.match(value):
            yield Place(_plain(value), place_of(setting))


def _plain(path: str) -> str:
    """With slashes, without quotes, a leading `./` and a slash at the end."""
    text = path.strip().strip("'\"").replace("\\", "/")
    while text.startswith("./"):
        text = text[2:]
    return text.rstrip("/") or text


def outside(path: str, folder: str) -> bool | None:
    """Whether a path lies outside a folder, as far as the two texts tell; None where one hangs on an unknown directory."""
    if "$" in path or "{" in path or "~" in path:
        return None
    absolute = [re.match(r"/|[A-Za-z]:/", p) is not None for p in (path, folder)]
    if absolute[0] == absolute[1]:
        return not f"{path}/".startswith(f"{folder}/")
    if absolute[0]:
        return f"/{folder}/" not in f"{path}/"
    parts = path.split("/")
    known = {p for p in folder.split("/") if p}
    if len(parts) < 2 or parts[0] not in known:
        return None
    return not any(folder.endswith("/" + "/".join(parts[:n])) for n in range(1, len(parts)))
