"""Time the audit and the writing of a checkpoint against peers: `python benchmarks/bench_checkpoints.py [--gb 2.2]`.

Audit: every value of one file is looked at. Every turn is a fresh process, imports not counted; programs take turns on
a warm cache, the best of the turns counts. Writing: one process, the ways take turns in another order each time, the
median counts, of processor time too: that says what the work is, whatever else the machine does. The section "Checkpoints"
of RESULTS.md is replaced.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
PEER = Path(sys.prefix) / "peers" / "weightlens-target"
WEIGHTLENS = "weightlens==0.3.0"
HEAD = "## Checkpoints"


@dataclass(frozen=True)
class Row:
    """One measurement: what was done, by which program, seconds, GB/s (0: not meant), peak MiB (0: not measured), remark."""

    what: str
    program: str
    seconds: float
    speed: float
    peak: float
    remark: str


def rows(folder: Path, gigabytes: float = 2.2, turns: int = 3) -> list[Row]:
    """All measurements, in files below a folder with about three times as much room."""
    return [*audit(folder, gigabytes, turns), *saving(folder, gigabytes / 2, turns)]


def state(gigabytes: float) -> dict[str, Any]:
    """A transformer's weights and Adam's two moments, float32, with as many bytes."""
    import torch

    width, layers = 1024, max(1, round(gigabytes * 1e9 / 4 / 3 / (12 * 1024 * 1024)))
    torch.manual_seed(0)
    shapes = {"qkv": (3 * width, width), "out": (width, width), "up": (4 * width, width), "down": (width, 4 * width), "norm": (width,)}  # fmt: skip
    model = {f"blocks.{i}.{n}.weight": torch.randn(s) * 0.02 for i in range(layers) for n, s in shapes.items()}
    moments = {
        n: {
            "step": torch.tensor(1000.0),
            "exp_avg": torch.randn(t.shape) * 1e-4,
            "exp_avg_sq": torch.rand(t.shape) * 1e-8,
        }
        for n, t in model.items()
    }
    return {"model": model, "optimizer": {"state": moments, "param_groups": [{"lr": 1e-4, "params": list(model)}]}}


def audit(folder: Path, gigabytes: float, turns: int) -> list[Row]:
    """Finite or not, for every value of one file."""
    import torch

    path = folder / "audit.pt"
    torch.save(state(gigabytes), path)
    size = path.stat().st_size
    jobs: dict[str, str] = {"runvet": "", "torch.load(mmap=True) + isfinite": "", "weightlens 0.3.0": ""}
    if not _install():
        jobs["weightlens 0.3.0"] = "could not be installed here"
    best: dict[str, tuple[float, float]] = {}
    for number in range(turns):
        for job in list(jobs) if number % 2 == 0 else list(reversed(jobs)):
            if jobs[job]:
                continue
            environment = {**os.environ, "PYTHONPATH": str(PEER)} if job.startswith("weightlens") else dict(os.environ)
            done = subprocess.run(
                [sys.executable, __file__, "--job", job, str(path)],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                jobs[job] = (done.stderr.strip().splitlines() or ["failed"])[-1][:100]
                continue
            told = json.loads(done.stdout.strip().splitlines()[-1])
            seconds, peak = best.get(job, (float("inf"), 0.0))
            best[job] = min(seconds, told["seconds"]), max(peak, told["peak"])
            print(f"  {job}: {told}", file=sys.stderr, flush=True)
    path.unlink()
    what, own = f"audit of {size / 1e9:.2f} GB", best["runvet"][0]
    found = []
    for job, why in jobs.items():
        if why:
            found.append(Row(what, job, 0.0, 0.0, 0.0, why))
            continue
        seconds, peak = best[job]
        remark = "≥ 1 GB/s, < 300 MiB" if job == "runvet" else f"runvet is faster by {seconds / own:.1f}×"
        if job == "runvet":
            remark += ": reached" if size / 1e9 / seconds >= 1 and peak < 300 else ": **not reached**"
        found.append(Row(what, job, seconds, size / 1e9 / seconds, peak, remark))
    return found


def saving(folder: Path, gigabytes: float, turns: int) -> list[Row]:
    """A bare torch.save against the manager, with and without a background. Each way writes a new file, then deletes its last."""
    import torch

    from runvet.checkpoints import CheckpointManager

    held, places = state(gigabytes), folder / "managed"
    size = sum(t.numel() * t.element_size() for t in _tensors(held))
    behind = CheckpointManager(folder / "behind", keep_last=1, background=True)
    before = CheckpointManager(places, keep_last=1)
    lighter = CheckpointManager(folder / "lighter", keep_last=1, verify="structure")
    step = [0]

    def bare(*, sync: bool = False) -> None:
        last = list(folder.glob("bare-*.pt"))
        new = folder / f"bare-{step[0]}.pt"
        torch.save(held, new)
        if sync:
            with new.open("rb") as file:
                os.fsync(file.fileno())
        for path in last:
            path.unlink()

    def through(manager: CheckpointManager) -> Callable[[], None]:
        return lambda: (manager.save(step=step[0], model=held["model"], optimizer=held["optimizer"]), None)[1]

    ways: dict[str, Callable[[], None]] = {
        "torch.save": bare,
        "torch.save + fsync": lambda: bare(sync=True),
        "CheckpointManager": through(before),
        'CheckpointManager(verify="structure")': through(lighter),
        "CheckpointManager(background=True), blocking": through(behind),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(turns + 1):  # the first turn warms up and does not count
        for name in names[number % len(names) :] + names[: number % len(names)]:
            step[0] += 1
            os.sync()
            begun, work = time.perf_counter(), time.process_time()
            ways[name]()
            taken, worked = time.perf_counter() - begun, time.process_time() - work
            behind.wait()
            if number:
                times[name].append((taken, worked))
            print(f"  {name}: {taken:.3f} s, processor {worked:.3f} s", file=sys.stderr, flush=True)
    for manager in (before, lighter, behind):
        manager.close()
    for path in folder.glob("bare-*.pt"):
        path.unlink()
    middle = {name: statistics.median(wall for wall, _ in t) for name, t in times.items()}
    plain, durable = middle["torch.save"], middle["torch.save + fsync"]
    wanted = dict(zip(names[2:], (1.3, 1.3, 0.05), strict=True))
    found = []
    for name, seconds in middle.items():
        remark = f"{seconds / plain:.2f}× a bare torch.save, {seconds / durable:.2f}× a synced one; processor"
        best = {n: min(times[n])[0] for n in (*names[:2], name)}
        remark += f" {statistics.median(worked for _, worked in times[name]):.2f} s; best turns {best[name]:.2f} s,"
        remark += f" {best[name] / best[names[0]]:.2f}× and {best[name] / best[names[1]]:.2f}×"
        if name in wanted:
            remark += f"; target ≤ {wanted[name]}× bare: {'reached' if seconds <= wanted[name] * plain else '**not reached**'}"
        found.append(Row(f"saving {size / 1e9:.2f} GB", name, seconds, size / 1e9 / seconds, 0.0, remark))
    return found


def section(found: list[Row], about: str) -> str:
    """The rows as Markdown."""
    lines = [
        HEAD, "",
        f"Written by `python benchmarks/bench_checkpoints.py`: {about}. Audit: fresh processes on a warm cache, imports not counted,",
        "best of the turns. Saving: median of the turns in one process, from tensors on the CPU; every way writes a new file and then",
        "deletes its last. The manager checks that all is finite, syncs, reads the file back, compares every byte, and hashes.", "",
        "| what | program | seconds | GB/s | peak MiB | remark |", "| --- | --- | --: | --: | --: | --- |",
    ]  # fmt: skip
    for row in found:
        cells = [f"{row.seconds:.2f}" if row.seconds else "–", f"{row.speed:.2f}" if row.speed else "–", f"{row.peak:.0f}" if row.peak else "–"]  # fmt: skip
        lines.append(f"| {row.what} | {row.program} | {' | '.join(cells)} | {row.remark} |")
    return "\n".join(lines) + "\n"


def replaced(text: str, new: str) -> str:
    """RESULTS.md with this section in place of the former one, the rest untouched."""
    before, head, after = text.partition(HEAD + "\n")
    rest = after.partition("\n## ")[2] if head else ""
    return f"{before.rstrip()}\n\n{new}".lstrip() + (f"\n## {rest}" if rest else "")


def work(job: str, path: str) -> Callable[[], object]:
    """The audit of one program, imports done."""
    if job == "runvet":
        from runvet.checkpoints.formats import read_file

        return lambda: read_file(Path(path), "x", None, deep=True).finite
    if job.startswith("weightlens"):
        from weightlens.cli import run_cli as lens

        return lambda: lens(["analyze", path])
    import torch

    def load() -> bool:
        held = torch.load(path, mmap=True, weights_only=True, map_location="cpu")
        return all(bool(torch.isfinite(t).all()) for t in _tensors(held))

    return load


def _tensors(value: Any) -> list[Any]:
    import torch

    if isinstance(value, torch.Tensor):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [t for v in inner for t in _tensors(v)]


def _install() -> bool:
    """weightlens beside the torch that is here: its own requirement would bring another."""
    if (PEER / "weightlens").exists():
        return True
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(PEER)]
    first = subprocess.run([*pip, "--no-deps", WEIGHTLENS], check=False, capture_output=True)
    second = subprocess.run([*pip, "pydantic>=2.12.2", "rich>=14.2"], check=False, capture_output=True)
    return first.returncode == 0 and second.returncode == 0


def _job(job: str, path: str) -> None:
    act = work(job, path)
    begun = time.perf_counter()
    try:
        act()
    except SystemExit as ended:
        if ended.code:
            raise
    seconds = time.perf_counter() - begun
    print(json.dumps({"seconds": seconds, "peak": _peak()}))


def _peak() -> float:
    """Most resident memory in MiB. Linux hands ru_maxrss of the parent on to its children: asked elsewhere where possible."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure, and replace the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gb", type=float, default=2.2)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--folder", help="where the files are written, by default a temporary folder")
    parser.add_argument("--job", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        _job(*given.job)
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        found = rows(Path(folder), given.gb, given.turns)
    about = f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, load average {os.getloadavg()[0]:.1f}"
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    RESULTS.write_text(replaced(text, section(found, about)), encoding="utf-8")
    print(section(found, about))


if __name__ == "__main__":
    main()
