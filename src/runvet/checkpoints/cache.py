"""Results kept between calls by path, size, time of change and the code that made them.

A cache that fails is a cache that is not there.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from runvet.checkpoints.model import Checkpoint, Tensor, Values
from runvet.checkpoints.places import Place
from runvet.checkpoints.problems import Problem

FORM = 3  # change it when the columns of the table change; results of other code are known by `code`
KEPT_DAYS = 90
BESIDE = ("secrets.py", "protobuf.py")  # modules outside this folder that reading a checkpoint uses
YOUNG = 2.0  # seconds: a file this new may change again within the clock's resolution
_COLUMNS = ("non_finite", "zero", "mean", "std", "minimum", "maximum")


def folder() -> Path:
    """Where the cache lives: RUNVET_CACHE, else the user's cache folder."""
    given = os.environ.get("RUNVET_CACHE")
    if given:
        return Path(given)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "runvet"
    base = os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "runvet"


@cache
def code() -> str:
    """A digest of the sources that read and judge a single file, so that no result outlives a change of them.

    That is this folder and the modules beside it that it imports. Content and not times: packagers set all times alike.
    Empty where the sources cannot be read (a zipped installation): nothing is kept then.
    """
    here = Path(__file__).parent
    digest = hashlib.blake2b(digest_size=16)
    try:
        # What writes checkpoints lies a folder below and judges nothing.
        for source in sorted((*here.glob("*.py"), *(here.parent / name for name in BESIDE))):
            text = source.read_bytes()
            digest.update(f"{source.name} {len(text)}\0".encode() + text)
    except OSError:
        return ""
    return digest.hexdigest()


class Cache:
    """Checkpoints of single files, one sqlite file. Every failure (no folder, locked, damaged) means 'not cached'."""

    __slots__ = ("_database",)

    def __init__(self, *, on: bool) -> None:
        self._database: sqlite3.Connection | None = None
        if not on or not code():
            return
        try:
            place = folder()
            place.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(place / f"checkpoints-{FORM}.sqlite", timeout=1.0)
            self._database.execute(
                "create table if not exists files (path text, deep integer, code text, size integer, modified real, stored real, data blob, primary key (path, deep))"
            )
        except (OSError, sqlite3.Error, RuntimeError):
            self.close()

    def get(self, path: Place, size: int, modified: float, *, deep: bool, key: str) -> Checkpoint | None:
        """The kept result of a file that has not changed; `key` is everything else that it depends on."""
        if self._database is None or not modified:  # a store that tells no time of change
            return None
        try:
            row = self._database.execute(
                "select size, modified, code, data from files where path = ? and deep = ?",
                (f"{path}\0{key}", int(deep)),
            ).fetchone()
            return _restored(orjson.loads(row[3])) if row and row[:3] == (size, modified, code()) else None
        except (sqlite3.Error, ValueError, TypeError, KeyError, AttributeError):
            return None

    def put(self, results: Iterable[tuple[Place, str, Checkpoint]], *, deep: bool) -> None:
        """Keep results; those of files that changed a moment ago are left out."""
        if self._database is None:
            return
        now = time.time()
        try:
            rows = [
                (
                    f"{path}\0{key}",
                    int(deep),
                    code(),
                    c.bytes,
                    c.modified,
                    now,
                    orjson.dumps(_plain(c), option=orjson.OPT_SERIALIZE_NUMPY),
                )
                for path, key, c in results
                if c.modified
                and now - c.modified > YOUNG
                and not any(p.name == "unread-checkpoint" for p in c.problems)
            ]
            if not rows:
                return  # the clean-up below reads the whole table
            with self._database:
                self._database.executemany("insert or replace into files values (?, ?, ?, ?, ?, ?, ?)", rows)
                self._database.execute("delete from files where stored < ?", (now - KEPT_DAYS * 86400,))
        except (sqlite3.Error, TypeError, ValueError):
            return

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()
        self._database = None


def _plain(checkpoint: Checkpoint) -> dict[str, Any]:
    """A single file's checkpoint as JSON values; NaN, which JSON lacks, as null."""
    values = checkpoint.values
    return {
        "fields": {
            n: getattr(checkpoint, n)
            for n in ("path", "format", "bytes", "modified", "kind", "step", "epoch", "file_step", "file_epoch")
        },
        "tensors": [[t.name, t.shape, t.dtype, t.role, t.layout] for t in checkpoint.tensors],
        "plain": [
            [k, v if not isinstance(v, float) or np.isfinite(v) else {"float": repr(v)}]
            for k, v in checkpoint.plain.items()
        ],
        "problems": [asdict(p) for p in checkpoint.problems],
        "names": [checkpoint.foreign, checkpoint.dangerous, checkpoint.empty_states],
        "values": None
        if values is None
        else {
            "scanned": values.scanned,
            "digest": values.digest,
            **{
                n: [float(x).hex() for x in getattr(values, n)]
                if n not in ("non_finite", "zero")
                else getattr(values, n)
                for n in _COLUMNS
            },
        },
    }


def _real(column: list[str]) -> npt.NDArray[np.float64]:
    return np.array([float.fromhex(x) for x in column], dtype=np.float64)


def _restored(data: Mapping[str, Any]) -> Checkpoint:
    values = None
    if (kept := data["values"]) is not None:
        values = Values(
            scanned=np.array(kept["scanned"], dtype=np.bool_),
            non_finite=np.array(kept["non_finite"], dtype=np.int64),
            zero=np.array(kept["zero"], dtype=np.int64),
            mean=_real(kept["mean"]),
            std=_real(kept["std"]),
            minimum=_real(kept["minimum"]),
            maximum=_real(kept["maximum"]),
            digest=tuple(kept["digest"]),
        )
    foreign, dangerous, empty = (tuple(n) for n in data["names"])
    return Checkpoint(
        **data["fields"],
        tensors=tuple(Tensor(n, tuple(s), d, r, y) for n, s, d, r, y in data["tensors"]),
        values=values,
        plain={k: float(v["float"]) if isinstance(v, dict) else v for k, v in data["plain"]},
        problems=tuple(Problem(p["name"], p["message"]) for p in data["problems"]),
        foreign=foreign,
        dangerous=dangerous,
        empty_states=empty,
    )
