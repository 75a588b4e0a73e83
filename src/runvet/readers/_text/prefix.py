"""What logging libraries put before a message: time, level, logger, place in the code, rank."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone

MONTHS = {m: i for i, m in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
NOON = 43_200  # seconds that a clock goes back by at midnight, at least
_LEVELS = {"w": "warning", "e": "error", "f": "error", "i": "info", "d": "info", "warn": "warning", "warning": "warning", "error": "error",
           "critical": "error", "fatal": "error", "exception": "error", "err": "error"}  # fmt: skip

_FULL = re.compile(
    r"[\[(<]?(?P<y>\d{4})[-/.](?P<mo>\d\d?)[-/.](?P<d>\d\d?)[ T_,-]{1,2}(?P<h>\d\d?):(?P<mi>\d\d):(?P<s>\d\d)(?:[.,:](?P<f>\d{1,9}))?"
    r"(?: ?(?P<z>Z|UTC|[+-]\d\d:?\d\d))?(?=$|[^\w.])"
)
_SHORT = re.compile(
    r"[\[(<]?(?P<mo>\d\d)[-/](?P<d>\d\d)[ T](?P<h>\d\d):(?P<mi>\d\d):(?P<s>\d\d)(?:[.,](?P<f>\d{1,9}))?(?=[^\w.])"
)
_GLOG = re.compile(
    r"(?P<l>[IWEFD])(?P<mo>\d\d)(?P<d>\d\d) (?P<h>\d\d):(?P<mi>\d\d):(?P<s>\d\d)\.(?P<f>\d{1,9})\s{1,8}\d{1,10} [^\s\]]{1,200}\]"
)
_UNIX = re.compile(
    r"(?:(?:\w{1,40}:){0,3}:::MLL?P?\S{0,20} (?:[a-z]{2,5} )?(?:\w{1,40} )?)?[\[(]?(?P<u>\d{10}\.\d{1,9})[\])]?(?: \((?:[^()\n]|\(\))[^()\n]{0,300}\))?(?=\s)"
)
_CLOCK = re.compile(
    r"[\[(<]?(?P<h>[012]\d):(?P<mi>[0-5]\d):(?P<s>[0-5]\d)(?:[.,](?P<f>\d{1,9}))?(?=[\]\s)>])(?!\s{0,2}(?:<|elapsed))"
)
_NAMED = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?(?P<mn>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(?P<d>\d\d?) "
    r"(?P<h>\d\d):(?P<mi>\d\d):(?P<s>\d\d)(?: [A-Z]{2,5})?(?: (?P<y>\d{4}))?(?=$|\W)"
)
_LEVEL = re.compile(
    r"[\s|:,\-]{0,8}(?:(?P<o>[\[(<])\s?)?(?P<l>DEBUG|INFO|WARN(?:ING)?|ERROR|ERR|CRITICAL|FATAL|EXCEPTION|NOTICE|TRACE|(?<=[\[<])[IWEFD](?=[\]>]))"
    r"(?P<who>\([\w.\-]{1,60}\))?(?P<c>\s{0,8}[\])>])?(?=[\s|:,\-\]\[]|$)(?P<end>[\s|:,\-]{0,8})",
    re.I,
)
_BARE_LETTER = re.compile(r"[:\s]{1,3}(?P<l>[IWEF]) (?=[\w/]+[/.])")
_LOGGER = re.compile(r"[\s|\-]{0,6}[A-Za-z_][\w.\-]{0,80}(?:\s(?=(?:INFO|WARN|ERROR|DEBUG|CRITICAL)\b)|\s-\s)")
_PLACE = re.compile(
    r"\s?(?:[\[(][\w./\\<>-]{1,160}\.(?:py|cc|cpp|cu|h)(?::|, line | line )\d{1,6}(?::[\w<>]{1,60})?[\])]"
    r"|[\w./<>-]{1,160}\.(?:py|cc|cpp|cu|h)(?::| line )\d{1,6}(?: \d{1,8})?\]"
    r"|[\w.<>]{1,100}:[\w.<>]{1,80}:\d{1,6} -|\(\w{1,40}:\d{1,6}\)(?= [A-Z]{4,8}\b))[\s:\-|]{0,6}"
)
_LOGGER_END = re.compile(r"(?P<who>[\w.]{1,60}):(?=\S)")
_DOTTED = re.compile(r"\w{1,60}(?:\.\w{1,60}){1,8}:\s")
_RANK = re.compile(
    r"\s{0,4}(?:[\[(<]\s?(?:(?:default|global|local)[ _]?)?(?:rank|gpu|worker|proc|process)\s?[:=_#]?\s?(?P<a>\d{1,5})(?:/\d{1,5})?\s?[\])>]"
    r"|\[(?P<b>\d{1,4}),\s?(?P<c>\d{1,5})\]<std(?:out|err)>|\[default(?P<e>\d{1,5})\]|rank\s?(?P<d>\d{1,5})\s?[:|](?!\s?\d))[\s:|]{0,4}",
    re.I,
)
_HOST = re.compile(
    r"\[[A-Za-z][\w.\-]{0,60}(?::(?P<r>\d{1,4})/\d{1,5})?\]\s(?=\d{4}[-/]\d\d[-/]\d\d[ T])"
)  # `[node1:0/8] 2020-…`
_ACTOR = re.compile(r"\([\w.:]{1,60} pid=\d{1,9}(?:, ip=[\d.]{7,15})?\)\s{0,2}")
_SRUN = re.compile(r"(?P<r>\d{1,4}): (?=\s{0,20}[^\s\d])")


@dataclass(slots=True)
class Prefix:
    """The message, and what stood before it. `time` is in seconds; `level` is '', 'info', 'warning' or 'error'."""

    text: str
    time: float | None = None
    level: str = ""
    rank: int | None = None
    srun: int | None = None
    stamp: re.Match[str] | None = None  # what gave the time


class Prefixes:
    """Takes prefixes off lines. Remembers the day, so that clocks without a date go on past midnight."""

    def __init__(self, modified: float) -> None:
        self.year = datetime.fromtimestamp(max(modified, 0.0), timezone.utc).year if modified < 2e11 else 2000
        self._days: dict[tuple[int, int, int], float] = {}
        self._day, self._clock = 0.0, -1.0

    def take(self, line: str) -> Prefix:
        """Split one line into its prefix and its message."""
        head = line[:1]
        if head in "[(<|" or head.isalnum() or head.isspace():
            return self._take(line)
        return Prefix(line)

    def _take(self, line: str) -> Prefix:
        found = Prefix(line)
        text = line
        for _ in range(2):  # a launcher's prefix may stand before the program's own
            rank = _RANK.match(text) or _ACTOR.match(text)
            if rank:
                if rank.re is _RANK:
                    found.rank = int(next(g for g in (rank["a"], rank["c"], rank["d"], rank["e"]) if g is not None))
                text = text[rank.end() :]
        host = _HOST.match(text)
        if host:
            found.rank = int(host["r"]) if host["r"] else found.rank
            text = text[host.end() :]
        srun = _SRUN.match(text)
        if srun:
            found.srun, text = int(srun["r"]), text[srun.end() :]
        stamp = self._stamp(text, found)
        if stamp >= 0:
            text = text[stamp:]
        first = text.lstrip()[:9].upper()
        if (
            stamp >= 0
            or found.level
            or first.startswith(("[", "INFO", "WARN", "ERROR", "DEBUG", "CRITICAL", "(", "FATAL"))
        ):
            text = self._after(text, found, stamp >= 0)
        found.text = text
        return found

    def _stamp(self, text: str, found: Prefix) -> int:
        """Read a time at the start; returns where it ends, or -1."""
        body = text.lstrip(" |")
        skipped = len(text) - len(body)
        if skipped > 8 or not body:
            return -1
        head = body[:2]
        if body[0] in "1[(:" or ":::" in body[:60]:
            unix = _UNIX.match(body)
            if unix:
                found.time, found.stamp = float(unix["u"]), unix
                return skipped + unix.end()
        if body[0].isdigit() or (body[0] in "[(<" and head[-1:].isdigit()):
            match = _FULL.match(body) or _SHORT.match(body) or _CLOCK.match(body)
        elif body[0] in "IWEFD" and head[-1:].isdigit():
            match = _GLOG.match(body)
            if match:
                found.level = _LEVELS[match["l"].lower()]
        elif body[0] in "JFMASONDTW":
            match = _NAMED.match(body)
        else:
            return -1
        if match is None:
            return -1
        found.time, found.stamp = self._seconds(match.groupdict()), match
        return skipped + match.end() + (body[match.end() : match.end() + 1] in {"]", ")", ">"})

    def _seconds(self, part: dict[str, str | None]) -> float | None:
        clock = (
            int(part["h"] or 0) * 3600
            + int(part["mi"] or 0) * 60
            + int(part["s"] or 0)
            + float("0." + (part.get("f") or "0"))
        )
        name = part.get("mn")
        month = MONTHS[name.lower()] if name else int(part.get("mo") or 0)
        if not month:
            if clock + NOON < self._clock:
                self._day += 86_400
            self._clock = clock
            return self._day + clock
        day = self.day(int(part.get("y") or self.year), month, int(part.get("d") or 1))
        if day is None:
            return None
        zone = part.get("z") or ""
        if zone[:1] in {"+", "-"}:
            shift = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
            day -= shift if zone[0] == "+" else -shift
        return day + clock

    def day(self, year: int, month: int, day: int) -> float | None:
        """The unix time at which a day begins (UTC), or None where there is no such day."""
        key = (year, month, day)
        begin = self._days.get(key)
        if begin is None:
            try:
                begin = datetime(year, month, day, tzinfo=timezone.utc).timestamp()
            except (ValueError, OverflowError):
                return None
            if len(self._days) < 10_000:
                self._days[key] = begin
        return begin

    @property
    def clock(self) -> tuple[float, float]:
        """The day that clocks without a date have come to, and the last such clock; both in seconds."""
        return self._day, self._clock

    @clock.setter
    def clock(self, state: tuple[float, float]) -> None:
        self._day, self._clock = state

    def copy(self) -> Prefixes:
        """Another one in the same state, to look at a line ahead of its turn."""
        other = Prefixes(0.0)
        other.year, other.clock = self.year, self.clock
        return other

    def _after(self, text: str, found: Prefix, stamped: bool) -> str:
        """Take level, logger, place and rank off, in the orders that loggers write them."""
        letter = _BARE_LETTER.match(text) if stamped else None
        if letter:
            found.level, text = _LEVELS[letter["l"].lower()], text[letter.end() :]
            end = text.find("] ", 0, 200)
            return text[end + 2 :] if end > 0 else text
        for _ in range(6):
            before = text
            level = _LEVEL.match(text) if not found.level or stamped else None
            closed = level is not None and bool(level["o"]) == bool(level["c"])
            tag = level is not None and not stamped and level["l"].upper() == "DEBUG"
            if level and closed and not tag and (level["o"] or level["l"].isupper() or stamped):
                found.level = found.level or _LEVELS.get(level["l"].lower(), "info")
                text = text[level.end() :]
                if not stamped and level["end"].startswith(":"):
                    who = _LOGGER_END.match(text)
                    text = text[who.end() :] if who else text
            dotted = _DOTTED.match(text) if found.level else None
            if dotted:
                text = text[dotted.end() :]
            place = _PLACE.match(text)
            if place:
                text = text[place.end() :]
            rank = _RANK.match(text)
            if rank:
                found.rank = int(next(g for g in (rank["a"], rank["c"], rank["d"], rank["e"]) if g is not None))
                text = text[rank.end() :]
            if stamped:
                logger = _LOGGER.match(text)
                if logger and (
                    not found.level or text[logger.end() :].upper().startswith(("INFO", "WARN", "ERR", "DEB", "CRIT"))
                ):
                    text = text[logger.end() :]
            if text == before:
                break
        return (
            text.lstrip(" |:")
            if stamped and text[:1] in {" ", "|", ":"} and found.level
            else text.lstrip("-: ")
            if stamped
            else text
        )
