"""One measurement in a fresh process: `python jobs.py NAME PATH` prints seconds, CPU seconds, points and peak memory.

Points of a text log are its lines. Imports are not timed; reading (and, where said, checking) is.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Job = Callable[[Path], Callable[[], int]]  # imports what it needs and gives what is timed, which counts its points


def runvet_reader(name: str) -> Job:
    """Read with one reader of runvet."""

    def prepare(path: Path) -> Callable[[], int]:
        from runvet.readers import readers
        from runvet.sink import Sink
        from runvet.source import describe

        reader = next(r for r in readers() if r.name == name)
        lines = count_lines(path) if name == "text" else 0

        def work() -> int:
            sink = Sink(path.name, name)
            reader.read(describe(path, path.name), sink)
            return max(lines, *(s.total for log in sink.close() for s in log.series))

        return work

    return prepare


def count_lines(path: Path) -> int:
    """The lines of a file."""
    with path.open("rb") as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))


def runvet_check(path: Path) -> Callable[[], int]:
    """Read and judge a file or folder."""
    import runvet.engine
    from runvet import api

    runvet.engine.collect()
    lines = count_lines(path) if path.suffix == ".log" else 0

    def work() -> int:
        run = api.read(path)
        api.judge(run)
        return max([lines, *(s.total for stage in run.stages for s in stage.series)])

    return work


def event_accumulator(path: Path) -> Callable[[], int]:
    """TensorBoard's own reader, with every scalar kept."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def work() -> int:
        accumulator = EventAccumulator(str(path), size_guidance={"scalars": 0})
        accumulator.Reload()
        return max(len(accumulator.Scalars(tag)) for tag in accumulator.Tags()["scalars"])

    return work


def tbparse(path: Path) -> Callable[[], int]:
    """tbparse's SummaryReader."""
    from tbparse import SummaryReader

    return lambda: len(SummaryReader(str(path)).scalars)


def pandas_csv(path: Path) -> Callable[[], int]:
    """`pandas.read_csv`."""
    import pandas as pd

    return lambda: len(pd.read_csv(path))


def pandas_jsonl(path: Path) -> Callable[[], int]:
    """`pandas.read_json(lines=True)`."""
    import pandas as pd

    return lambda: len(pd.read_json(path, lines=True))


def wandb_reader(path: Path) -> Callable[[], int]:
    """The reader of wandb 0.19 and its protobuf classes; values by `json`."""
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    def work() -> int:
        store = DataStore()
        store.open_for_scan(str(path))
        columns: dict[str, list[Any]] = {}
        while (data := store.scan_data()) is not None:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            for item in record.history.item:
                key = item.key or ".".join(item.nested_key)
                columns.setdefault(key, []).append(json.loads(item.value_json))
        return max(map(len, columns.values()))

    return work


def python_csv(path: Path) -> Callable[[], int]:
    """The csv module and `float`."""
    import csv

    def work() -> int:
        with path.open(newline="") as stream:
            rows = csv.reader(stream)
            next(rows)
            return len([(float(step), float(loss)) for step, loss in rows])

    return work


JOBS: dict[str, Job] = {
    **{f"runvet {name}": runvet_reader(name) for name in ("tensorboard", "jsonl", "delimited", "wandb", "text")},
    "runvet check": runvet_check,
    "EventAccumulator": event_accumulator,
    "tbparse": tbparse,
    "pandas.read_csv": pandas_csv,
    "pandas.read_json": pandas_jsonl,
    "wandb DataStore": wandb_reader,
    "csv module": python_csv,
}


def peak() -> float:
    """The largest resident memory of this process, MiB; on Linux without what its parent had when it was forked."""
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Run one job and print what it cost."""
    work = JOBS[sys.argv[1]](Path(sys.argv[2]))
    imports = peak()
    begun, burnt = time.perf_counter(), time.process_time()
    points = work()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - burnt
    print(json.dumps({"seconds": seconds, "cpu": cpu, "points": points, "peak": peak(), "imports": imports}))


if __name__ == "__main__":
    main()
