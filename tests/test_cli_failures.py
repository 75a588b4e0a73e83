"""How commands fail: one line that says why, status 2 (1 is for findings), 130 for Ctrl-C."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from runvet.cli import main as cli
from runvet.cli.main import main

EXAMPLES = Path(__file__).parent.parent / "examples" / "runs"
HEALTHY = EXAMPLES / "healthy"
DIVERGING = EXAMPLES / "diverging"


def call(*arguments: object, **environment: str) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)), env=environment)


def shell(command: str) -> tuple[int, str]:
    """Status and standard error of a line of the shell, in which $R is runvet."""
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        env={**os.environ, "R": f"{sys.executable} -m runvet"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr.decode()


def one_line(told: str) -> bool:
    return told.startswith("runvet: ") and len(told.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", HEALTHY, "--output", "FILE/x"),
        ("check", HEALTHY, "--also", "json=FILE/x"),
        ("compare", HEALTHY, DIVERGING, "--output", "FILE/x"),
        ("export", HEALTHY, "--output", "FILE/x"),
        ("new-rule", "MINE101", "late-rise", "--folder", "FILE/x"),
        ("checkpoints", "FILE/x"),
        ("watch", "FILE/x", "--once"),
        ("report", "FILE/x"),
        ("data", "FILE/x"),
    ],
    ids=lambda a: a[0],
)
def test_files_that_cannot_be_written_or_read(tmp_path: Path, arguments: tuple[object, ...]) -> None:
    file = tmp_path / "file"
    file.write_text("")
    done = call(*(str(a).replace("FILE", str(file)) for a in arguments))
    assert done.exit_code == 2
    assert one_line(done.stderr)
    assert f"{file}/x: " in done.stderr


def test_a_summary_that_cannot_be_written(tmp_path: Path) -> None:
    done = call("check", HEALTHY, "--format", "github", GITHUB_STEP_SUMMARY=str(tmp_path / "no" / "x"))
    assert done.exit_code == 2
    assert one_line(done.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("command", ["check", "export", "rules"])
def test_a_full_disk(command: str) -> None:
    path = "" if command == "rules" else HEALTHY
    assert shell(f"$R {command} {path} > /dev/full") == (2, "runvet: No space left on device\n")


@pytest.mark.parametrize(
    ("command", "which"),
    [
        ("check - <&-", "input"),
        ("report - <&-", "input"),
        (f"check {HEALTHY} >&-", "output"),
        (f"export {HEALTHY} >&-", "output"),
        (f"watch --once {HEALTHY} >&-", "output"),
    ],
)
def test_closed_streams(command: str, which: str) -> None:
    assert shell(f"$R {command}") == (2, f"runvet: standard {which} is closed\n")


def test_a_closed_standard_error_is_no_failure() -> None:
    assert shell(f"$R check {HEALTHY} 2>&-") == (0, "")


def test_a_reader_that_goes_away_is_no_failure() -> None:
    assert shell(f"{{ $R export {DIVERGING}; echo $? >&2; }} | head -n 1 >/dev/null") == (0, "0\n")


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> object:
    """Makes a command `fault` that raises what its test says."""

    def made(error: BaseException) -> None:
        @click.command("fault")
        def command() -> None:
            raise error

        monkeypatch.setattr(cli.Commands, "get_command", lambda *_: command)

    return made


def test_a_fault_of_our_own_is_told_in_one_line(fault: object) -> None:
    fault(KeyError("a\x1b[2J\nb"))  # type: ignore[operator]
    done = call("fault", RUNVET_TRACEBACK="")
    assert done.exit_code == 2
    assert one_line(done.stderr)
    assert "runvet failed: KeyError" in done.stderr
    assert "RUNVET_TRACEBACK=1" in done.stderr
    assert "\x1b" not in done.stderr


def test_the_traceback_is_shown_where_it_is_asked_for(fault: object) -> None:
    fault(ValueError("odd"))  # type: ignore[operator]
    done = call("fault", RUNVET_TRACEBACK="1")
    assert done.exit_code == 2
    assert "Traceback (most recent call last)" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("runvet: runvet failed: ValueError: odd")


def test_ctrl_c_is_no_finding(fault: object) -> None:
    fault(KeyboardInterrupt())  # type: ignore[operator]
    done = call("fault")
    assert done.exit_code == 130
    assert "interrupted" in done.stderr


@pytest.mark.parametrize("option", ["--select", "--ignore", "--require"])
def test_the_option_that_names_an_unknown_rule_is_told(option: str) -> None:
    done = call("check", HEALTHY, option, "rising-los")
    assert done.exit_code == 2
    assert done.stderr == f"runvet: {option}: no rule 'rising-los'; did you mean 'rising-loss'?\n"


@pytest.mark.parametrize("option", ["--select", "--ignore"])
def test_watch_tells_it_too(option: str) -> None:
    done = call("watch", HEALTHY, "--once", option, "LOSS1O1")
    assert done.exit_code == 2
    assert f"{option}: no rule 'LOSS1O1'" in done.stderr


@pytest.mark.parametrize("command", ["check", "checkpoints", "watch", "export", "data", "report", "compare"])
def test_an_empty_path_is_not_the_current_folder(command: str) -> None:
    done = call(command, "", *{"compare": ["x"], "watch": ["--once"]}.get(command, []))
    assert done.exit_code == 2
    assert "a path is empty" in done.stderr


def test_standard_input_stands_alone() -> None:
    done = call("check", "-", HEALTHY)
    assert done.exit_code == 2
    assert "stands alone" in done.stderr


@pytest.mark.parametrize("command", ["watch", "export", "data"])
def test_commands_without_addresses_say_so(command: str) -> None:
    done = call(command, "s3://bucket/run", *(["--once"] if command == "watch" else []))
    assert done.exit_code == 2
    assert "s3://bucket/run: addresses are for `runvet check` and `runvet checkpoints`" in done.stderr


def test_a_missing_configuration_is_named_once(tmp_path: Path) -> None:
    file = tmp_path / "no.toml"
    done = call("check", HEALTHY, "--config", file)
    assert done.stderr == f"runvet: {file}: No such file or directory\n"


def test_a_pipe_is_read_once_and_judged(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("".join(f"step {i} loss {3 / (i + 1):.4f}\n" for i in range(200)))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    line = f"cat {log} > {pipe} & {sys.executable} -m runvet check {pipe} --format json"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False, timeout=60)
    assert json.loads(done.stdout)["reading"]["points"] == 200
