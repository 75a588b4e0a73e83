"""Time the profile of 10,000 pictures and of 1,000 voxel grids against a plain loop over Pillow and scipy.

`python benchmarks/bench_samples.py` prints the figures and writes them into RESULTS.md below those of `bench.py`. The
plain loops measure the same things of every file: range, mean, standard deviation, a digest, a thumbnail of 16 x 16
grey levels (pictures); counts of each value and the largest 6-connected part (grids). "Decoding" reads every array and
measures nothing. All take turns, each turn in a fresh process whose imports are not counted; the best turn of each
counts. runvet reads ahead with threads, so the clock, the processor time of the process (all threads) and its peak
memory (imports included) are told.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
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


Figures = tuple[float, float, float]  # seconds by the clock, of the processor, and peak memory in MiB


def turn(job: Callable[[Path], int], folder: Path, expected: int) -> Figures:
    """One job in this process, which has done nothing else but the same with one file (that imports what is needed)."""
    job(folder.parent / f"first of {folder.name}")
    start, used = time.perf_counter(), time.process_time()
    read = job(folder)
    clock, processor = time.perf_counter() - start, time.process_time() - used
    if read != expected:
        raise RuntimeError(f"{job.__name__} read {read} of {expected}")
    return clock, processor, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def best(jobs: dict[str, Callable[[Path], int]], folder: Path, expected: int, turns: int) -> dict[str, Figures]:
    """The least of each figure of each job over several turns."""
    found: dict[str, list[Figures]] = {name: [] for name in jobs}
    for _ in range(turns):
        for name, job in jobs.items():
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                found[name].append(pool.submit(turn, job, folder, expected).result())
    return {
        name: (min(c for c, _, _ in f), min(p for _, p, _ in f), min(m for _, _, m in f)) for name, f in found.items()
    }


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
        one = folder / f"first of {place.name}"
        one.mkdir()
        write(one, 1)
        jobs = {"runvet": mine, "plain loop": plain, "decoding, runvet": decode, "decoding, plainly": decode_plainly}
        told = best(jobs, place, count, turns)
        ratios = [
            (told["plain loop"][i] / told["runvet"][i], told["runvet"][i] / told["decoding, plainly"][i])
            for i in (0, 1)
        ]
        verdict = " ".join(f"{by} {'reached' if faster >= 5 or of <= 1.1 else '**not reached**'}" for by, (faster, of) in zip(("clock", "processor"), ratios, strict=True))  # fmt: skip
        cells = " | ".join(f"{told[name][0]:.2f} ({told[name][1]:.2f}; {told[name][2]:.0f})" for name in jobs)
        faster, of = (" / ".join(f"{r[i]:.2f}" for r in ratios) for i in (0, 1))
        rows.append(f"| {kind} | {cells} | {faster} | {of} | {verdict} |")
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
        "Seconds by the clock (of the processor; peak MiB, imports included) for a whole folder, each turn a fresh process, imports"
        " not timed, best of several turns. The plain loops (Pillow; numpy and scipy.ndimage.label) measure the same as runvet but"
        " for the sketches that find near copies; decoding reads every array and measures nothing. Target: 5 times the speed of"
        " the plain loop, or 1.1 of the time of plain decoding. Ratios by the clock / of the processor.",
        "",
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end; numpy {np.__version__}, Pillow {Image.__version__}.",
        "",
        "| files | runvet | plain loop | decoding, runvet | decoding, plainly | times faster than the loop | of plain decoding | target |",
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
