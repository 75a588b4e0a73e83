"""One job at a time in a thread of its own. Its error is raised by the next call; the interpreter waits for it at exit."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Background:
    """At most one job in flight."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is in flight."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, job: Callable[[], object]) -> None:
        """Run a job; waits for the one before it, and raises its error instead of starting."""
        self.wait()

        def run() -> None:
            try:
                job()
            except BaseException as error:  # it belongs to the thread that asked
                self._error = error

        self._thread = threading.Thread(target=run, name="runvet-save", daemon=False)
        self._thread.start()

    def join(self) -> None:
        """Wait for the job in flight; its error stays for `wait`."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def wait(self) -> None:
        """Wait for the job in flight. Raises its error, once."""
        self.join()
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                error = None  # the error knows this frame
