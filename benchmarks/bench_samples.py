"""Time the profile of 10,000 pictures and of 1,000 voxel grids against a plain loop over Pillow and scipy.

`python benchmarks/bench_samples.py` prints the figures and writes them into RESULTS.md below those of `bench.py`. The
plain loops measure the same things of every file: range, mean, standard deviation, a digest, a thumbnail of 16 x 16
grey levels (pictures); counts of each value and the largest 6-connected part (grids). "Decoding" reads every array and
measures nothing. All take turns; the best turn of each counts. runvet reads ahead with threads, so both the clock and the
processor time of the process are told.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from runvet.artifacts import finding
from runvet.artifacts.api import profile

PICTURES, GRIDS = 10_000, 1_000
SIDE, SHAPE = 64, (24, 64, 24)
MARK = "\n## Samples\n"


def write_pictures(folder: Path, count: int, side: int = SIDE) -> None:
    """PNG files of soft shapes with a little noise, as samples of a model are."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] / side
    for n in range(count):
        a, b, c, d = rng.uniform(0.5, 6, 4)
        base = np.stack([np.sin(a * x + b * y + k) * np.cos(c * y - d * x * k) for k in range(3)], axis=-1)
        noisy = 127 + 100 * base + rng.normal(0, 2, base.shape)
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(folder / f"{n:05d}.png")


def write_grids(folder: Path, count: int) -> None:
    """npz files of trees on a patch of ground, as structures are: 1 % to 6 % of the cells filled."""
    rng = np.random.default_rng(0)
    for n in range(count):
        grid = np.zeros(SHAPE, np.uint8)
        x, z, height, wide = rng.integers(7, 17), rng.integers(7, 17), rng.integers(8, 50), rng.integers(2, 7)
        crown = grid[x - wide : x + wide, height - wide : height + wide, z - wide : z + wide]
        crown[rng.random(crown.shape) < 0.7] = 2
        grid[x - 1 : x + 1, :height, z - 1 : z + 1] = 1
        grid[4:20, 0, 4:20] = 3
        np.savez_compressed(folder / f"{n:04d}.npz", voxels=grid)


def numbers(array: np.ndarray) -> tuple[float, ...]:
    """What both loops measure of every array."""
    return float(array.min()), float(array.max()), float(array.mean()), float(array.std())


def plain_pictures(folder: Path) -> int:
    """The loop that a person writes with Pillow and numpy."""
    found = []
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as picture:
            array = np.asarray(picture)
            small = np.asarray(picture.convert("L").resize((16, 16), Image.Resampling.BOX))
        found.append((*numbers(array), hashlib.blake2b(array).digest(), small.tobytes()))
    return len(found)


def plain_grids(folder: Path) -> int:
    """The loop that a person writes with numpy and scipy."""
    found = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            grid = file["voxels"]
        values, counts = np.unique(grid, return_counts=True)
        filled = grid != values[counts.argmax()]
        labels, parts = ndimage.label(filled)
        largest = np.bincount(labels.ravel())[1:].max() if parts else 0
        found.append((*numbers(grid), hashlib.blake2b(grid).digest(), parts, largest / max(1, filled.sum())))
    return len(found)


def decode(folder: Path) -> int:
    """runvet's readers alone."""
    return sum(len(item.load().arrays) for item in finding.below(folder).items)


def decode_plainly(folder: Path) -> int:
    """Pillow's or numpy's reader alone."""
    read = 0
    for path in sorted(folder.iterdir()):
        if path.suffix == ".png":
            with Image.open(path) as picture:
                read += np.asarray(picture).ndim > 1
        else:
            with np.load(path) as file:
                read += file["voxels"].ndim > 1
    return read


def mine(folder: Path) -> int:
    """runvet's profile: all that the plain loop measures, with sketches for near copies."""
    return len(profile(folder).items)


def best(
    jobs: dict[str, Callable[[Path], int]], folder: Path, expected: int, turns: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of each job by the clock and of the processor, the best of several turns; all have read every file."""
    clock, processor = dict.fromkeys(jobs, float("inf")), dict.fromkeys(jobs, float("inf"))
    for _ in range(turns):
        for name, job in jobs.items():
            start, used = time.perf_counter(), time.process_time()
            read = job(folder)
            clock[name] = min(clock[name], time.perf_counter() - start)
            processor[name] = min(processor[name], time.process_time() - used)
            if read != expected:
                raise RuntimeError(f"{name} read {read} of {expected}")
    return clock, processor


def measure(folder: Path, turns: int) -> list[str]:
    """Both tables as Markdown rows."""
    rows = []
    for kind, count, write, plain in (
        (f"{PICTURES:,} PNG of {SIDE} x {SIDE}", PICTURES, write_pictures, plain_pictures),
        (f"{GRIDS:,} npz of {' x '.join(map(str, SHAPE))}", GRIDS, write_grids, plain_grids),
    ):
        place = folder / plain.__name__
        place.mkdir()
        write(place, count)
        jobs = {"runvet": mine, "plain loop": plain, "decoding, runvet": decode, "decoding, plainly": decode_plainly}
        clock, processor = best(jobs, place, count, turns)
        faster = clock["plain loop"] / clock["runvet"]
        of_decoding = clock["runvet"] / clock["decoding, plainly"]
        reached = "reached" if faster >= 5 or of_decoding <= 1.1 else "**not reached**"
        cells = " | ".join(f"{clock[name]:.2f} ({processor[name]:.2f})" for name in jobs)
        rows.append(
            f"| {kind} | {cells} | {faster:.1f}× | {of_decoding:.2f} | 5×, or 1.1 of the time of decoding: {reached} |"
        )
    return rows


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--dry", action="store_true", help="print only")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), chosen.turns)
    lines = [
        "Seconds by the clock (of the processor) for a whole folder, best of several turns. The plain loops (Pillow; numpy and"
        " scipy.ndimage.label) measure the same as runvet; decoding reads every array and measures nothing.",
        "",
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end; numpy {np.__version__}, Pillow {Image.__version__}.",
        "",
        "| files | runvet | plain loop | decoding, runvet | decoding, plainly | faster than the loop | of plain decoding | target |",
        "| --- | --: | --: | --: | --: | --: | --: | --- |",
        *rows,
    ]
    print("\n".join(lines))
    if not chosen.dry:
        path = Path(__file__).parent / "RESULTS.md"
        known = path.read_text(encoding="utf-8") if path.exists() else "# Speed\n"
        path.write_text(known.partition(MARK)[0].rstrip() + "\n" + MARK + "\n" + "\n".join(lines) + "\n", encoding="utf-8")  # fmt: skip


if __name__ == "__main__":
    main()
