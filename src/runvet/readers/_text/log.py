"""One text log, line by line: prefixes off, tracebacks, bars, tables and plain lines told apart, points and events out."""

from __future__ import annotations

from runvet.readers._text import config, events, words
from runvet.readers._text.atoms import number
from runvet.readers._text.bars import Bars
from runvet.readers._text.events import Traceback
from runvet.readers._text.grammar import Plan
from runvet.readers._text.grids import Grids
from runvet.readers._text.lines import State
from runvet.readers._text.points import Row
from runvet.readers._text.prefix import Prefix, Prefixes
from runvet.readers._text.progress import read_bar
from runvet.readers._text.session import Session, values_of
from runvet.sink import Sink

_QUIET = frozenset({"warning", "error"})  # lines of these levels tell of events, not of points
_SIDES = frozenset({"val", "test"})


class TextLog:
    """Reads the states of one file into a sink. Call `feed` for each, then `finish`."""

    def __init__(self, sink: Sink, modified: float = 0.0) -> None:
        self._sink, self.session = sink, Session(sink)
        self.prefixes, self._echo = Prefixes(modified), config.Echo()
        self._grids = Grids(self.session)
        self._bars = Bars(self.session, self._grids)
        self._tracebacks: dict[int | None, Traceback] = {}
        self._warned: float | None = None

    def feed(self, state: State) -> None:
        """Read one state."""
        text = state.text
        if not text or (not state.complete and not self._whole(text)):
            if any(c.isdigit() for c in text):
                self._sink.problem("the last line is not finished and was left out", line=state.line)
            return
        bar = read_bar(text) if "/" in text or "it [" in text else None
        cut = text.find("Traceback (most recent call last)")
        if bar is not None and cut < 0:
            self._bars.draw(bar, state.line)
            return
        prefix = self.prefixes.take(text)
        if cut >= 0:
            self._trace(prefix, state.line)
        elif self._tracebacks and self._traced(prefix, state.line):
            return
        elif not (text[-1] == "|" and self._grids.boxed(prefix.text, state.line)):
            self._grids.close(prefix.time)
            if prefix.text and not prefix.text.isspace():
                self._plain(prefix, text, state.line)

    @property
    def open(self) -> bool:
        """Whether something that began on earlier lines goes on: a traceback, a box, a bar."""
        return bool(self._tracebacks) or self._grids.open or self._bars.open

    @property
    def tables(self) -> bool:
        """Whether the header of a table is known, so that lines may be rows under it."""
        return bool(self._grids.columns.headers)

    def finish(self) -> None:
        """Write out what was held back until the end of the file."""
        for trace in self._tracebacks.values():
            self._sink.event("traceback", "a traceback without its last line", line=trace.line)
        self.session.finish()

    def _whole(self, text: str) -> bool:
        """Whether an unfinished last line has the shape of an earlier one, so that nothing of it is missing."""
        if read_bar(text) is not None:
            return True
        before, others, _ = self._planned(self.session.former)  # first: clocks are read in the order of the lines
        plan, nums, known = self._planned(text)
        if not nums or not text.rstrip().endswith(nums[-1]):
            return known
        near = len(others[-1].partition(".")[2]) if others and before is plan else plan.decimals
        return known and len(nums[-1].partition(".")[2]) == near > 0

    def _planned(self, text: str) -> tuple[Plan, list[str], bool]:
        return self.session.shapes.plan(self.prefixes.take(text).text, "")

    # -- plain lines -------------------------------------------------------------------------------------------------

    def _plain(self, prefix: Prefix, text: str, line: int) -> None:
        session = self.session
        plan, nums, _ = session.shapes.plan(prefix.text, prefix.level)
        if prefix.srun is not None:
            if plan.placed or plan.events or prefix.time is not None:
                prefix.rank = prefix.srun
            else:  # `12: 0.5` is no rank
                prefix = Prefix(text, level=prefix.level)
                plan, nums, _ = session.shapes.plan(text, prefix.level)
        self._follow(plan, prefix.text)
        if self._configured(plan, prefix.text, line):
            return
        if plan.events:
            self._tell(plan, prefix, line)
        body = config.call_body(prefix.text) if "(" in prefix.text else None
        if body is not None:
            self._bars.close()
            session.keep(config.pairs(body), line)
            return
        if self._grids.table(plan, nums, prefix, line):
            return
        for kind, index in plan.planned:
            session.say(kind, number(nums[index]), line)
        if prefix.level in _QUIET or not (plan.slots or plan.placed):
            return
        if plan.slots and plan.placed and text == session.former:
            session.points.repeats += len(plan.slots)
            return
        session.former = text
        self._record(plan, nums, prefix, line)

    def _follow(self, plan: Plan, text: str) -> None:
        """Keep the phase that indented lines below a heading or a line of validation inherit."""
        session = self.session
        if plan.slots or plan.placed:
            session.section = session.section if plan.indented else plan.phase
        elif len(text) < 80:
            session.section = words.phase(text) or (session.section if plan.indented else "")

    def _configured(self, plan: Plan, text: str, line: int) -> bool:
        """Keep a setting; whether the line belongs to a banner of settings and is nothing else."""
        session = self.session
        early = not (session.tracker.seen or plan.placed)
        metrics = len(plan.slots) > 1 or (plan.placed and bool(plan.slots))
        item = None if metrics or "warning" in plan.events else self._echo.take(text)
        if item is not None and self._echo.varies(*item):
            session.banner = False
            return False
        session.banner = item is not None and early
        if item is not None and (self._echo.within or early):
            session.keep([item], line)
            return self._echo.within
        if early and text[:1] == "{" and text.rstrip()[-1:] == "}":
            session.keep(config.pairs(text.strip()[1:-1], ":"), line)
        return False

    def _record(self, plan: Plan, nums: list[str], prefix: Prefix, line: int) -> None:
        """Write the metrics of a line at its place."""
        session = self.session
        if plan.placed:
            self._bars.close()
        values = values_of(plan, nums)
        inherited = session.section if plan.indented and session.section in _SIDES else ""
        side = plan.phase if plan.phase in _SIDES else inherited
        if side and side != plan.phase:
            values = {n if words.phase(n) else f"{side}/{n}": v for n, v in values.items()}
        process = int(number(nums[plan.process])) if plan.process >= 0 and prefix.rank is None else prefix.rank
        row = Row(values, session.tracker.place, prefix.time, line, process)
        if not plan.placed:
            if not plan.best:
                session.unplaced(plan, row)
            return
        if not values and plan.events:
            return  # `saved the model at epoch 5` is no heading of what follows
        row.place = session.place(plan, nums, side, line)
        if plan.slots or self._leads(nums, prefix.text):
            session.tracker.move(row.place, trained=not side and bool(plan.slots))
        session.placed(plan, row)

    @staticmethod
    def _leads(nums: list[str], text: str) -> bool:
        """Whether a line without metrics is the heading of what follows: it is short."""
        return len(text) < 160 and len(nums) < 14 and len(text.split()) < 14

    # -- events ------------------------------------------------------------------------------------------------------

    def _tell(self, plan: Plan, prefix: Prefix, line: int) -> None:
        session = self.session
        for kind in plan.events:
            begins = kind == events.START or (kind == "resume" and events.RESUMING.search(prefix.text[:400]))
            if begins and (session.points.count or session.crashed):
                session.seam(line, f"a process starts: {prefix.text.strip()[:80]}")
            if kind == "work-dir":
                for path in events.directories(prefix.text):
                    self._sink.event(kind, prefix.text, line=line, value=path)
                continue
            value = events.value_of(kind, prefix.text)
            if (kind == "finished" and session.crashed) or (kind == "world-size" and not value):
                continue
            if kind == "warning":
                if prefix.time is not None and prefix.time == self._warned:
                    continue  # one message on many lines
                self._warned = prefix.time
            here = session.tracker.place
            self._sink.event(kind, prefix.text, line=line, step=here.step, epoch=here.epoch, value=value)
            if kind in {"killed", "out-of-memory"} and prefix.level != "warning":
                session.crashed = True

    def _trace(self, prefix: Prefix, line: int) -> None:
        if prefix.level == "warning":
            if prefix.time is None or prefix.time != self._warned:
                self._sink.event("warning", prefix.text, line=line)
            self._warned = prefix.time
        elif len(self._tracebacks) < 1_000:
            self._tracebacks.setdefault(prefix.rank, Traceback(line))

    def _traced(self, prefix: Prefix, line: int) -> bool:
        """Whether the line belongs to a traceback that is being followed."""
        trace = self._tracebacks.get(prefix.rank)
        if trace is None:
            return False
        result = trace.feed(prefix.text)
        if result is True:
            return True
        del self._tracebacks[prefix.rank]
        if result is False:
            self._sink.event("traceback", "a traceback without its last line", line=trace.line)
            self.session.crashed = True
            return False
        kind, text = result
        here = self.session.tracker.place
        if trace.path:
            self._sink.event("import-path", text, line=trace.line, value=trace.path)
        self._sink.event("traceback", text, line=line, step=here.step, epoch=here.epoch, value=kind)
        if "out-of-memory" in events.kinds(text, "", False):
            self._sink.event("out-of-memory", text, line=line, step=here.step, epoch=here.epoch)
        self.session.crashed = True
        return True
