"""One text log, line by line: prefixes off, tracebacks, bars, tables and plain lines told apart, points and events out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from runvet.readers._text import config, events, words
from runvet.readers._text.atoms import Atom, number, seconds, whole
from runvet.readers._text.events import Traceback
from runvet.readers._text.grammar import Plan, Slot
from runvet.readers._text.lines import State
from runvet.readers._text.points import Points, Row
from runvet.readers._text.position import Place, Tracker
from runvet.readers._text.prefix import Prefix, Prefixes
from runvet.readers._text.progress import Bar, read_bar
from runvet.readers._text.shapes import Shapes
from runvet.readers._text.tables import Box, Columns, is_rule
from runvet.sink import Sink


@dataclass(slots=True)
class _Drawn:
    """The last state of a progress bar that has not been written yet."""

    desc: str
    done: float
    row: Row
    written: dict[str, float] = field(default_factory=dict)


class TextLog:
    """Reads the states of one file into a sink. Call `feed` for each, then `finish`."""

    def __init__(self, sink: Sink, modified: float = 0.0) -> None:
        self._sink = sink
        self._prefixes, self._shapes = Prefixes(modified), Shapes()
        self._tracker, self._points = Tracker(), Points(sink)
        self._box, self._columns, self._echo = Box(), Columns(), config.Echo()
        self._tracebacks: dict[int | None, Traceback] = {}
        self._section = ""  # the phase that indented lines inherit
        self._metrics: set[str] = set()  # names that say what they are: single values of them are points
        self._said: dict[str, float] = {}
        self._within: set[str] = set()  # names of metrics on lines that count batches
        self._banner = False
        self._settings = 0
        self._placed: set[str] = set()  # names of metrics on lines that say where they stand
        self._former = ""  # the last line that gave points, to see repeats
        self._crashed = self._started = False
        self._warned: float | None = None
        self._bar: _Drawn | None = None
        self._length: tuple[float, int] | None = None

    def feed(self, state: State) -> None:
        """Read one state."""
        text = state.text
        if not state.complete and not self._whole(text):
            if any(c.isdigit() for c in text):
                self._sink.problem("the last line is not finished and was left out", line=state.line)
            return
        bar = read_bar(text) if "/" in text or "it [" in text else None
        cut = text.find("Traceback (most recent call last)")
        if bar is not None and cut < 0:
            self._draw(bar, state.line)
            return
        prefix = self._prefixes.take(text)
        if cut >= 0 or (self._tracebacks and self._traced(prefix, state.line)):
            if cut >= 0:
                self._trace(prefix, state.line)
            return
        if text[-1] == "|" and self._boxed(prefix.text, state.line):
            return
        self._close_box(prefix.time)
        self._plain(prefix, text, state.line)

    def finish(self) -> None:
        """Write out what was held back until the end of the file."""
        self._close_bar()
        self._close_box(None)
        for trace in self._tracebacks.values():
            self._sink.event("traceback", "a traceback without its last line", line=trace.line)
        self._points.flush(frozenset(self._metrics))
        if self._length is not None and "epoch-length" not in self._said and self._tracker.local() is None:
            self._say("epoch-length" if self._tracker.place.epoch is not None else "planned-steps", *self._length)
        if self._points.repeats:
            self._sink.problem(
                f"{self._points.repeats} values repeat those of another process or the line before, and count once"
            )

    # -- plain lines -------------------------------------------------------------------------------------------------

    def _plain(self, prefix: Prefix, text: str, line: int) -> None:
        plan, nums, known = self._shapes.plan(prefix.text, prefix.level)
        if prefix.srun is not None:
            if not (plan.placed or plan.events or prefix.time is not None):
                prefix = Prefix(text, level=prefix.level)
                plan, nums, known = self._shapes.plan(text, "")
            else:
                prefix.rank = prefix.srun
        if plan.slots or plan.placed:
            self._section = self._section if plan.indented else plan.phase
        elif len(prefix.text) < 80:
            self._section = words.phase(prefix.text) or (self._section if plan.indented else "")
        item = self._echo.take(prefix.text) if len(plan.slots) < 2 else None
        self._banner = item is not None and not (self._tracker.seen or plan.placed)
        if item is not None and (self._echo.within or not (self._tracker.seen or plan.placed)):
            self._keep([item], line)
            if self._echo.within:
                return
        if plan.events:
            self._tell(plan, prefix, line)
        body = config.call_body(prefix.text) if "(" in prefix.text else None
        if body is not None:
            self._close_bar()
            self._keep(config.pairs(body), line)
            return
        if not nums or (not plan.slots and not plan.placed):
            self._columns.header(prefix.text)
        if nums and self._columns.headers and (len(plan.slots) < 2) and self._tabled(prefix, line):
            return
        if not self._tracker.seen and not plan.placed and prefix.text[:1] == "{" and prefix.text.rstrip()[-1:] == "}":
            self._keep(config.pairs(prefix.text.strip()[1:-1], ":"), line)
        for kind, index in plan.planned:
            self._say(kind, number(nums[index]), line)
        if prefix.level in {"warning", "error"} or (plan.slots and text == self._former and plan.placed):
            self._points.repeats += prefix.level not in {"warning", "error"}
            return
        if plan.slots or plan.placed:
            self._former = text
            self._record(plan, nums, prefix, line)

    def _record(self, plan: Plan, nums: list[str], prefix: Prefix, line: int) -> None:
        """Write the metrics of a line at its place."""
        if self._bar is not None and plan.placed:
            self._close_bar()
        values = self._values(plan, nums)
        side = (
            plan.phase
            if plan.phase in {"val", "test"}
            else self._section
            if plan.indented and self._section in {"val", "test"}
            else ""
        )
        inherited = side if side and side != plan.phase else ""
        if inherited:
            values = {n if words.phase(n) else f"{inherited}/{n}": v for n, v in values.items()}
        row = Row(values, self._tracker.place, prefix.time, line, prefix.rank)
        if not plan.placed:
            if not plan.best:
                self._unplaced(plan, row)
            return
        if not values and plan.events:
            return
        row.place = self._place(plan, nums, side, line)
        if plan.within:
            self._within.update(values if len(self._within) < 4_000 else ())
        elif not self._within.isdisjoint(values):  # the summary of an epoch, not one more point of the same curve
            row.values = values = {f"epoch/{n}" if n in self._within else n: v for n, v in values.items()}
        heading = not plan.slots
        if not heading or self._leads(plan, nums, prefix.text):
            self._tracker.move(row.place, trained=not side and not heading)
        self._placed.update(values if len(self._placed) < 4_000 else ())
        if values and not (plan.best and not any("best" in n.lower() for n in values)):
            self._points.add(row)

    @staticmethod
    def _leads(plan: Plan, nums: list[str], text: str) -> bool:
        """Whether a line without metrics is the heading of what follows: short, and its position comes first."""
        return len(text) < 160 and len(nums) < 14 and len(text.split()) < 14 and not plan.events

    def _unplaced(self, plan: Plan, row: Row) -> None:
        established = self._tracker.seen >= 2 or (self._points.count > 0 and self._tracker.seen > 0)
        metrics = {s.name: s.metric for s in plan.slots}
        best = any("best" in n.lower() for n in row.values)
        several = len(row.values) > 1 and any(n not in self._placed for n in row.values)
        for name, value in row.values.items():
            if "best" in name.lower():
                continue
            if several and name in self._placed:
                name = f"val/{name}" if best else f"epoch/{name}"  # a summary, not one more point of the same curve
            metric = metrics.get(name, words.is_metric(name))
            if metric:
                self._metrics.add(name)
            self._points.maybe(name, value, row, metric=metric, established=established, banner=self._banner)

    def _values(self, plan: Plan, nums: list[str]) -> dict[str, float]:
        values: dict[str, float] = {}
        for slot in plan.slots:
            self._value(slot, nums, values)
        return values

    @staticmethod
    def _value(slot: Slot, nums: list[str], values: dict[str, float]) -> None:
        atom: Atom = slot.atom
        text = nums[atom.first]
        if atom.kind == "clock":
            value = seconds(nums[atom.first : atom.first + atom.count], atom.text)
            if value == value:
                values.setdefault(slot.name, value)
            return
        if slot.real and whole(text):
            return
        if atom.kind == "arrow":
            text = nums[atom.first + 1]
        value = number(text)
        values.setdefault(slot.name, value)
        if slot.second:
            other = nums[atom.first + 1]
            change = other[:1] == "+" or (
                other[:1] == "-" and value > 0
            )  # `2.31 (+0.02)`: the change since the last time
            if not change:
                values.setdefault(slot.second, number(other))

    # -- positions ---------------------------------------------------------------------------------------------------

    def _place(self, plan: Plan, nums: list[str], side: str, line: int) -> Place:
        epoch = number(nums[plan.epoch]) if plan.epoch >= 0 else None
        step = number(nums[plan.step]) if plan.step >= 0 else None
        length = number(nums[plan.steps]) if plan.steps >= 0 else None
        if epoch is not None and not math.isfinite(epoch):
            epoch = None
        if step is not None and not math.isfinite(step):
            step = None
        if plan.percent >= 0 and epoch is None and step is None:
            return Place(None, self._round("%", number(nums[plan.percent]), 100.0))
        final = plan.rank >= 2 and (epoch is None or length is None)
        if epoch is not None and plan.epochs >= 0 and not side and epoch <= (total := number(nums[plan.epochs])) < 1e7:
            self._say("planned-epochs", total, line)
        if not side:
            self._back(epoch, step, line)
        place = self._tracker.resolve(epoch, step, length, final=final, side=side)
        if length is not None and not side and step is not None and step <= length + 1:
            self._lengths(plan, length, line)
        return place

    def _lengths(self, plan: Plan, length: float, line: int) -> None:
        """Tell how many steps an epoch or the run has, once it is clear which of the two the total is."""
        local = self._tracker.local()
        if local is None and plan.rank <= 1 and self._tracker.place.epoch is None and plan.epoch < 0:
            self._say("planned-steps" if plan.rank == 1 else "epoch-length", length, line)
        elif local is None:
            self._length = self._length if self._length and self._length[0] == length else (length, line)
        else:
            if self._length is not None and self._length[0] != length:
                self._say("epoch-length" if local else "planned-steps", *self._length)
            self._length = None
            self._say("epoch-length" if local else "planned-steps", length, line)

    def _round(self, key: str, done: float, total: float) -> float:
        """Epochs counted by a percentage that starts again."""
        former = self._said.get(f"last {key}", -1.0)
        if done < former:
            self._said[f"round {key}"] = self._said.get(f"round {key}", 0.0) + 1
        self._said[f"last {key}"] = done
        return self._said.get(f"round {key}", 0.0) + done / total

    def _back(self, epoch: float | None, step: float | None, line: int) -> None:
        """A position that goes back after a crash belongs to a new process."""
        if not self._crashed:
            return
        here = self._tracker.place
        back = epoch is not None and here.epoch is not None and epoch < here.epoch
        again = (
            epoch == here.epoch and step is not None and here.step is not None and epoch is None and step < here.step
        )
        if back or again:
            self._seam(line, "the position goes back after a crash")

    def _say(self, kind: str, value: float, line: int) -> None:
        if math.isfinite(value) and value > 0 and self._said.get(kind) != value:
            self._said[kind] = value
            self._sink.event(
                kind,
                f"{value:g}",
                line=line,
                value=value,
                step=self._tracker.place.step,
                epoch=self._tracker.place.epoch,
            )

    # -- events, seams, settings -------------------------------------------------------------------------------------

    def _tell(self, plan: Plan, prefix: Prefix, line: int) -> None:
        here = self._tracker.place
        for kind in plan.events:
            if kind == events.START:
                self._begin(line, prefix.text)
            if kind == "finished" and self._crashed:
                continue
            if kind == "work-dir":
                for path in events.directories(prefix.text):
                    self._sink.event(kind, prefix.text, line=line, value=path)
                continue
            self._sink.event(
                kind, prefix.text, line=line, step=here.step, epoch=here.epoch, value=events.value_of(kind, prefix.text)
            )
            if kind in {"killed", "out-of-memory"} and prefix.level != "warning":
                self._crashed = True

    def _begin(self, line: int, text: str) -> None:
        """A banner: the first of a process that follows another one is a seam."""
        if self._points.count or self._crashed:
            self._seam(line, f"a process starts: {text.strip()[:80]}")
        self._started = True

    def _seam(self, line: int, why: str) -> None:
        self._close_bar()
        self._sink.seam(line, why)
        self._points.restart(frozenset(self._metrics))
        self._tracker.restart()
        self._crashed, self._former, self._section = False, "", ""
        self._said = {k: v for k, v in self._said.items() if " " not in k}

    def _keep(self, items: list[tuple[str, config.Plain]], line: int) -> None:
        for key, value in items:
            if self._settings < config.SETTINGS:
                self._settings += 1
                self._sink.setting(key, value, line=line)

    # -- tracebacks --------------------------------------------------------------------------------------------------

    def _trace(self, prefix: Prefix, line: int) -> None:
        if prefix.level == "warning":
            self._sink.event("warning", prefix.text, line=line)
            return
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
            return False
        kind, text = result
        here = self._tracker.place
        if trace.path:
            self._sink.event("import-path", text, line=trace.line, value=trace.path)
        self._sink.event("traceback", text, line=line, step=here.step, epoch=here.epoch, value=kind)
        if "out-of-memory" in events.kinds(text, "", False):
            self._sink.event("out-of-memory", text, line=line, step=here.step, epoch=here.epoch)
        self._crashed = True
        return True

    # -- bars and tables ---------------------------------------------------------------------------------------------

    def _draw(self, bar: Bar, line: int) -> None:
        """Take one drawing of a progress bar: a point when its count moves on, or once a bar for values in its title."""
        side, values, place, each = self._bar_values(bar, line)
        last = self._bar
        fresh = last is None or last.desc != side or bar.done < last.done
        if last is not None and (fresh or (each and bar.done != last.done)):
            self._write_bar(last)
        if not values:
            if fresh and last is not None:
                self._bar = None
            return
        written = {} if fresh or last is None else last.written
        self._bar = _Drawn(side, bar.done, Row(values, place, None, line), written)
        if bar.total is not None and bar.done >= bar.total and values == written:
            self._bar.row.values = {}  # the last drawing repeats the values of the step before

    def _bar_values(self, bar: Bar, line: int) -> tuple[str, dict[str, float], Place, bool]:
        """The phase, values and place of a drawing, and whether each count of the bar is a point of its own."""
        if self._columns.header(bar.desc):
            return "", {}, self._tracker.place, False
        plan, nums, _ = self._shapes.plan(bar.desc, "")
        tail, found, _ = self._shapes.plan(bar.tail, "")
        values = self._values(tail, found)
        each = bool(values) and not bar.keras
        table = self._columns.row(bar.desc) if not values and self._columns.headers else None
        epoch = number(nums[plan.epoch]) if plan.epoch >= 0 else None
        if table is not None:
            cells, texts = table
            values, epoch = self._cells(cells, texts, line)
        elif plan.slots and not values:
            values, each = self._values(plan, nums), True
        phase = plan.phase or words.phase(bar.desc) if table is None else ""
        if tail.epoch >= 0 and epoch is None:
            epoch = number(found[tail.epoch])
        side = phase if phase in {"val", "test"} else ""
        if phase and table is None:
            values = {n if words.phase(n) else f"{phase}/{n}": v for n, v in values.items()}
        if plan.epochs >= 0 and epoch is not None and epoch <= number(nums[plan.epochs]):
            self._say("planned-epochs", number(nums[plan.epochs]), line)
        if not values and epoch is None:
            return side, values, self._tracker.place, each
        if not side:
            self._back(epoch, bar.done, line)
        if epoch is None and self._tracker.place.epoch is None and bar.total:
            self._tracker.seen += not self._tracker.seen
        place = self._tracker.resolve(epoch, bar.done, bar.total, final=False, side=side)
        if not side and bar.total and (values or epoch is not None) and (place.epoch is not None):
            self._lengths(Plan(epoch=0), bar.total, line)
        self._tracker.move(place, trained=bool(values) and not side)
        return phase + ("|" if table is not None else ""), values, place, each

    def _write_bar(self, drawn: _Drawn) -> None:
        if drawn.row.values:
            self._points.add(Row(dict(drawn.row.values), drawn.row.place, None, drawn.row.line))
            drawn.written = drawn.row.values
            drawn.row.values = {}

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._write_bar(self._bar)
            self._bar = None

    def _boxed(self, text: str, line: int) -> bool:
        """Whether the line is a row of a box; such lines are never read in another way."""
        body = text.strip()
        if not body.startswith("|") or is_rule(body):
            return False
        if not self._box.take(body, line):
            row = self._columns.row(body.replace("|", "  ")) if self._columns.headers else None
            if row is not None:
                values, epoch = self._cells(*row, line)
                self._emit(
                    values, Place(self._cell_step, epoch) if self._cell_step is not None else None, epoch, None, line
                )
            elif not self._columns.header(body.strip("|").replace("|", "  ")):
                return "  " in body or body.count("|") > 2
        return True

    def _close_box(self, time: float | None) -> None:
        if self._box.rows:
            rows, line = self._box.done()
            best: tuple[int, float] | None = None
            epoch = None
            for name, value in rows.items():
                what = words.position(name)
                if (
                    what
                    and what[0] == "step"
                    and value == int(value if math.isfinite(value) else 0)
                    and (best is None or what[1] > best[0])
                ):
                    best = what[1], value
                elif what and what[0] == "epoch" and math.isfinite(value):
                    epoch = value
            if best is None and epoch is None:
                row = Row(rows, self._tracker.place, time, line)
                self._unplaced(Plan(), row)
            else:
                self._emit(rows, Place(best[1] if best else None, epoch), epoch, time, line)

    def _emit(
        self, values: dict[str, float], place: Place | None, epoch: float | None, time: float | None, line: int
    ) -> None:
        if place is None:
            place = self._tracker.resolve(epoch, None, None, final=True, side="")
        if place.step is not None or place.epoch is not None:
            self._tracker.move(place, trained=False)
        if values:
            self._points.add(Row(values, place, time, line))

    _cell_step: float | None = None

    def _cells(
        self, values: dict[str, float], texts: dict[str, str], line: int
    ) -> tuple[dict[str, float], float | None]:
        """Split a table's row into metrics and the epoch; a row label goes before the names unless it means all."""
        epoch: float | None = None
        self._cell_step = None
        kept: dict[str, float] = {}
        for name, value in values.items():
            what = words.position(name)
            if what and what[0] == "epoch":
                epoch = value
            elif what:
                self._cell_step = value
            else:
                kept[name] = value
        for name, text in texts.items():
            done, _, total = text.partition("/")
            what = words.position(name)
            if total and what and done.strip().isdigit() and total.strip().isdigit():
                epoch = float(done) if what[0] == "epoch" else epoch
                if what[0] == "epoch":
                    self._say(
                        "planned-epochs", float(total) + (1.0 if self._tracker.base in {None, 0.0} else 0.0), line
                    )
        label = next(iter(texts.values()), "")
        if (
            len(texts) == 1
            and label.lower() not in {"all", "total", "mean", "average"}
            and "/" not in label
            and any(c.isalpha() for c in label)
        ):
            kept = {f"{label}/{n}": v for n, v in kept.items()}
        return kept, epoch

    def _tabled(self, prefix: Prefix, line: int) -> bool:
        row = self._columns.row(prefix.text)
        if row is None:
            return False
        values, epoch = self._cells(*row, line)
        if self._cell_step is not None or epoch is not None:
            self._emit(
                values, Place(self._cell_step, epoch) if self._cell_step is not None else None, epoch, prefix.time, line
            )
        else:
            self._points.add(Row(values, self._tracker.place, prefix.time, line))
        return True

    def _whole(self, text: str) -> bool:
        """Whether an unfinished last line has the shape of an earlier one, so that nothing of it is missing."""
        if read_bar(text) is not None:
            return True
        plan, nums, known = self._shapes.plan(self._prefixes.take(text).text, "")
        return known and not (nums and text.rstrip().endswith(nums[-1]) and "." not in nums[-1] and bool(plan.slots))
