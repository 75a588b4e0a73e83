"""Which files of a run may be checkpoints, by their names alone: no file is opened here."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from runvet.checkpoints.names import epoch_of, stem, step_of, words
from runvet.checkpoints.places import Place, RemotePath

Strength: TypeAlias = Literal["sure", "maybe"]

DEPTH = 24
_SKIPPED = {
    ".git",
    ".venv",
    "venv",
    "__pycache__",
    "node_modules",
    "site-packages",
    ".cache",
    ".ipynb_checkpoints",
    ".hypothesis",
    ".mypy_cache",
}
_SURE = (
    ".pt",
    ".pth",
    ".ckpt",
    ".safetensors",
    ".keras",
    ".weights.h5",
    ".pth.tar",
    ".pt.tar",
    ".ckpt.tar",
    ".th",
    ".pyth",
    ".chkpt",
    ".checkpoint",
    ".gguf",
)
_MAYBE = (".bin", ".pkl", ".pickle", ".h5", ".hdf5", ".npz", ".npy", ".zip", ".tar", ".msgpack", ".model", ".params")
_BIN = re.compile(
    r"(?i)^(?:pytorch_model|diffusion_pytorch_model|adapter_model|optimizer|scheduler|scaler|training_args|model)(?:[-_.].*)?\.bin$"
)
_SAYS = {
    "checkpoint", "checkpoints", "ckpt", "ckpts", "chkpt", "weights", "weight", "model", "models", "params", "state", "states", "optimizer", "optim", "ema",
    "policy", "agent", "best", "last", "latest", "final", "snapshot", "snapshots", "rng",
}  # fmt: skip
_OTHERWISE = {
    "sample", "samples", "prediction", "predictions", "preds", "pred", "data", "dataset", "datasets", "voxels", "feature", "features", "embedding", "embeddings",
    "latent", "latents", "result", "results", "metric", "metrics", "eval", "evaluations", "history", "stats", "replay", "buffer", "log", "logs", "generated", "cache",
    "inputs", "outputs", "targets", "labels", "images", "tokens", "train", "test", "val", "valid", "vocab", "tokenizer",
}  # fmt: skip
_DATA_FOLDERS = {
    "data",
    "dataset",
    "datasets",
    "samples",
    "sample",
    "generated",
    "predictions",
    "features",
    "embeddings",
    "latents",
    "cache",
    "replay",
}
_CHECKPOINT_FOLDERS = {
    "checkpoint",
    "checkpoints",
    "ckpt",
    "ckpts",
    "weights",
    "models",
    "model",
    "snapshots",
    "states",
}


@dataclass(slots=True)
class Folder:
    """A folder: its path relative to the listed one ('' for itself), its files with sizes in bytes, its folders."""

    path: Place
    relative: str
    files: dict[str, tuple[int, float]] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)

    def inside(self, name: str) -> str:
        """The relative path of something in this folder."""
        return f"{self.relative}/{name}" if self.relative else name


def tree(path: Place, relative: str = "", depth: int = 0) -> Folder:
    """All folders and files below a path. Links to folders are not followed; a link to a listed file is left out."""
    if isinstance(path, RemotePath):
        return _remote_tree(path)
    folder = Folder(path, relative)
    try:
        entries = sorted(os.scandir(path), key=lambda e: e.name)
    except OSError:
        return folder
    for entry in entries:
        with contextlib.suppress(OSError):  # it went away meanwhile, or may not be looked at
            if entry.is_dir(follow_symlinks=False):
                if depth < DEPTH and entry.name not in _SKIPPED:
                    folder.folders[entry.name] = tree(Path(entry.path), folder.inside(entry.name), depth + 1)
            elif entry.is_file() and not (entry.is_symlink() and _near(entry.path, path)):
                stat = entry.stat()
                folder.files[entry.name] = stat.st_size, stat.st_mtime
    return folder


def _remote_tree(path: RemotePath) -> Folder:
    root = Folder(path, "")
    for name, stat in sorted(path.find()):
        *folders, file = name.split("/")
        if len(folders) > DEPTH or _SKIPPED & set(folders):
            continue
        folder = root
        for part in folders:
            folder = folder.folders.setdefault(part, Folder(folder.path / part, folder.inside(part)))
        folder.files[file] = stat.st_size, stat.st_mtime
    return root


def _near(link: str, folder: Path) -> bool:
    """Whether a link points to a file of the same folder, as `last.ckpt` often does: that file is listed anyway."""
    return os.path.dirname(os.path.realpath(link)) == os.path.realpath(folder)


def strength(relative: str) -> Strength | None:
    """How sure the name makes that a file holds training state: 'maybe' must be proved by its content."""
    parts = relative.split("/")
    name, folders = parts[-1], parts[:-1]
    lower = name.lower()
    if name.startswith(".") or lower.endswith((".json", ".txt", ".yaml", ".lock")):
        return None
    sure = named_sure(name)
    if not sure and not lower.endswith(_MAYBE):
        return None  # most files of a run: nothing more is asked of their names
    among_data = any(f.lower() in _DATA_FOLDERS for f in folders)
    if among_data and not sure:
        return None
    said = words(stem(name))
    if sure:
        return "maybe" if among_data and not _suggests(said, folders) else "sure"
    if lower.endswith((".pkl", ".pickle", ".bin", ".zip")):
        return "maybe"
    numbered = any(words(f) & _CHECKPOINT_FOLDERS for f in folders[-2:]) and (
        step_of(name) is not None or epoch_of(name) is not None
    )
    return "maybe" if (_suggests(said, folders) or numbered) and not said & _OTHERWISE else None


def named_sure(name: str) -> bool:
    """Whether a file's suffix is one that is used for training state alone."""
    return name.lower().endswith(_SURE) or _BIN.match(name) is not None


def suggested(relative: str) -> bool:
    """Whether the name itself speaks of training state, which a file without tensors needs to be called empty."""
    parts = relative.split("/")
    said = words(stem(parts[-1]))
    return not said & _OTHERWISE and (
        _suggests(said, parts[:-1]) or step_of(parts[-1]) is not None or epoch_of(parts[-1]) is not None
    )


def _suggests(said: frozenset[str], folders: list[str]) -> bool:
    return bool(said & _SAYS) or any(
        words(f) & {"checkpoint", "checkpoints", "ckpt", "ckpts", "weights", "snapshots"} for f in folders[-2:]
    )
