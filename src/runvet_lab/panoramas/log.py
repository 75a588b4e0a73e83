"""`train.log` in the words of DUSt3R's and MapAnything's MetricLogger: `name: median of the last 20 (mean of the epoch)`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import fmean, median
from types import TracebackType

WINDOW = 20


class TextLog:
    """Appends lines to a file, each with the time of day, as the first rank prints them. Silent on other ranks."""

    def __init__(self, path: Path, *, active: bool = True) -> None:
        self._file = path.open("a", encoding="utf-8") if active else None

    def say(self, words: str) -> None:
        """One line."""
        if self._file is not None:
            now = datetime.now(tz=timezone.utc)
            self._file.write(f"[{now:%H:%M:%S.%f}] {words}\n")
            self._file.flush()

    def __enter__(self) -> TextLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()


class Meters:
    """The values of one epoch. `whole`: one line at its end with medians over all of it, as held-out sets are printed."""

    def __init__(self, log: TextLog, header: str, steps: int, every: int, *, whole: bool = False) -> None:
        self._log, self._header, self._steps, self._every = log, header, steps, every
        self._last: dict[str, deque[float]] = {}
        self._all: dict[str, list[float]] = {}
        self._window, self._whole = (steps if whole else WINDOW), whole
        self._begun = self._at = time.perf_counter()

    def add(self, step: int, values: Mapping[str, float], rate: float | None = None) -> bool:
        """The values of one step (counted within the epoch); True where a line was printed."""
        now = time.perf_counter()
        for name, value in {**values, "time": now - self._at}.items():
            self._last.setdefault(name, deque(maxlen=max(self._window, 1))).append(value)
            self._all.setdefault(name, []).append(value)
        self._at = now
        last = step == self._steps - 1
        if not last and (self._whole or step % self._every):
            return False
        left = timedelta(seconds=int((self._steps - step - 1) * fmean(self._all["time"])))
        place = f"[{step:>{len(str(self._steps))}}/{self._steps}]"
        lr = [] if rate is None else [f"lr: {rate:.6f}"]
        parts = [
            f"{self._header}  {place}",
            f"eta: {left}",
            *lr,
            *self._told(values),
            f"time: {fmean(self._last['time']):.4f}",
        ]
        self._log.say("  ".join(parts))
        return True

    def close(self) -> dict[str, float]:
        """Print how long the epoch took; the mean of each value."""
        took = time.perf_counter() - self._begun
        self._log.say(
            f"{self._header} Total time: {timedelta(seconds=int(took))} ({took / max(self._steps, 1):.4f} s / it)"
        )
        return {name: fmean(self._all[name]) for name in self._all if name != "time"}

    def _told(self, names: Iterable[str]) -> list[str]:
        return [f"{name}: {median(self._last[name]):.4f} ({fmean(self._all[name]):.4f})" for name in names]
