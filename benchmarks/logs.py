"""Logs of a given number of points in every format that is timed: one healthy training, the same in each."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from runvet.readers._crc32c import crc32c_rows

BATCH = 50_000
START = 1.75e9  # unix time of the first line


def losses(points: int, seed: int = 0) -> Iterator[float]:
    """A loss that falls from 2.5 to 2, with noise."""
    generator = np.random.default_rng(seed)
    for begin in range(0, points, BATCH):
        step = np.arange(begin, min(begin + BATCH, points))
        yield from (2 + 0.5 * np.exp(-step / 5_000) + generator.normal(0, 0.05, len(step))).tolist()


def csv(path: Path, points: int) -> None:
    """`step,loss`."""
    with path.open("w") as stream:
        stream.write("step,loss\n")
        stream.writelines(f"{step},{loss!r}\n" for step, loss in enumerate(losses(points)))


def jsonl(path: Path, points: int) -> None:
    """`{"step": 1, "loss": 2.5}`."""
    with path.open("w") as stream:
        stream.writelines(f'{{"step": {step}, "loss": {loss!r}}}\n' for step, loss in enumerate(losses(points)))


def text_lines(points: int, seed: int = 0) -> Iterator[str]:
    """About 100 characters a line, as Python's `logging` writes them."""
    noise = random.Random(seed)
    for step, loss in enumerate(losses(points, seed)):
        ms = step * 370
        clock = f"{ms // 3_600_000 % 24:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d},{ms % 1000:03d}"
        day = 1 + ms // 86_400_000 % 28
        yield (
            f"2026-03-{day:02d} {clock} - INFO - train - step {step} | loss: {loss:.4f} | lr: 1.000e-03 |"
            f" grad_norm: {0.8 + 0.4 * noise.random():.3f}\n"
        )


def text(path: Path, points: int) -> None:
    """A `logging` log."""
    with path.open("w") as stream:
        stream.writelines(text_lines(points))


def mixed(path: Path, points: int) -> None:
    """A log whose lines take turns: two of training, one of speed, one of validation, after each 1,000 a saved file."""
    kinds = (
        "step {step} | loss: {loss:.4f} | lr: 1.000e-03",
        "step {step} | grad_norm: {half:.3f} | tokens/s: {speed}",
        "step {step} | loss: {loss:.4f} | lr: 1.000e-03",
        "step {step} | val_loss: {loss:.4f} | val_acc: {half:.4f}",
    )
    with path.open("w") as stream:
        for step, loss in enumerate(losses(points)):
            ms = step * 370
            clock = f"{ms // 3_600_000 % 24:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d},{ms % 1000:03d}"
            told = kinds[step % 4].format(step=step, loss=loss, half=loss / 4, speed=12_000 + step % 37)
            stream.write(f"2026-03-{1 + ms // 86_400_000 % 28:02d} {clock} - INFO - {told}\n")
            if step % 1_000 == 999:
                stream.write(f"Saving the model to checkpoints/step_{step}.pt\n")


def huge_text(path: Path, size: int) -> int:
    """A `logging` log of at least `size` bytes: one part written again and again; gives its lines."""
    part = "".join(text_lines(200_000)).encode()
    lines = 0
    with path.open("wb") as stream:
        while stream.tell() < size:
            stream.write(part)
            lines += 200_000
    return lines


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def tensorboard(folder: Path, points: int) -> None:
    """An event file of one scalar, `train/loss`; valid checksums, written in numpy."""
    folder.mkdir()
    with (folder / f"events.out.tfevents.{int(START)}.host.1.0").open("wb") as stream:
        stream.write(_framed([b"\x09" + struct.pack("<d", START) + b"\x1a\x0dbrain.Event:2"]))
        batch: list[bytes] = []
        for step, loss in enumerate(losses(points)):
            value = b"\x0a\x0atrain/loss\x15" + struct.pack("<f", loss)
            summary = b"\x0a" + bytes([len(value)]) + value
            number = b"\x10" + _varint(step) if step else b""
            time = b"\x09" + struct.pack("<d", START + step * 0.37)
            record = time + number + b"\x2a" + bytes([len(summary)]) + summary
            if batch and (len(record) != len(batch[0]) or len(batch) == BATCH):
                stream.write(_framed(batch))
                batch = []
            batch.append(record)
        stream.write(_framed(batch))


def _framed(records: list[bytes]) -> bytes:
    """Records of one length as TFRecords."""
    n, size = len(records), len(records[0])
    out = np.zeros((n, size + 16), np.uint8)
    out[:, :8] = np.frombuffer(struct.pack("<Q", size), np.uint8)
    out[:, 12 : 12 + size] = np.frombuffer(b"".join(records), np.uint8).reshape(n, size)
    for begin, end in ((0, 8), (12, 12 + size)):
        crc = crc32c_rows(np.ascontiguousarray(out[:, begin:end])).astype(np.uint64)
        stored = ((crc >> np.uint64(15) | crc << np.uint64(17)) + np.uint64(0xA282EAD8)).astype(np.uint32)
        out[:, end : end + 4] = stored.astype("<u4").view(np.uint8).reshape(n, 4)
    return out.tobytes()


def wandb(folder: Path, points: int) -> None:
    """A .wandb file as an offline run leaves it: rows of loss, _step, _runtime and _timestamp."""
    folder.mkdir()
    out = bytearray(struct.pack("<4sHB", b":W&B", 0xBEE1, 0))
    with (folder / "run-bench001.wandb").open("wb") as stream:
        for step, loss in enumerate(losses(points)):
            time = step * 0.37
            items = (
                ("loss", repr(loss)),
                ("_step", str(step)),
                ("_runtime", f"{time:.6f}"),
                ("_timestamp", f"{START + time:.6f}"),
            )
            row = b"".join(_message(1, _message(2, key) + _message(16, value)) for key, value in items)
            record = b"\x08" + _varint(step + 1) + _message(2, row + _message(2, b"\x08" + _varint(step)))
            _append(out, record)
            if len(out) >= 64 * 32_768:
                whole = len(out) // 32_768 * 32_768
                stream.write(out[:whole])
                del out[:whole]
        stream.write(out)


def _message(number: int, payload: bytes | str) -> bytes:
    data = payload.encode() if isinstance(payload, str) else payload
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _append(out: bytearray, record: bytes) -> None:
    """One record in LevelDB's framing; `out` begins at a block's start."""
    first = True
    while True:
        left = 32_768 - len(out) % 32_768
        if left < 7:
            out += bytes(left)
            left = 32_768
        piece, record = record[: left - 7], record[left - 7 :]
        kind = (2 if record else 1) if first else (3 if record else 4)
        out += struct.pack("<IHB", zlib.crc32(bytes([kind]) + piece), len(piece), kind) + piece
        first = False
        if not record:
            return
