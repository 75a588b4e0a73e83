"""Reading on: a file that grew in any pieces gives what one reading of the whole gives."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest

from readers.binary_writers import event, integer, message, scalar, tfrecord, version
from runvet import read
from runvet.config import Config
from runvet.follow import Follower
from runvet.run import Run
from shared import shared


def same(a: Run, b: Run) -> None:
    """Fails where two readings of one run differ in anything that rules see."""
    assert [s.name for s in a.stages] == [s.name for s in b.stages]
    assert a.problems == b.problems
    assert dict(a.readers) == dict(b.readers)
    for x, y in zip(a.stages, b.stages, strict=True):
        assert (x.events, x.settings, x.seams) == (y.events, y.settings, y.seams)
        assert [s.name for s in x.series] == [s.name for s in y.series]
        for s, t in zip(x.series, y.series, strict=True):
            assert (s.total, s.non_finite, s.role) == (t.total, t.non_finite, t.role)
            for column in ("value", "step", "epoch", "time", "line", "segment"):
                np.testing.assert_array_equal(getattr(s, column), getattr(t, column))


def text_log(rng: random.Random) -> bytes:
    lines = ["lr: 0.001", "batch_size: 8"]
    for step in range(4000):
        lines.append(
            f"2026-01-02 10:{step // 60 % 60:02d}:{step % 60:02d} step {step} loss {3 / (1 + step / 400) + rng.gauss(0, 0.01):.4f} lr 0.001"
        )
        if step % 500 == 499:
            lines.append(f"validation at step {step}: val_loss {rng.random():.4f}\rwarning: something é odd")
    return ("\n".join(lines) + "\n").encode()


def json_log(rng: random.Random) -> bytes:
    rows = []
    for step in range(4000):
        row = {"step": step, "loss": rng.random(), "time": 1.7e9 + step}
        if step % 100 == 0:
            row["eval/loss"] = rng.random()
        rows.append(json.dumps(row))
    return ("\n".join(rows) + "\n").encode()


def csv_log(rng: random.Random) -> bytes:
    rows = ["step,train_loss,val_loss"]
    rows += [f"{step},{rng.random():.6f},{f'{rng.random():.6f}' if step % 10 == 0 else ''}" for step in range(8000)]
    return ("\n".join(rows) + "\n").encode()


def event_log(rng: random.Random, *, extra: bytes = b"") -> bytes:
    """4000 points; `extra` is a field of the 3500th event."""
    return version() + b"".join(
        tfrecord(
            event(step, scalar("train/loss", rng.random()), time=1.7e9 + step, extra=extra if step == 3500 else b"")
        )
        for step in range(4000)
    )


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("train.log", text_log),
        ("metrics.jsonl", json_log),
        ("metrics.csv", csv_log),
        ("events.out.tfevents.1.host", event_log),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_any_pieces_give_the_whole(tmp_path: Path, name: str, make: object, seed: int) -> None:
    rng = random.Random(seed)
    data: bytes = make(rng)  # type: ignore[operator]
    cuts = sorted({70_000 + rng.randrange(len(data) - 70_000) for _ in range(6)} | {len(data)})
    grow(tmp_path, name, data, cuts)


def grow(folder: Path, name: str, data: bytes, cuts: list[int]) -> None:
    """Let a file grow to each of the sizes; each look must tell the whole and read only what is new."""
    follower, before = Follower(folder, Config()), 0
    for i, cut in enumerate(cuts):
        with (folder / name).open("ab") as stream:
            stream.write(data[before:cut])
        run = follower.look()
        same(run, read(folder, Config()))
        if i:
            assert (follower.cost.resumed, follower.cost.whole) == (1, 0)
            assert follower.cost.bytes < cut - before + 20_000, "what was read before is read again"
        before = cut


@pytest.mark.shared
@pytest.mark.parametrize("pattern", ["*.log", "*.txt", "*tfevents*", "*.csv"])
def test_logs_of_others(tmp_path: Path, pattern: str) -> None:
    files = [
        p
        for folder in ("corpus/logs", "corpus/logs3")
        for p in sorted(shared(folder).rglob(pattern))
        if 150_000 < p.stat().st_size < 900_000
    ]
    assert files
    for i, path in enumerate(files[:6]):
        data, folder = path.read_bytes(), tmp_path / str(i)
        folder.mkdir()
        follower = Follower(folder, Config())
        for start, cut in ((0, len(data) // 2), (len(data) // 2, len(data) - 7), (len(data) - 7, len(data))):
            with (folder / path.name).open("ab") as stream:
                stream.write(data[start:cut])
            same(follower.look(), read(folder, Config()))


def test_unchanged_files_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.log").write_bytes(text_log(random.Random(0)))
    follower = Follower(tmp_path, Config())
    follower.look()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file is opened")

    monkeypatch.setattr("runvet.source.Source.open", refuse)
    follower.look()
    assert (follower.cost.resumed, follower.cost.whole, follower.cost.bytes) == (0, 0, 0)


@pytest.mark.parametrize("how", ["shorter", "replaced", "rewritten", "gone"])
def test_files_that_did_not_grow_are_read_anew(tmp_path: Path, how: str) -> None:
    log, data = tmp_path / "metrics.csv", csv_log(random.Random(1))
    log.write_bytes(data)
    follower = Follower(tmp_path, Config())
    follower.look()
    if how == "shorter":
        log.write_bytes(data[: len(data) // 2])
    elif how == "replaced":
        (tmp_path / "new").write_bytes(csv_log(random.Random(2)) + b"8000,1.5,\n")
        os.replace(tmp_path / "new", log)
    elif how == "rewritten":  # same head, same inode, larger, other numbers behind
        other = csv_log(random.Random(2))
        log.write_bytes(data[:70_000] + other[70_000:] + b"8000,1.5,\n8001,1.5,\n")
    else:
        log.unlink()
        (tmp_path / "other.csv").write_bytes(data)
    same(follower.look(), read(tmp_path, Config()))


def test_small_files_that_become_logs(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    follower = Follower(tmp_path, Config())
    for text in ("", "starting\n", "starting\nstep 1 loss 2.5\n", "starting\nstep 1 loss 2.5\nstep 2 loss 2.4\n"):
        log.write_text(text, encoding="utf-8")
        same(follower.look(), read(tmp_path, Config()))


def test_a_restart_in_the_new_part_takes_back_points_of_the_old(tmp_path: Path) -> None:
    data = event_log(random.Random(0), extra=message(7, integer(1, 1)))  # SessionLog START at step 3500
    log = tmp_path / "events.out.tfevents.1.host"
    log.write_bytes(data[: len(data) // 2])
    follower = Follower(tmp_path, Config())
    follower.look()
    with log.open("ab") as stream:
        stream.write(data[len(data) // 2 :])
    same(follower.look(), read(tmp_path, Config()))
    assert follower.cost.whole == 1
