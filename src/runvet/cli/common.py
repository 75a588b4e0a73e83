"""What several commands share: clear failures, open streams, and silence when the reader of a pipe goes away."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NoReturn, TextIO

import click

TRACEBACK = "RUNVET_TRACEBACK"
INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it
CLOSED = "standard {} is closed"


def fail(message: str) -> NoReturn:
    """Say why nothing could be judged, and end with status 2."""
    from runvet.render.terminal import Terminal

    _let_go()
    click.echo(f"runvet: {Terminal().plain(message)}", err=True)
    sys.exit(2)


@contextmanager
def clear_failures() -> Iterator[None]:
    """Whatever goes wrong becomes one line and status 2: status 1 is for findings. Ctrl-C gives status 130.

    `RUNVET_TRACEBACK=1` shows where a fault of runvet's own lies.
    """
    if sys.stderr is None:  # closed by the caller: there is nobody to tell
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (for the rest of the process)
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except OSError as error:
        fail(said(error))
    except KeyboardInterrupt:
        _let_go()
        click.echo("runvet: interrupted", err=True)
        sys.exit(INTERRUPTED)
    except Exception as error:
        _crash(error)


def _crash(error: Exception) -> NoReturn:
    from runvet.config import ConfigError

    if isinstance(error, ConfigError):
        fail(str(error))
    told = " ".join(f"{type(error).__name__}: {error}".split())
    if os.environ.get(TRACEBACK):
        click.echo("".join(traceback.format_exception(error)).rstrip(), err=True)
        fail(f"runvet failed: {told} (please report it with the lines above)")
    fail(f"runvet failed: {told} (please report it with what {TRACEBACK}=1 shows)")


def said(error: OSError) -> str:
    """What an operating system's error says, without its number: `FILE: No such file or directory`."""
    if error.strerror is None:
        return str(error)
    return (
        f"{os.fsdecode(error.filename)}: {error.strerror}"
        if isinstance(error.filename, (str, bytes))
        else error.strerror
    )


def standard_input() -> BinaryIO:
    """Standard input as bytes. Raises OSError where the caller has closed it."""
    if sys.stdin is None:
        raise OSError(CLOSED.format("input"))
    return sys.stdin.buffer


def standard_output() -> TextIO:
    """Standard output. Raises OSError where the caller has closed it."""
    if sys.stdout is None:
        raise OSError(CLOSED.format("output"))
    return sys.stdout


@contextmanager
def quiet_pipe() -> Iterator[None]:
    """End without a traceback when standard output is closed early (`runvet export … | head`)."""
    try:
        yield
    except BrokenPipeError:
        _discard()
        sys.exit(0)


def _let_go() -> None:
    """Forget what standard output could not take (a full disk), which Python would try again to write at its end."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        _discard()


def _discard() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
