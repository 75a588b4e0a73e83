"""`runvet watch` on runs that really grow, and what it says of them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runvet.config import Config
from runvet.watch import Watcher, interval

EXAMPLES = Path(__file__).parent.parent / "examples" / "runs"
# A training that writes a healthy loss, or one that diverges half-way; flushed row by row.
TRAINER = """
import random, sys, time
file, sick, rows, pause = sys.argv[1], sys.argv[2] == "sick", int(sys.argv[3]), float(sys.argv[4])
rng = random.Random(1)
with open(file, "w") as f:
    for step in range(rows):
        loss = 4 / (1 + step / 50) + rng.gauss(0, 0.02) + 0.5
        if sick and step > rows // 2:
            loss += (step - rows // 2) * 0.05
        f.write(f"step {step}/{rows} train_loss {loss:.4f} lr 0.001 grad_norm {1 + rng.random():.3f}\\n")
        f.flush()
        if step % 50 == 0:
            time.sleep(pause)
    if sys.argv[5:] != ["silent"]:
        f.write("training finished\\n")
"""


def train(
    file: Path, kind: str, *, rows: int = 1200, pause: float = 0.1, silent: bool = False
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", TRAINER, str(file), kind, str(rows), str(pause), *(["silent"] if silent else [])]
    )


def watch(*arguments: object) -> subprocess.Popen[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return subprocess.Popen(
        [sys.executable, "-m", "runvet", "watch", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean,
    )


def test_a_healthy_run_ends_the_watch_when_it_finishes(tmp_path: Path) -> None:
    trainer = train(tmp_path / "train.log", "healthy")
    done = watch(tmp_path, "--interval", "0.4")
    out, err = done.communicate(timeout=180)
    assert trainer.wait(timeout=60) == 0
    assert err == ""
    assert "step 1,199 of 1,200" in out
    assert "has finished (train.log:1201)" in out
    assert "critical" not in out
    assert done.returncode in (0, 1)


def test_a_run_that_turns_sick_is_told_and_the_command_runs_once(tmp_path: Path) -> None:
    folder, told = tmp_path / "run", tmp_path / "told"
    folder.mkdir()
    code = f"import os, json; r = json.load(open(os.environ['RUNVET_REPORT'])); open({str(told)!r}, 'a').write(r['verdict'] + '\\n')"
    done = watch(folder, "--interval", "0.3", "--exec", f'{sys.executable} -c "{code}"')
    assert done.stdout is not None
    assert "no metrics yet" in done.stdout.readline()
    trainer = train(folder / "train.log", "sick")
    out, err = done.communicate(timeout=180)
    trainer.wait(timeout=60)
    assert err == ""
    assert "+ critical LOSS101 rising-loss" in out
    assert "→ critical" in out
    assert told.read_text(encoding="utf-8") == "critical\n"
    assert done.returncode == 1


def test_until_critical_ends_while_the_run_goes_on(tmp_path: Path) -> None:
    trainer = train(tmp_path / "train.log", "sick", pause=0.5)
    try:
        done = watch(tmp_path, "--interval", "0.3", "--until", "critical")
        out, _ = done.communicate(timeout=180)
        assert trainer.poll() is None, "the run was over before the watch"
        assert done.returncode == 1
        assert "CRITICAL" in out
    finally:
        trainer.kill()
        trainer.wait()


def test_ctrl_c_gives_the_verdict(tmp_path: Path) -> None:
    trainer = train(tmp_path / "train.log", "healthy", pause=5.0)
    try:
        done = watch(tmp_path, "--interval", "0.3")
        assert done.stdout is not None
        first = done.stdout.readline()  # it has begun to watch: a signal during the start would meet the imports
        done.send_signal(signal.SIGINT)
        out, err = done.communicate(timeout=120)
        out = first + out
        assert "interrupted" in out
        assert "checks ran" in out
        assert "Traceback" not in err
        assert done.returncode in (0, 1, 2)
    finally:
        trainer.kill()
        trainer.wait()


def half_done(begin: int, end: int) -> Iterator[str]:
    """Lines of a run of 800 planned steps."""
    rng = random.Random(begin)
    for step in range(begin, end):
        yield f"step {step}/800 train_loss {4 / (1 + step / 50) + rng.gauss(0, 0.02) + 0.5:.4f} lr 0.001\n"


def test_a_run_that_stops_growing_is_a_stall(tmp_path: Path) -> None:
    """Half of the planned steps are done and nothing more comes: told once, and a warning for the exit status."""
    (tmp_path / "train.log").write_text("".join(half_done(0, 400)), encoding="utf-8")
    for arguments, status in (
        (("--until", "stalled"), 1),
        (("--for", "4"), 1),
        (("--until", "stalled", "--fail-on", "critical"), 0),
    ):
        done = watch(tmp_path, "--interval", "0.2", "--stall", "1", "--select", "LOSS", *arguments)
        out, err = done.communicate(timeout=120)
        assert err == ""
        assert out.count("! stalled: nothing new for") == 1
        assert out.count("the run has stalled") == 1
        assert done.returncode == status


def test_a_stall_that_ends_is_none(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text("".join(half_done(0, 400)), encoding="utf-8")
    done = watch(tmp_path, "--interval", "0.2", "--stall", "1", "--select", "LOSS")
    assert done.stdout is not None
    lines = []
    while not any("! stalled" in line for line in lines):
        lines.append(done.stdout.readline())
        assert lines[-1], "the watch ended before the stall"
    with (tmp_path / "train.log").open("a", encoding="utf-8") as stream:
        stream.writelines(half_done(400, 790))
        stream.write("training finished\n")
    out, _ = done.communicate(timeout=120)
    assert "has stalled" not in out
    assert "has finished" in out
    assert done.returncode == 0


def test_once_and_statuses(tmp_path: Path) -> None:
    for name, status in (("healthy", 0), ("diverging", 1)):
        done = watch(EXAMPLES / name, "--once")
        out, err = done.communicate(timeout=120)
        assert (done.returncode, err) == (status, "")
        assert "checks ran" in out
    done = watch(tmp_path / "nothing", "--once")
    assert "no such file" in done.communicate(timeout=120)[1]
    assert done.returncode == 2


def test_waits_for_a_run_that_has_not_begun(tmp_path: Path) -> None:
    done = watch(tmp_path / "later", "--interval", "0.2", "--for", "1")
    out, err = done.communicate(timeout=120)
    assert "waiting for" in out
    assert "nothing was there" in err
    assert done.returncode == 2


@pytest.mark.parametrize("arguments", [["--exec", "'"], ["--exec", ""], ["--interval", "0"]])
def test_wrong_arguments(arguments: list[str]) -> None:
    done = watch(EXAMPLES / "healthy", *arguments)
    assert done.communicate(timeout=120)[0] == ""
    assert done.returncode == 2


def log(folder: Path, rows: int, *, seconds: int = 1, finished: str = "") -> None:
    lines = [
        f"2026-01-02 {10 + i * seconds // 3600:02d}:{i * seconds // 60 % 60:02d}:{i * seconds % 60:02d} step {i} loss {4 / (1 + i / 50):.4f}"
        for i in range(rows)
    ]
    (folder / "train.log").write_text("\n".join(lines) + "\n" + finished, encoding="utf-8")


class Clock:
    """A time that the test sets."""

    def __init__(self) -> None:
        self.time = time.time()

    def __call__(self) -> float:
        return self.time


def test_a_stall_is_said_once_for_each_standstill(tmp_path: Path) -> None:
    clock = Clock()
    log(tmp_path, 100)
    watcher = Watcher(tmp_path, Config(), 900, clock)
    assert watcher.look().stalled is None
    clock.time += 800
    assert watcher.look().stalled is None
    clock.time += 200
    change = watcher.look()
    assert change.stalled == pytest.approx(1000, abs=5)
    clock.time += 5000
    assert watcher.look().stalled is None
    log(tmp_path, 101)
    assert watcher.look().grown
    clock.time += 901
    assert watcher.look().stalled == pytest.approx(901, abs=5)


def test_a_slow_run_is_given_its_own_time(tmp_path: Path) -> None:
    clock = Clock()
    log(tmp_path, 100, seconds=200)
    watcher = Watcher(tmp_path, Config(), 900, clock)
    watcher.look()
    assert watcher._run is not None
    assert interval(watcher._run.stages[0]) == pytest.approx(200)
    clock.time += 1900
    assert watcher.look().stalled is None
    clock.time += 200
    assert watcher.look().stalled == pytest.approx(2100, abs=5)


def test_findings_that_come_and_go(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path, Config())
    log(tmp_path, 300)
    first = watcher.look()
    log(
        tmp_path,
        300,
        finished='Traceback (most recent call last):\n  File "a.py", line 1, in <module>\nValueError: broken\n',
    )
    second = watcher.look()
    assert "LOG103" in {f.rule for f in second.new} - {f.rule for f in first.report.findings}
    assert second.before == first.report.verdict
    log(tmp_path, 301)
    assert "LOG103" in {f.rule for f in watcher.look().gone}


def test_nothing_new_is_not_judged_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log(tmp_path, 300)
    watcher = Watcher(tmp_path, Config())
    first = watcher.look()
    monkeypatch.setattr("runvet.api.judge", None)
    again = watcher.look()
    assert again.report is first.report
    assert (again.new, again.gone, again.grown) == ((), (), False)
