"""A line on standard error while reading takes longer than a second, on a terminal only."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def reading(path: object) -> Iterator[None]:
    """Show that the path is being read, once a second, until the block ends."""
    if not sys.stderr.isatty():
        yield
        return
    done, start = threading.Event(), time.monotonic()

    def show() -> None:
        while not done.wait(1.0):
            sys.stderr.write(f"\rreading {path} … {time.monotonic() - start:.0f} s\x1b[K")
            sys.stderr.flush()

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        if time.monotonic() - start > 1.0:
            sys.stderr.write("\r\x1b[K")


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function to be told (finished, of), which shows both on a terminal."""
    shown = sys.stderr.isatty()

    def tell(finished: int, of: int) -> None:
        if shown:
            sys.stderr.write(f"\r{finished} of {of} {what}\x1b[K")
            sys.stderr.flush()

    try:
        yield tell
    finally:
        if shown:
            sys.stderr.write("\r\x1b[K")
