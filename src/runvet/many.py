"""Judging many runs at once, by processes or by any executor. One that fails is reported; the others go on."""

from __future__ import annotations

import functools
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from os import PathLike
from typing import TypeAlias

import runvet
from runvet.checkpoints.places import Place, place
from runvet.config import Config, ConfigError
from runvet.report import Report
from runvet.secrets import mask

Configure: TypeAlias = "Config | Callable[[Place], Config] | None"
Done: TypeAlias = "Callable[[int, int], object]"


def check_many(
    paths: Iterable[str | PathLike[str] | Place],
    config: Configure = None,
    *,
    executor: Executor | None = None,
    jobs: int | None = None,
    curves: bool | int = False,
    figures: bool | int = False,
    done: Done | None = None,
) -> list[Report]:
    """Judge many runs in parallel; the reports come in the order of the paths.

    `executor` is any `concurrent.futures.Executor` (threads, Dask's `client.get_executor()`, loky); it is not shut
    down. Without one, `jobs` processes are started (default: one for each usable CPU; 1 judges in this process).
    They are started afresh, not forked, so a script must call this below `if __name__ == "__main__":`.
    `config` holds for all runs, or gives each path its own. `done` is called with (finished, of) as runs finish.
    A run that can't be judged (unreadable, out of memory, a killed worker) gives a report with the verdict
    `not judged` and the reason; the others go on. Raises ValueError for jobs below 1.
    """
    targets = [place(p) for p in paths]
    if jobs is not None and jobs < 1:
        raise ValueError("jobs must be at least 1")
    task = functools.partial(judge_one, config=config, curves=curves, figures=figures)
    tell = done or _silent
    workers = min(jobs or cpus(), len(targets))
    if executor is not None:
        return _submitted(executor, task, targets, tell)
    if workers <= 1:
        return list(_one_by_one(task, targets, tell))
    return _in_processes(task, targets, workers, tell)


def judge_one(path: Place, config: Configure = None, curves: bool | int = False, figures: bool | int = False) -> Report:
    """Judge one run; whatever goes wrong becomes a report that says so. Runs in the worker."""
    from runvet import api
    from runvet.config import find

    start = time.perf_counter()
    try:
        mine = config(path) if callable(config) else config if config is not None else find(path)
        run = api.read(path, mine)
        return api.judge(run, mine, seconds=time.perf_counter() - start, curves=curves, figures=figures)
    except (OSError, ConfigError) as error:
        return failed(path, str(error))
    except MemoryError:
        return failed(path, "there is not enough memory to read it")
    except Exception as error:  # a fault of runvet or of a foreign rule must not take the other runs along
        return failed(path, f"runvet failed: {type(error).__name__}: {error} (please report it)")


def failed(path: Place, why: str) -> Report:
    """The report of a run that could not be judged at all."""
    return Report(runvet=runvet.__version__, path=mask(str(path))[0], verdict="not judged", why_not_judged=mask(why)[0])


def _silent(finished: int, of: int) -> None:
    """Tell nobody."""


def cpus() -> int:
    """The CPUs that this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _one_by_one(task: Callable[[Place], Report], paths: Sequence[Place], done: Done) -> Iterator[Report]:
    for i, path in enumerate(paths, 1):
        yield task(path)
        done(i, len(paths))


def _submitted(executor: Executor, task: Callable[[Place], Report], paths: Sequence[Place], done: Done) -> list[Report]:
    """All runs through an executor of the caller's."""
    futures = [executor.submit(task, path) for path in paths]
    out = []
    for i, (path, future) in enumerate(zip(paths, futures, strict=True), 1):
        try:
            out.append(future.result())
        except Exception as error:  # whatever a foreign executor raises: a lost worker, a pickle that fails
            out.append(failed(path, f"the executor failed: {type(error).__name__}: {error}"))
        done(i, len(paths))
    return out


def _in_processes(task: Callable[[Place], Report], paths: Sequence[Place], workers: int, done: Done) -> list[Report]:
    """All runs by a pool of processes. A killed worker breaks its pool: what was on the way then is judged again,
    each in a process of its own, so that only the run that kills its worker is lost.
    """
    reports: dict[int, Report] = {}
    waiting = deque(range(len(paths)))
    while waiting:
        doubtful = _until_broken(task, paths, waiting, workers, reports, done)
        for index in doubtful:
            reports[index] = _alone(task, paths[index])
            done(len(reports), len(paths))
    return [reports[i] for i in range(len(paths))]


def _until_broken(
    task: Callable[[Place], Report],
    paths: Sequence[Place],
    waiting: deque[int],
    workers: int,
    reports: dict[int, Report],
    done: Done,
) -> list[int]:
    """Judge what is waiting until all is done or the pool breaks; gives what was on the way when it broke."""
    running: dict[Future[Report], int] = {}
    with _pool(workers) as pool:
        while waiting or running:
            try:
                while waiting and len(running) < workers:  # no more than can run: few are in doubt when it breaks
                    running[pool.submit(task, paths[waiting[0]])] = waiting[0]
                    waiting.popleft()
            except BrokenExecutor:
                return sorted(running.values())
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                if isinstance(future.exception(), BrokenExecutor):
                    return sorted(running.values())
                index = running.pop(future)
                reports[index] = _result(future, paths[index])
                done(len(reports), len(paths))
    return []


def _alone(task: Callable[[Place], Report], path: Place) -> Report:
    with _pool(1) as pool:
        return _result(pool.submit(task, path), path)


def _result(future: Future[Report], path: Place) -> Report:
    try:
        return future.result()
    except BrokenExecutor:
        return failed(path, "the process that judged it was killed or crashed (out of memory?)")
    except Exception as error:  # a result that cannot be sent between processes
        return failed(path, f"runvet failed: {type(error).__name__}: {error} (please report it)")


def _pool(workers: int) -> ProcessPoolExecutor:
    """Processes that share no state with this one: threads and devices of the caller do not survive a fork."""
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["runvet.api"])
    return ProcessPoolExecutor(workers, mp_context=context)
