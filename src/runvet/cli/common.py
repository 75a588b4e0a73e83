"""What several commands share: clear failures, and silence when the reader of a pipe goes away."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click


def fail(message: str) -> NoReturn:
    """Say why nothing could be judged, and end with status 2."""
    click.echo(f"runvet: {message}", err=True)
    sys.exit(2)


@contextmanager
def quiet_pipe() -> Iterator[None]:
    """End without a traceback when standard output is closed early (`runvet export … | head`)."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
