"""Time runvet against its peers on the same logs in one run, and write RESULTS.md: `python benchmarks/bench.py`.

Every measurement is a fresh process; runvet and its peers take turns, the best of several turns counts. Peers that
cannot be installed here are named and have no figure.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import logs
from results import Check, Row, write

HERE = Path(__file__).parent
SHARED = HERE.parent / ".." / "shared"
PEERS = Path(sys.prefix) / "peers"  # each peer has an environment of its own: some need other versions than runvet
PINNED = {
    "tensorboard": ("tensorboard==2.21.0", "tbparse==0.0.9", "numpy==2.4.6"),
    "pandas": ("pandas==3.1.1",),
    "wandb": ("wandb==0.19.11",),
    "trainproof": ("trainproof==0.22.0", "tensorboard==2.21.0"),
    "runmedic": ("runmedic==0.1.1", "tensorboard==2.21.0"),
}
LONG = 20.0  # seconds: a job that takes longer gets two turns only
LIMIT = 900.0  # seconds after which a job is stopped


@dataclass
class Cost:
    """The best of several turns of one job. `peak` is in MiB of resident memory; `every` holds the seconds of each turn."""

    seconds: float = float("inf")
    cpu: float = float("inf")
    points: int = 0
    peak: float = 0.0
    turns: int = 0
    why: str = ""
    every: list[float] = field(default_factory=list)
    every_cpu: list[float] = field(default_factory=list)


def environment(name: str) -> Path | None:
    """The interpreter of a peer's environment, made on first use; None where it cannot be installed."""
    python = PEERS / name / "bin" / "python"
    done = PEERS / name / "done"
    pinned = " ".join(PINNED[name])
    if not done.exists() or done.read_text() != pinned:
        shutil.rmtree(PEERS / name, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(PEERS / name)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PINNED[name]]
        if subprocess.run(install, check=False, capture_output=True).returncode:
            return None
        done.write_text(pinned)
    return python


def turn(python: Path, job: str, path: Path, cost: Cost) -> None:
    """Run one job once in a fresh process."""
    command = [str(python), str(HERE / "jobs.py"), job, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False, cwd=HERE)
    except subprocess.TimeoutExpired:
        cost.why = f"stopped after {LIMIT:.0f} s"
        return
    if done.returncode:
        cost.why = (done.stderr.strip().splitlines() or ["failed"])[-1][:120]
        return
    told = json.loads(done.stdout.strip().splitlines()[-1])
    cost.turns += 1
    cost.every.append(told["seconds"])
    cost.seconds = min(cost.seconds, told["seconds"])
    cost.cpu = min(cost.cpu, told["cpu"])
    cost.every_cpu.append(told["cpu"])
    cost.peak = max(cost.peak, told["peak"])
    cost.points = told["points"]


def compete(jobs: Sequence[tuple[str, Path | None]], path: Path, turns: int) -> dict[str, Cost]:
    """The costs of several jobs on one file. They take turns, in the opposite order every second time."""
    costs = {job: Cost() for job, _ in jobs}
    for number in range(turns):
        for job, python in jobs if number % 2 == 0 else list(reversed(jobs)):
            cost = costs[job]
            if python is None:
                cost.why = "could not be installed here"
            elif not cost.why and not (cost.turns >= 2 and cost.seconds > LONG):
                turn(python, job, path, cost)
                print(f"  {job}: {cost.why or f'{cost.every[-1]:.3f} s'}", file=sys.stderr, flush=True)
    return costs


def command(arguments: Sequence[str]) -> tuple[float, float, float, int, str]:
    """Seconds, CPU seconds, peak memory (MiB), exit code and output of a program from its start to its end."""
    with tempfile.TemporaryFile() as output:
        begun, peak = time.perf_counter(), 0.0
        process = subprocess.Popen(arguments, stdout=output, stderr=subprocess.STDOUT)
        while True:
            peak = max(peak, resident(process.pid))
            done, status, usage = os.wait4(process.pid, os.WNOHANG)
            if done:
                break
            time.sleep(0.005)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read(20_000).decode("utf-8", "replace")
        return seconds, usage.ru_utime + usage.ru_stime, peak or usage.ru_maxrss / 1024, process.returncode, said


def resident(pid: int) -> float:
    """The largest resident memory of a running process so far, MiB; 0 where the system does not tell.

    `ru_maxrss` would count what the measuring process had when it was forked.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def reading(folder: Path, points: int, turns: int) -> list[Row]:
    """Read-only comparisons for every format, and reading with judging for runvet."""
    own = Path(sys.executable)
    makers = {
        "tensorboard": logs.tensorboard,
        "wandb": logs.wandb,
        "m.jsonl": logs.jsonl,
        "m.csv": logs.csv,
        "m.log": logs.text,
        "mixed.log": logs.mixed,
    }
    for name, make in makers.items():
        print(f"writing {name}", file=sys.stderr, flush=True)
        make(folder / name, points)
    event_file = next((folder / "tensorboard").iterdir())
    plan: list[tuple[str, Path, str, list[tuple[str, str, float | None]], float | None]] = [
        ("TensorBoard", event_file, "runvet tensorboard",
         [("EventAccumulator", "tensorboard", 20.0), ("tbparse", "tensorboard", None)], None),
        ("W&B `.wandb`", folder / "wandb" / "run-bench001.wandb", "runvet wandb", [("wandb DataStore", "wandb", 10.0)], None),
        ("JSON lines", folder / "m.jsonl", "runvet jsonl", [("pandas.read_json", "pandas", 3.0)], None),
        ("CSV", folder / "m.csv", "runvet delimited", [("pandas.read_csv", "pandas", 1.0), ("csv module", "", None)], 5.6e6),
        ("Text (`logging`)", folder / "m.log", "runvet text", [], 1e6),
        ("Text, lines of four kinds in turn", folder / "mixed.log", "runvet text", [], 5e5),
    ]  # fmt: skip
    rows = []
    for format_name, path, mine, peers, speed in plan:
        jobs = [(mine, own), *((job, environment(env) if env else own) for job, env, _ in peers), ("runvet check", own)]
        costs = compete(jobs, path, turns)
        rows.append(
            Row(format_name, path.stat().st_size, mine, costs, {job: target for job, _, target in peers}, speed)
        )
    return rows


def programs(folder: Path, turns: int) -> list[tuple[str, str, float, float, float, str]]:
    """Whole checks by the command line: (log, program, seconds, CPU seconds, MiB, remark)."""
    found = []
    for log in ("m.jsonl", "m.csv", "tensorboard", "m.log"):
        best: dict[str, tuple[float, float, float, str]] = {}
        for number in range(turns):
            names = ["runvet", "trainproof", "runmedic"]
            for name in names if number % 2 == 0 else names[::-1]:
                python = Path(sys.executable) if name == "runvet" else environment(name)
                if python is None:
                    best[name] = (float("nan"), float("nan"), float("nan"), "could not be installed here")
                    continue
                verb = {"runvet": "check", "trainproof": "doctor", "runmedic": "diagnose"}[name]
                seconds, cpu, peak, code, output = command([str(python.parent / name), verb, str(folder / log)])
                said = [line.strip().replace(f"{folder}/", "") for line in output.splitlines() if line.strip()]
                remark = f"exit {code}: {(said or [''])[-1 if code > 1 else 0][:70]}"
                if name not in best or seconds < best[name][0]:
                    best[name] = (seconds, cpu, peak, remark)
                print(f"  {log} {name}: {seconds:.2f} s, {remark}", file=sys.stderr, flush=True)
        found += [(log, name, *cost) for name, cost in best.items()]
    return found


def checks(folder: Path, huge: int) -> list[Check]:
    """Targets of runvet alone: the long case, a huge text log, many files in one process."""
    own, found = Path(sys.executable), []
    case = SHARED / "cases" / "worlds-dynamics" / "run"
    if case.exists():
        cost = compete([("runvet check", own)], case.resolve(), 5)["runvet check"]
        found.append(
            Check(
                "check of the 50,344-step case, after start",
                cost.seconds,
                cost.cpu,
                cost.peak,
                "< 1 s",
                cost.seconds < 1,
            )
        )
    print(f"writing {huge / 1e9:.0f} GB of text", file=sys.stderr, flush=True)
    lines = logs.huge_text(folder / "huge.log", huge)
    cost = compete([("runvet check", own)], folder / "huge.log", 1)["runvet check"]
    what = f"check of a {huge / 1e9:.0f} GB text log ({lines:,} lines)"
    found.append(Check(what, cost.seconds, cost.cpu, cost.peak, "< 500 MiB resident", cost.peak < 500))
    (folder / "huge.log").unlink()
    many = SHARED / "corpus" / "logs"
    files = (
        sorted(p for p in many.iterdir() if p.suffix != ".json" or p.stat().st_size > 0)[:45] if many.exists() else []
    )
    if len(files) < 45:
        for number in range(45):
            with (folder / f"public{number}.log").open("w") as stream:
                stream.writelines(logs.text_lines(2_000, number))
        files = sorted(folder.glob("public*.log"))
    size = sum(p.stat().st_size for p in files) / 1e6
    seconds, cpu, peak, _, _ = command([str(own.parent / "runvet"), "check", "--jobs", "1", *map(str, files)])
    found.append(Check(f"check of {len(files)} public-log-sized files ({size:.0f} MB) in one process, with start", seconds, cpu, peak,
                       "a few seconds (< 15 s)", seconds < 15))  # fmt: skip
    return found


def machine() -> list[str]:
    """What the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        named = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        model = named[0].partition(":")[2].strip() if named else model
    load = os.getloadavg()[0]
    return [
        f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}",
        f"load average at the start: {load:.1f}",
        f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
    ]


def versions() -> list[str]:
    """Versions of runvet, of what it needs and of the peers."""
    from importlib.metadata import version

    own = [f"{name} {version(name)}" for name in ("runvet", "numpy", "orjson")]
    return own + sorted({pin.replace("==", " ") for pins in PINNED.values() for pin in pins if "numpy" not in pin})


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--huge", action="store_true", help="a text log of 10 GB instead of 1 GB")
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    about = machine()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # imports of installed programs are compiled once, as for any user
    with tempfile.TemporaryDirectory(prefix="runvet-bench-") as name:
        folder = Path(name)
        rows = reading(folder, options.points, options.turns)
        cli = programs(folder, 2)
        alone = checks(folder, 10_000_000_000 if options.huge else 1_000_000_000)
    write(options.output, about, versions(), options.points, rows, cli, alone)
    print(options.output)


if __name__ == "__main__":
    main()
