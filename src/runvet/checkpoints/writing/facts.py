"""What a manifest says beside the files: the commit of the code, the hash of a configuration."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import orjson

_REFS = 1 << 20  # bytes of a file of references that are read


def commit_of(folder: Path) -> str | None:
    """The commit that a folder's git repository is at, by reading `.git`; None outside one. Starts no process."""
    for place in (folder, *folder.parents):
        git = place / ".git"
        if git.exists():
            try:
                return _head(git)
            except (OSError, UnicodeDecodeError):
                return None
    return None


def config_hash(config: Any) -> str | None:
    """SHA-256 of a configuration, the same for the same values in any order; of a file's bytes for a path."""
    if config is None:
        return None
    if isinstance(config, Path):
        return hashlib.sha256(config.read_bytes()).hexdigest()
    options = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    return hashlib.sha256(orjson.dumps(config, default=_plain, option=options)).hexdigest()


def _plain(value: Any) -> Any:
    for name in ("to_dict", "model_dump", "_asdict"):
        if callable(made := getattr(value, name, None)):
            return made()
    if hasattr(value, "__dict__") and vars(value):
        return vars(value)
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    return str(value)


def _head(git: Path) -> str | None:
    if git.is_file():  # a worktree or submodule: a text that says where
        said = git.read_text()[:4096].partition("gitdir:")[2].strip()
        git = (git.parent / said).resolve()
    head = (git / "HEAD").read_text()[:4096].strip()
    if not head.startswith("ref:"):
        return head or None
    name = head[4:].strip()
    common = git
    if (git / "commondir").is_file():
        common = (git / (git / "commondir").read_text()[:4096].strip()).resolve()
    for base in (git, common):
        if (base / name).is_file():
            return (base / name).read_text()[:4096].strip() or None
    packed = common / "packed-refs"
    if packed.is_file():
        for line in packed.read_text()[:_REFS].splitlines():
            commit, _, ref = line.partition(" ")
            if ref == name:
                return commit
    return None
