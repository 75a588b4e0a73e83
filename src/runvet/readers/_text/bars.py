"""Progress bars become points: the last drawing of each count, or of the whole bar."""

from __future__ import annotations

from dataclasses import dataclass, field

from runvet.readers._text import words
from runvet.readers._text.atoms import number
from runvet.readers._text.grammar import Plan
from runvet.readers._text.grids import Grids
from runvet.readers._text.points import Row
from runvet.readers._text.position import Place
from runvet.readers._text.progress import Bar
from runvet.readers._text.session import Session, values_of


@dataclass(slots=True)
class _Drawn:
    """The last state of a progress bar that has not been written yet."""

    desc: str
    done: float
    row: Row
    written: dict[str, float] = field(default_factory=dict)


class Bars:
    """Follows the drawings of progress bars."""

    def __init__(self, session: Session, grids: Grids) -> None:
        self._session, self._grids = session, grids
        self._last: _Drawn | None = None
        session.on_seam.append(self.close)

    @property
    def open(self) -> bool:
        """Whether a drawing waits for the next one."""
        return self._last is not None

    def draw(self, bar: Bar, line: int) -> None:
        """Take one drawing of a progress bar: a point when its count moves on, or once a bar for values in its title."""
        side, values, place, each = self._values(bar, line)
        last = self._last
        fresh = last is None or last.desc != side or bar.done < last.done or place.epoch != last.row.place.epoch
        if last is not None and (fresh or (each and bar.done != last.done)):
            self._write(last)
        if not values:
            if fresh and last is not None:
                self._last = None
            return
        written = {} if fresh or last is None else last.written
        self._last = _Drawn(side, bar.done, Row(values, place, None, line), written)
        if bar.total is not None and bar.done >= bar.total and values == written:
            self._last.row.values = {}  # the last drawing repeats the values of the step before

    def _values(self, bar: Bar, line: int) -> tuple[str, dict[str, float], Place, bool]:
        """The phase, values and place of a drawing, and whether each count of the bar is a point of its own."""
        if self._grids.columns.header(bar.desc):
            return "", {}, self._session.tracker.place, False
        plan, nums, _ = self._session.shapes.plan(bar.desc, "")
        tail, found, _ = self._session.shapes.plan(bar.tail, "")
        values = values_of(tail, found)
        each = bool(values) and not bar.keras
        table = self._grids.columns.row(bar.desc) if not values and self._grids.columns.headers else None
        epoch = number(nums[plan.epoch]) if plan.epoch >= 0 else None
        if table is not None:
            cells, texts = table
            values, epoch = self._grids.cells(cells, texts, line)
        elif plan.slots and not values:
            values, each = values_of(plan, nums), True
        phase = plan.phase or words.phase(bar.desc) if table is None else ""
        if tail.epoch >= 0 and epoch is None:
            epoch = number(found[tail.epoch])
        side = phase if phase in {"val", "test"} else ""
        if phase and table is None:
            # The bar's own word keeps its running values apart from a summary line's `Train Loss: …`.
            own = words.phase_word(bar.desc) or phase
            values = {n if words.phase(n) else f"{own}/{n}": v for n, v in values.items()}
        if plan.epochs >= 0 and epoch is not None and epoch <= number(nums[plan.epochs]):
            self._session.say("planned-epochs", number(nums[plan.epochs]), line)
        if not values and epoch is None:
            return side, values, self._session.tracker.place, each
        if not side:
            self._session.back(epoch, bar.done, line)
        if epoch is None and self._session.tracker.place.epoch is None and bar.total:
            self._session.tracker.seen += not self._session.tracker.seen
        place = self._session.tracker.resolve(epoch, bar.done, bar.total, final=False, side=side)
        if not side and bar.total and (values or epoch is not None) and (place.epoch is not None):
            self._session.lengths(Plan(epoch=0), bar.total, line)
        self._session.tracker.move(place, trained=bool(values) and not side)
        return phase + ("|" if table is not None else ""), values, place, each

    def _write(self, drawn: _Drawn) -> None:
        if drawn.row.values:
            row = Row(dict(drawn.row.values), drawn.row.place, None, drawn.row.line)
            if drawn.desc not in {"val", "test"}:
                self._session.fresh(row)
            if row.values:
                self._session.points.add(row)
            drawn.written = drawn.row.values
            drawn.row.values = {}

    def close(self) -> None:
        """Write the last drawing, which nothing will replace any more."""
        if self._last is not None:
            self._write(self._last)
            self._last = None
