"""The times of many lines whose prefixes have the same layout."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runvet.readers._text.prefix import MONTHS, NOON, Prefix, Prefixes
from runvet.readers._text.scan import Scan
from runvet.run import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Stamp:
    """Where the parts of a time stand: indices of runs of digits within the line, -1 where it lacks the part.

    `month` is set where the month is a word, `shift` is the zone's distance from UTC in seconds, and the runs of the
    zone must hold `zone`. `together` marks month and day in one run of four digits, that of `day`.
    `unix` marks a time in seconds; then `hour` is its whole part and `fraction` the rest.
    """

    year: int = -1
    month_run: int = -1
    day: int = -1
    hour: int = -1
    minute: int = -1
    second: int = -1
    fraction: int = -1
    month: int = 0
    shift: int = 0
    zone: tuple[tuple[int, int], ...] = ()
    unix: bool = False
    together: bool = False

    @property
    def clock(self) -> bool:
        """Whether the stamp has no date."""
        return not (self.unix or self.together or self.month) and self.month_run < 0

    def read(self, scan: Scan, first: IntArray, prefixes: Prefixes) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Times in seconds (n,) and which lines (n,) have a valid one. Times of clocks without a date start at midnight."""
        fraction = np.zeros(len(first))
        if self.fraction >= 0:
            places = scan.length[first + self.fraction]
            fraction = scan.whole(first + self.fraction) / 10.0**places
        if self.unix:
            return self._unix(scan, first)
        hour, minute, second = (scan.whole(first + run) for run in (self.hour, self.minute, self.second))
        clock = (hour * 3600 + minute * 60 + second) + fraction
        if self.clock:
            return clock, (hour < 30) & (minute < 60) & (second < 60)
        fine = np.ones(len(first), np.bool_)
        for run, value in self.zone:
            fine &= scan.whole(first + run) == value
        date = scan.whole(first + self.year) if self.year >= 0 else np.full(len(first), prefixes.year)
        if self.together:
            date = date * 10_000 + scan.whole(first + self.day)
        else:
            date = date * 100 + (scan.whole(first + self.month_run) if self.month_run >= 0 else self.month)
            date = date * 100 + (scan.whole(first + self.day) if self.day >= 0 else 1)
        begin = np.empty(len(first))
        same = bool((date == date[0]).all())
        for key in date[:1].tolist() if same else np.unique(date).tolist():
            day = prefixes.day(key // 10_000, key // 100 % 100, key % 100)
            mine = slice(None) if same else date == key
            begin[mine] = np.nan if day is None else day - self.shift
        return begin + clock, fine & (begin == begin)

    def _unix(self, scan: Scan, first: IntArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        whole, places = scan.whole(first + self.hour), scan.length[first + self.fraction]
        scale = 10 ** np.minimum(places, 5)
        time = (whole * scale + scan.whole(first + self.fraction)) / scale.astype(np.float64)
        head = scan.text[scan.start[first + self.hour]] == 49  # a time of this kind begins with 1
        return time, head & (places <= 5)


def stamp_of(prefix: Prefix, text: str, runs: list[tuple[int, int]]) -> Stamp | None:
    """The layout of the time that a prefix has; `runs` are the spans of the digits of the line `text`."""
    match = prefix.stamp
    if match is None or prefix.time is None:
        return None
    at = len(text) - len(match.string)
    index = {begin: i for i, (begin, _) in enumerate(runs)}
    groups = match.groupdict()
    if groups.get("u"):
        begin = match.start("u") + at
        return Stamp(hour=index[begin], fraction=index[begin + 11], unix=True)
    run = {name: index[match.start(name) + at] for name in ("y", "mo", "d", "h", "mi", "s", "f")
           if groups.get(name) and match.start(name) + at in index}  # fmt: skip
    glog = "l" in groups  # there month and day are one run of four digits
    if glog:
        run["d"] = run.get("mo", -1)
    if len(run) != sum(bool(groups.get(name)) for name in ("y", "mo", "d", "h", "mi", "s", "f")):
        return None
    month = MONTHS[match["mn"].lower()] if groups.get("mn") else 0
    zone: list[tuple[int, int]] = []
    shift = 0
    if (groups.get("z") or "")[:1] in ("+", "-"):
        text_zone = match["z"]
        sign = 1 if text_zone[0] == "+" else -1
        shift = sign * (int(text_zone[1:3]) * 3600 + int(text_zone[-2:]) * 60)
        zone = [(index[match.start("z") + at + part.start()], int(part[0])) for part in re.finditer(r"\d+", text_zone)]
    return Stamp(run.get("y", -1), -1 if glog else run.get("mo", -1), run.get("d", -1), run["h"], run["mi"], run["s"], run.get("f", -1),
                 month, shift, tuple(zone), together=glog)  # fmt: skip


def past_midnight(clock: FloatArray, former: float, day: float) -> tuple[FloatArray, float]:
    """Clocks (n,) in seconds counted on over midnights, and the day that the last one belongs to."""
    before = np.concatenate(([former], clock[:-1]))
    days = day + 86_400.0 * np.cumsum(clock + NOON < before)
    return days + clock, float(days[-1])
