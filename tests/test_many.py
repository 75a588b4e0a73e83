"""Many runs at once: order, executors, and runs that take their worker down."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runvet
from runvet.config import Config
from runvet.many import check_many
from test_cli import runvet as call

EXAMPLES = Path(__file__).parent.parent / "examples" / "runs"
NAMES = ["healthy", "diverging", "overfitted", "crashed", "divided-loss"]
VERDICTS = ["sound", "critical", "critical", "critical", "suspect"]
PATHS = [EXAMPLES / n for n in NAMES]


def deadly(path: Path) -> Config:
    """A configuration that kills the process that asks for it, for one run."""
    if path.name == "crashed":
        os.kill(os.getpid(), signal.SIGKILL)
    if path.name == "overfitted":
        raise RuntimeError("odd")
    return Config()


class Inline(Executor):
    """The least that an executor can be."""

    def __init__(self) -> None:
        self.submitted = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.submitted += 1
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def test_processes_keep_the_order() -> None:
    told: list[tuple[int, int]] = []
    reports = check_many(PATHS, jobs=2, done=lambda finished, of: told.append((finished, of)))
    assert [r.path for r in reports] == [str(p) for p in PATHS]
    assert [r.verdict for r in reports] == VERDICTS
    assert told == [(i, 5) for i in range(1, 6)]


def test_same_as_one_by_one() -> None:
    def plain(report: Any) -> dict[str, Any]:
        from runvet.report import to_dict

        return {k: v for k, v in to_dict(report).items() if k != "reading"}

    alone = [plain(runvet.check(p)) for p in PATHS[:3]]
    assert [plain(r) for r in check_many(PATHS[:3], jobs=2)] == alone
    assert [plain(r) for r in check_many(PATHS[:3], jobs=1)] == alone


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are killed otherwise here")
def test_a_killed_worker_loses_only_its_run() -> None:
    reports = check_many([*PATHS, *PATHS], deadly, jobs=2)
    assert [r.verdict for r in reports[:5]] == ["sound", "critical", "not judged", "not judged", "suspect"]
    assert [r.verdict for r in reports[:5]] == [r.verdict for r in reports[5:]]
    assert "killed" in reports[3].why_not_judged
    assert "RuntimeError: odd" in reports[2].why_not_judged


def test_executors_of_others() -> None:
    inline = Inline()
    assert [r.verdict for r in check_many(PATHS, executor=inline)] == VERDICTS
    assert inline.submitted == 5
    with ThreadPoolExecutor(2) as threads:
        assert [r.verdict for r in check_many(PATHS, executor=threads)] == VERDICTS
        assert threads.submit(int).result() == 0, "the executor is the caller's, and stays open"


@pytest.mark.filterwarnings("default")
def test_dask() -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as client:
        reports = runvet.check_many(PATHS, executor=client.get_executor())
    assert [r.verdict for r in reports] == VERDICTS


def test_what_cannot_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    shutil.copytree(EXAMPLES / "healthy", tmp_path / "good")
    (tmp_path / "bad" / "runvet.toml").write_text("selct = []\n", encoding="utf-8")
    reports = check_many([tmp_path / "bad", tmp_path / "none", tmp_path / "good"], jobs=1)
    assert [r.verdict for r in reports] == ["not judged", "not judged", "sound"]
    assert "selct" in reports[0].why_not_judged
    assert "no such file" in reports[1].why_not_judged
    with pytest.raises(ValueError, match="at least 1"):
        check_many([], jobs=0)
    assert check_many([]) == []


def test_table_worst_first() -> None:
    status, out, err = call("check", *PATHS)
    assert (status, err) == (1, "")
    lines = out.splitlines()
    assert lines[0].split()[:2] == ["verdict", "run"]
    assert [line.split()[0] for line in lines[1:6]] == ["critical"] * 3 + ["suspect", "sound"]
    assert any("diverging" in line and "LOSS101 rising-loss" in line for line in lines)
    assert lines[-1].startswith("5 runs in ")
    assert "Do this" not in out
    assert "Do this" in call("check", *PATHS, "--verbose")[1]
    assert max(map(len, lines)) <= 100


def test_other_formats_hold_all_runs() -> None:
    assert [r["verdict"] for r in json.loads(call("check", *PATHS, "--format", "json", "--jobs", "2")[1])] == VERDICTS
    assert call("check", *PATHS, "--format", "junit")[1].count("<testsuite ") == 5


def test_one_bad_configuration_does_not_stop_the_others(tmp_path: Path) -> None:
    for i in range(4):
        shutil.copytree(EXAMPLES / "healthy", tmp_path / f"run{i}")
    (tmp_path / "run2" / "runvet.toml").write_text("selct = []\n", encoding="utf-8")
    status, out, _ = call("check", tmp_path / "run*")
    assert status == 2
    assert "4 runs" in out
    assert "selct" in out


def test_scripts_may_call_it(tmp_path: Path) -> None:
    script = tmp_path / "judge.py"
    script.write_text(
        f"import runvet\nif __name__ == '__main__':\n    print([r.verdict for r in runvet.check_many({[str(p) for p in PATHS[:2]]!r}, jobs=2)])\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "['sound', 'critical']"


def test_partial_is_enough_for_a_pickle() -> None:
    import pickle

    from runvet.many import judge_one

    task = pickle.loads(pickle.dumps(partial(judge_one, config=None, curves=False)))
    assert pickle.loads(pickle.dumps(task(PATHS[0]))).verdict == "sound"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
@pytest.mark.parametrize("form", ["text", "concise", "json", "markdown", "sarif", "junit", "github"])
def test_names_that_are_no_unicode(tmp_path: Path, form: str) -> None:
    folder = os.fsencode(tmp_path) + b"/bad\xff"
    shutil.copytree(os.fsencode(EXAMPLES / "diverging"), folder)
    status, out, err = call("check", os.fsdecode(folder), "--format", form)
    assert (status, err) == (1, "")
    assert "LOSS101" in out


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel does not tell the memory of a process")
def test_memory_does_not_grow_with_the_number_of_runs(tmp_path: Path) -> None:
    """Peaks of the parent and of the workers, as the kernel counts them, for 12 and for 60 runs."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(60):
        folder = tmp_path / f"run{number:02d}"
        folder.mkdir()
        loss = (2 + 3 / (1 + np.arange(5_000) / 200) + rng.normal(0, 0.05, 5_000)).tolist()
        lines = "".join(f"{step},{value:.5f}\n" for step, value in enumerate(loss))
        (folder / "metrics.csv").write_text("step,train_loss\n" + lines, encoding="utf-8")
        paths.append(folder)
    (few_parent, few_worker), (parent, worker) = peaks(paths[:12]), peaks(paths)
    assert parent < few_parent + 16
    assert worker < few_worker + 24


def peaks(paths: list[Path]) -> tuple[float, float]:
    """Peak resident MiB of the parent and of its largest worker, which tells its own before each run that it judges."""
    code = (
        "import os, sys, runvet\n"
        "from pathlib import Path\n"
        "from runvet.config import Config\n"
        "def peak():\n"
        "    return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) / 1024\n"
        "def configure(path):\n"
        "    Path(sys.argv[0] + f'.{os.getpid()}').write_text(str(peak()))\n"
        "    return Config()\n"
        "if __name__ == '__main__':\n"
        "    reports = runvet.check_many(sys.argv[1:], configure, jobs=2)\n"
        "    assert all(r.verdict != 'not judged' for r in reports), [r.why_not_judged for r in reports]\n"
        "    print(peak())\n"
    )
    script = paths[0].parent / f"many{len(paths)}.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), *map(str, paths)], capture_output=True, text=True, timeout=300, check=True
    )
    workers = [float(p.read_text(encoding="utf-8")) for p in script.parent.glob(f"{script.name}.*")]
    assert workers
    return float(done.stdout), max(workers)
