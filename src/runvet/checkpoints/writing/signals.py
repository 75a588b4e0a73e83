"""SIGTERM as a wish: noted when it comes, so that a save in progress is finished and one more can be made."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class StopSignal:
    """Notes a signal instead of dying of it, also the second one: launchers pass on what the cluster has sent already."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        self.number, self.came = number, False
        self._former: Callable[[int, FrameType | None], Any] | int | None = None
        self._on = False

    @property
    def listening(self) -> bool:
        """Whether it is installed."""
        return self._on

    def install(self) -> None:
        """Begin to listen; from the main thread only. Raises RuntimeError elsewhere."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("signals can be handled from the main thread only")
        if not self._on:
            self._former = signal.signal(self.number, self._note)
            self._on = True

    def remove(self) -> None:
        """Put back what was there before. Does nothing outside of the main thread."""
        if self._on and threading.current_thread() is threading.main_thread():
            signal.signal(self.number, self._former if self._former is not None else signal.SIG_DFL)
            self._on = False

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True
