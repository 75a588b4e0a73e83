"""Judge many runs by `runvet check RUNS/*` and measure seconds and peak memory of every process: `bench_many.py [N]`.

The memory of the parent and of each worker is the kernel's own high-water mark (VmHWM), looked up while they run. Two
sizes of the same folder are judged, so that growth with the number of runs shows.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import logs


def peaks(root: int) -> Iterator[tuple[int, str, float]]:
    """(process, command, peak resident MiB) of a process and all its descendants."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:  # noqa: PERF203  (it ended meanwhile)
            continue
    wanted = {root}
    while more := {p for p, parent in parents.items() if parent in wanted} - wanted:
        wanted |= more
    for process in wanted:
        try:
            status = Path(f"/proc/{process}/status").read_text()
            command = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if "VmHWM:" in status:
            yield process, command, int(status.split("VmHWM:")[1].split()[0]) / 1024


def judge(paths: list[Path], jobs: int, *more: str) -> tuple[float, float, list[float]]:
    """Seconds, the parent's peak and the peaks of the others in MiB."""
    command = [sys.executable, "-m", "runvet", "check", *map(str, paths), "--jobs", str(jobs), *more]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seen: dict[int, float] = {}
    while process.poll() is None:
        seen.update({number: peak for number, _, peak in peaks(process.pid)})
        time.sleep(0.05)
    parent = seen.pop(process.pid, float("nan"))
    return time.perf_counter() - start, parent, sorted(seen.values())


def main() -> None:
    """Write the runs, judge a quarter and all of them, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="?", type=int, default=200)
    parser.add_argument("--points", type=int, default=20_000, help="steps of each run (one text log)")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number in range(given.runs):
            run = Path(folder, f"run{number:04d}")
            run.mkdir()
            with (run / "train.log").open("w") as stream:
                stream.writelines(logs.text_lines(given.points, seed=number))
            paths.append(run)
        size = sum(f.stat().st_size for p in paths for f in p.iterdir()) / 2**20
        print(f"{given.runs} runs of {given.points:,} steps, {size:,.0f} MiB of logs, {given.jobs} processes")
        print("| runs | wall seconds | parent MiB | largest worker MiB | processes |\n|---|---|---|---|---|")
        for count in (given.runs // 4, given.runs):
            seconds, parent, others = judge(paths[:count], given.jobs)
            print(f"| {count} | {seconds:.1f} | {parent:.0f} | {others[-1] if others else 0:.0f} | {1 + len(others)} |")
        report = Path(folder, "report.html")
        seconds, parent, _ = judge(paths, given.jobs, "--also", f"html={report}")
        print(
            f"with --also html: {seconds:.1f} s, parent {parent:.0f} MiB, file {report.stat().st_size / 2**20:.1f} MiB"
        )


if __name__ == "__main__":
    main()
