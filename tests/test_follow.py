"""Reading on: a file that grew in any pieces gives what one reading of the whole gives."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest

from readers.binary_writers import event, integer, leveldb, message, scalar, version
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


def event_log(rng: random.Random) -> bytes:
    """4000 points."""
    return version() + b"".join(
        event(step, scalar("train/loss", rng.random()), time=1.7e9 + step) for step in range(4000)
    )


def wandb_log(rng: random.Random) -> bytes:
    """4000 rows, some of them with a long text so that a record covers several blocks."""

    def item(key: str, value: str) -> bytes:
        return message(1, message(2, key) + message(16, value))

    def row(step: int) -> bytes:
        items = [item("loss", repr(rng.random())), item("_step", str(step)), item("_timestamp", repr(1.7e9 + step))]
        if step % 700 == 699:
            items.append(item("note", json.dumps("x" * 70_000)))
        return integer(1, step + 1) + message(2, b"".join(items))

    config = message(4, message(1, message(1, "lr") + message(16, "0.1")))
    return leveldb([message(17, config), *map(row, range(4000)), message(18, b"")], b":W&B", 0xBEE1, 0)


KINDS = [
    ("train.log", text_log),
    ("metrics.jsonl", json_log),
    ("metrics.csv", csv_log),
    ("events.out.tfevents.1.host", event_log),
    ("run-abc.wandb", wandb_log),
]


@pytest.mark.parametrize(("name", "make"), KINDS)
@pytest.mark.parametrize("seed", range(2))
def test_any_pieces_give_the_whole(tmp_path: Path, name: str, make: object, seed: int) -> None:
    rng = random.Random(seed)
    data: bytes = make(rng)  # type: ignore[operator]
    cuts = sorted({70_000 + rng.randrange(len(data) - 70_000) for _ in range(6)} | {len(data)})
    grow(tmp_path, name, data, cuts)


AGAIN = 2_048  # proof that the file is the old one, the end of a half-written line, the counter itself
WANDB = 32_768 + 72_000  # a W&B file is read on from the block that holds the start of its unfinished record


def grow(folder: Path, name: str, data: bytes, cuts: list[int]) -> None:
    """Let a file grow to each of the sizes; each look must tell the whole and read only what is new."""
    follower, before = Follower(folder, Config()), 0
    for i, cut in enumerate(cuts):
        with (folder / name).open("ab") as stream:
            stream.write(data[before:cut])
        run = follower.look()
        same(run, read(folder, Config()))
        assert sum(len(s) for stage in run.stages for s in stage.series) > 100
        if i:
            assert (follower.cost.resumed, follower.cost.whole) == (1, 0)
            again = WANDB if name.endswith(".wandb") else AGAIN
            assert follower.cost.bytes < cut - before + again, "what was read before is read again"
        before = cut


def counted() -> int:
    """The bytes that the kernel has handed to this process so far."""
    text = Path("/proc/self/io").read_text(encoding="ascii")
    return int(text.split("rchar:")[1].split()[0])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the kernel does not count the bytes of a process")
@pytest.mark.parametrize(("name", "make"), KINDS)
def test_the_kernel_counts_no_more_than_was_appended(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, name: str, make: object
) -> None:
    tmp_path, other = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("other")
    data: bytes = make(random.Random(0))  # type: ignore[operator]
    (other / name).write_bytes(data)
    monkeypatch.setenv("RUNVET_CACHE", str(other / name))  # no folder: the cache of checkpoints is off
    for size in (300, len(data)):  # loads what is loaded on first use
        (other / name).write_bytes(data[:size])
        Follower(other, Config()).look()
    follower, before = Follower(tmp_path, Config()), 0
    sizes = [300, 5_000, 20_000, 60_000, 65_536, 66_000, *range(100_000, len(data), 40_000), len(data)]
    whole = 0
    for size in sizes:
        with (tmp_path / name).open("ab") as stream:
            stream.write(data[before:size])
        start = counted()
        follower.look()
        used = counted() - start
        again = WANDB if name.endswith(".wandb") and size > 65_536 else AGAIN
        assert used <= size - before + again, f"{used} bytes are read where {size - before} were appended"
        before, whole = size, whole + used
    same(follower.look(), read(tmp_path, Config()))
    assert whole < len(data) + len(sizes) * (40_000 if name.endswith(".wandb") else AGAIN)


@pytest.mark.parametrize(("name", "make"), KINDS)
def test_small_files_are_read_in_any_pieces(tmp_path: Path, name: str, make: object) -> None:
    rng = random.Random(3)
    data: bytes = make(rng)[:90_000]  # type: ignore[operator]
    follower, before = Follower(tmp_path, Config()), 0
    for cut in sorted(rng.randrange(1, len(data)) for _ in range(12)):
        with (tmp_path / name).open("ab") as stream:
            stream.write(data[before:cut])
        before = cut
        same(follower.look(), read(tmp_path, Config()))


def test_a_damaged_block_of_wandb_is_read_as_in_one_reading(tmp_path: Path) -> None:
    data = bytearray(wandb_log(random.Random(0)))
    data[150_000] ^= 0xFF
    follower, before = Follower(tmp_path, Config()), 0
    for cut in (100_000, 149_000, 150_500, 170_000, len(data)):
        with (tmp_path / "run-abc.wandb").open("ab") as stream:
            stream.write(data[before:cut])
        before = cut
        same(follower.look(), read(tmp_path, Config()))


@pytest.mark.parametrize("keep", [40_000, 70_000])
def test_a_small_file_written_anew_is_read_anew(tmp_path: Path, keep: int) -> None:
    log = tmp_path / "metrics.jsonl"
    first, second = json_log(random.Random(1)), json_log(random.Random(2))
    log.write_bytes(first[:30_000])
    follower = Follower(tmp_path, Config())
    follower.look()
    log.write_bytes(second[:keep])
    same(follower.look(), read(tmp_path, Config()))


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


@pytest.mark.parametrize("at", [200, 3000])
def test_a_restart_takes_back_points_of_the_old_part(tmp_path: Path, at: int) -> None:
    """SessionLog START at some record: the points from its step on that were written before no longer count."""
    rng = random.Random(0)
    records = [event(step, scalar("train/loss", rng.random()), time=1.7e9 + step) for step in range(4000)]
    records.insert(at, event(at - 100, extra=message(7, integer(1, 1))))
    data = version() + b"".join(records)
    log = tmp_path / "events.out.tfevents.1.host"
    follower, before = Follower(tmp_path, Config()), 0
    for cut in (5_000, len(data) // 2, len(data) - 5_000, len(data)):
        with log.open("ab") as stream:
            stream.write(data[before:cut])
        before = cut
        run = follower.look()
        same(run, read(tmp_path, Config()))
    (loss,) = run.stages[0].series
    assert len(loss) == 3900
