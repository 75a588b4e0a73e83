"""Where a number or a picture comes from: code, configuration, data, weights, as a side-car beside every artefact."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict
from datetime import datetime, timezone
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import runvet_lab
from runvet_lab.panoramas.config import Config

SUFFIX = ".provenance.json"
PACKAGES = ("torch", "numpy", "lightning-fabric", "runvet")


@cache
def code() -> dict[str, Any]:
    """The imported package's folder, its commit, a digest of uncommitted changes, and versions.

    Looked up once in a process: what was imported does not change when the folder does.
    """
    root = Path(runvet_lab.__file__).resolve().parent
    changes = _git(root, "diff", "HEAD")
    return {
        "cwd": str(Path.cwd()),
        "git_commit": (_git(root, "rev-parse", "HEAD") or "").strip(),
        "git_dirty": bool(changes),
        "git_diff_sha256": hashlib.sha256((changes or "").encode()).hexdigest()[:16] if changes else "",
        "packages": {
            **{name: _version(name) for name in PACKAGES},
            "python": platform.python_version(),
            "runvet_lab": str(root / "__init__.py"),
        },
        "command": " ".join(sys.argv),
    }


def environment(folder: Path, config: Config, world_size: int) -> Path:
    """Record a start of the training: one file for each start, none is overwritten."""
    now = datetime.now(tz=timezone.utc)
    path = folder / "environment" / f"env_{now:%Y%m%d_%H%M%S_%f}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "time": now.isoformat(timespec="seconds"),
        **code(),
        "world_size": world_size,
        "simulated_world": bool(config.train.world_size_sim),
        "torchrun": "TORCHELASTIC_RUN_ID" in os.environ,
        "config_hash": config_hash(config),
        "seed": config.seed,
    }
    _write(path, content)
    return path


def beside(path: Path, config: Config, **facts: Any) -> None:
    """The side-car of an artefact: its own digest, code, configuration, and `facts` such as the checkpoint."""
    now = datetime.now(tz=timezone.utc).isoformat(timespec="seconds")
    own = digest(path) if path.is_file() else ""
    content = {
        "artefact": path.name,
        "sha256": own,
        "created": now,
        "config_hash": config_hash(config),
        **facts,
        **code(),
    }
    _write(path.with_name(path.name + SUFFIX), content)


def config_hash(config: Config) -> str:
    """The first 16 digits of the SHA-256 of all settings."""
    return hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode()).hexdigest()[:16]


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    made = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            made.update(block)
    return made.hexdigest()


def tree_digest(root: Path) -> str:
    """SHA-256 over the names and sizes below a folder."""
    listed = sorted(
        f"{path.relative_to(root).as_posix()} {path.stat().st_size}" for path in root.rglob("*") if path.is_file()
    )
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _git(root: Path, *words: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603  (no shell, and only words of this file)
            [program, "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
