"""The processes that trained a stage, one after another: where each began and ended, and what ended it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from runvet.evidence import Missing, provides
from runvet.evidence.nature import given
from runvet.evidence.seams import RESUMED, lead_of
from runvet.evidence.settings import name_of, same
from runvet.run import Event, Series, Stage
from runvet.statistics import noise

FEWEST = 8  # points of a launch
HEAD, WIDTH, SHARE = 3, 40, 0.05  # points that tell the level at the start; at most, and of all, those at the end
SIGMAS = 4.0  # of a point: what a launch gained must be more, or no level tells where the next began
ANEW, KEPT = 0.6, 0.3  # of what was gained: more is gone in a model set up anew, less in one that was loaded
NEAR = 0.02  # of the peak: how close the rates of two runs of one schedule are
# Files that are written side by side, or by trials of a search.
PARALLEL = re.compile(r"rank|worker|node|gpu|proc|task|array|seed|fold|trial|split|\d+_\d+\D*$", re.IGNORECASE)
JOB = re.compile(r"\bjob\W{0,3}(?:id\W{0,3})?(\d+)", re.IGNORECASE)
# Settings that differ from one launch of a job to the next.
OWN = re.compile(
    r"job|id$|time|date|host|node|dir|path|file|name|port|rank|resume|restart|attempt|pid|log|output|ckpt|load"
)
UNIX = 1e8  # times beyond this count from 1970


@dataclass(frozen=True, slots=True)
class Launch:
    """One process: `part` is its stretch of the training curve, `rate` that of the learning rate.

    `killed`, `resumed` and `scratch` are lines that tell that it was ended from outside, loaded a checkpoint, or found
    none; `finished`: it says that it came to its end. `follows`: it surely came after the launch before.
    """

    part: Series
    rate: Series | None
    killed: Event | None
    resumed: Event | None
    scratch: Event | None
    finished: bool
    follows: bool

    @property
    def begin(self) -> float:
        """The first place on the axis of the curve."""
        return float(self.part.x()[0])

    @property
    def end(self) -> float:
        """The last place on the axis of the curve."""
        return float(self.part.x()[-1])

    @property
    def first(self) -> float:
        """The level at the start: the median of three points."""
        return float(np.median(self.part.value[:HEAD]))

    @property
    def last(self) -> float:
        """The level at the end: the median of up to forty points."""
        return float(np.median(self.part.value[-int(np.clip(SHARE * len(self.part), HEAD, WIDTH)) :]))


@dataclass(frozen=True, slots=True)
class Launches:
    """All launches in their order, at least two, on one axis; `series` is the curve they are seen on."""

    launches: tuple[Launch, ...]
    series: str

    @property
    def pairs(self) -> tuple[tuple[Launch, Launch], ...]:
        """Each launch with the next, where the next surely came later."""
        return tuple((a, b) for a, b in pairwise(self.launches) if b.follows)


def told_of_resume(stage: Stage, words: re.Pattern[str], settings: re.Pattern[str]) -> str:
    """Where the run says that it goes on from a checkpoint: a line of a resume with such words, a setting of such a name; else ''."""
    for event in stage.events:
        if event.kind == "resume" and words.search(event.text):
            return event.where
    return next((s.where for s in stage.settings if settings.search(name_of(s)) and given(s.value)), "")


def same_settings(stage: Stage, old: Launch, new: Launch) -> bool:
    """Whether what two job outputs echo of their settings agrees; within one file it is taken to."""
    one, two = (
        {s.key: s.value for log in stage.logs if log.source == _source(x.part) for s in log.settings}
        for x in (old, new)
    )
    return all(same(one[k], two[k]) for k in one.keys() & two.keys() if not OWN.search(k.lower()))


def begins_again(old: Launch, new: Launch) -> bool:
    """Whether the axis of a launch begins again (nearly) where that of the one before began."""
    return new.begin - old.begin < RESUMED * (old.end - old.begin)


def way_back(old: Launch, new: Launch) -> float | None:
    """Which share of what a launch had gained is gone where the next begins; None where it gained too little to tell."""
    gained = old.first - old.last
    if not gained > SIGMAS * noise(old.part.value[-WIDTH:]):
        return None
    return (new.first - old.last) / gained


def same_schedule(old: Launch, new: Launch) -> bool | None:
    """Whether the rates of two launches are equal at equal places; None where they are unknown or stay constant."""
    if old.rate is None or new.rate is None or old.rate.axis != new.rate.axis:
        return None
    x, at = old.rate.x(), new.rate.x()
    known = (at >= x[0]) & (at <= x[-1])
    peak = float(max(old.rate.value.max(), new.rate.value.max()))
    if peak <= 0 or known.sum() < FEWEST:
        return None
    apart = np.abs(np.interp(at[known], x, old.rate.value) - new.rate.value[known]) > NEAR * peak
    if np.mean(apart) > 0.1:
        return False
    return True if float(np.ptp(new.rate.value[known])) > 0.1 * peak else None


@provides
def launches(stage: Stage) -> Launches | Missing:
    lead = lead_of(stage)
    if lead is None:
        return Missing("no training curve to see restarts on", "log loss and step")
    parts = _parts(stage, lead)
    if len(parts) < 2:
        return Missing("the run was started once", applicable=False)
    if any(p.axis != lead.axis for p in parts) or lead.axis == "point":
        return Missing("the launches count differently", "log step with every loss")
    rates = [r for s in stage.role("lr") for r in s.segments()]
    kills = _kills(stage, parts)
    out: list[Launch] = []
    for i, part in enumerate(parts):
        low = _line(parts[i - 1], -1) if i and _source(parts[i - 1]) == _source(part) else 0
        high = _line(parts[i + 1], 0) if i + 1 < len(parts) and _source(parts[i + 1]) == _source(part) else 1 << 62
        told = [e for e in stage.events if e.source == _source(part)]
        head = [e for e in told if low < e.line <= _line(part, 0)]
        scratch = next((e for e in head if e.kind == "from-scratch"), None)
        resumed = next((e for e in head if e.kind == "resume"), None)
        finished = any(e.kind == "finished" and _line(part, 0) <= e.line < high for e in told)
        follows = i > 0 and _follows(parts[i - 1], part, kills[i - 1], kills[i], resumed)
        out.append(Launch(part, _rate(rates, part), kills[i], resumed, scratch, finished, follows))
    return Launches(tuple(out), lead.name)


def _parts(stage: Stage, lead: Series) -> list[Series]:
    """The stretches of the curve in the order in which they were written."""
    base, mine = lead.name.split(" (")[0], set(lead.files)
    alike = [s for s in stage.series if s.role == lead.role and (s is lead or s.name.split(" (")[0] == base)]
    whole = [lead, *(s for s in alike if s is not lead and not mine & set(s.files) and len(set(s.files)) == 1)]
    parts = [p.finite() for s in whole for p in s.segments()]
    parts = [p for p in parts if len(p) >= FEWEST]
    if len(whole) > 1:
        timed = all(np.isfinite(p.time).all() and p.time[0] > UNIX for p in parts)
        parts.sort(key=lambda p: (float(p.time[0]) if timed else 0.0, _natural(_source(p)), _line(p, 0)))
    return parts


def _natural(name: str) -> tuple[tuple[str, int], ...]:
    """A name as its words and numbers, so that 9 stands before 10."""
    return tuple((word, int(digits or 0)) for word, digits in re.findall(r"(\D+|^)(\d{0,18})", name))


def _source(part: Series) -> str:
    return part.files[int(part.file[0])]


def _line(part: Series, index: int) -> int:
    return int(part.line[index])


def _kills(stage: Stage, parts: Sequence[Series]) -> list[Event | None]:
    """What ended each launch: told in its own file after its points, or in as many other files as there are launches."""
    events = [e for e in stage.events if e.kind == "killed"]
    sources = {_source(p) for p in parts}
    if events and not any(e.source in sources for e in events):
        outputs = sorted({e.source for e in stage.events}, key=_natural)
        if len(outputs) != len(parts):
            return [None] * len(parts)
        return [next((e for e in events if e.source == name), None) for name in outputs]
    out: list[Event | None] = []
    for i, part in enumerate(parts):
        last = i + 1 == len(parts) or _source(parts[i + 1]) != _source(part)
        end = 1 << 62 if last else _line(parts[i + 1], 0)
        near = [e for e in events if e.source == _source(part) and _line(part, 0) < e.line < end]
        out.append(near[-1] if near else None)
    return out


def _follows(old: Series, new: Series, ended: Event | None, later: Event | None, resumed: Event | None) -> bool:
    """Whether a launch came after another: in one file always; in two where times, a resume or the job's number say so.

    Jobs side by side find no checkpoint either: such words are no proof.
    """
    one, two = _source(old), _source(new)
    if one == two:
        return True
    if PARALLEL.search(one) or PARALLEL.search(two):
        return False
    times = old.time[-1], new.time[0]
    if np.isfinite(times).all() and min(times) > UNIX:
        return bool(times[1] >= times[0])
    jobs = [set(JOB.findall(e.text)) for e in (ended, later) if e is not None]
    return resumed is not None or (len(jobs) == 2 and bool(jobs[0] & jobs[1]))


def _rate(rates: Sequence[Series], part: Series) -> Series | None:
    """The learning rate of a launch: the stretch in the same file and segment that covers most of its places."""
    x = part.x()
    own = [r for r in rates if r.axis == part.axis and len(r) and _covers(r, part)]
    # of several files that tell the same rates one is kept: then it stands for all of them
    alike = own or [r for r in rates if r.axis == part.axis and len(r) and r.x()[0] <= x[0] and r.x()[-1] >= x[-1]]
    return max(alike, key=len).finite() if alike else None


def _covers(rate: Series, part: Series) -> bool:
    own = _source(rate) == _source(part) and rate.segment[0] == part.segment[0]
    return bool(own and rate.x()[-1] >= part.x()[0] and rate.x()[0] <= part.x()[-1])
