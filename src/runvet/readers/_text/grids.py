"""Boxes and tables become points: their cells are metrics, their first column often says where they stand."""

from __future__ import annotations

import math

from runvet.readers._text import words
from runvet.readers._text.grammar import Plan
from runvet.readers._text.points import Row
from runvet.readers._text.position import Place
from runvet.readers._text.prefix import Prefix
from runvet.readers._text.session import Session
from runvet.readers._text.tables import Box, Columns, is_rule


class Grids:
    """Follows the boxes and tables of one file."""

    def __init__(self, session: Session) -> None:
        self._session, self._box, self.columns = session, Box(), Columns()
        self._cell_step: float | None = None
        session.on_seam.append(self.close)

    @property
    def open(self) -> bool:
        """Whether rows of a box wait for its end."""
        return bool(self._box.rows)

    def boxed(self, text: str, line: int) -> bool:
        """Whether the line is a row of a box; such lines are never read in another way."""
        body = text.strip()
        if not body.startswith("|") or is_rule(body):
            return False
        if not self._box.take(body, line):
            row = self.columns.row(body.replace("|", "  ")) if self.columns.headers else None
            if row is not None:
                values, epoch = self.cells(*row, line)
                self._emit(
                    values, Place(self._cell_step, epoch) if self._cell_step is not None else None, epoch, None, line
                )
            elif not self.columns.header(body.strip("|").replace("|", "  ")):
                return "  " in body or body.count("|") > 2
        return True

    def close(self, time: float | None = None) -> None:
        """Write the box that ended before this line, if any."""
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
                row = Row(rows, self._session.tracker.place, time, line)
                self._session.unplaced(Plan(), row)
            else:
                self._emit(rows, Place(best[1] if best else None, epoch), epoch, time, line)

    def _emit(
        self, values: dict[str, float], place: Place | None, epoch: float | None, time: float | None, line: int
    ) -> None:
        if place is None:
            place = self._session.tracker.resolve(epoch, None, None, final=True, side="")
        if place.step is not None or place.epoch is not None:
            self._session.tracker.move(place, trained=False)
        if values:
            self._session.points.add(Row(values, place, time, line))

    def cells(
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
                    self._session.say(
                        "planned-epochs",
                        float(total) + (1.0 if self._session.tracker.base in {None, 0.0} else 0.0),
                        line,
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

    def table(self, plan: Plan, nums: list[str], prefix: Prefix, line: int) -> bool:
        """Remember the line if it is a header; whether it is a row of a known one, which is then written."""
        if not nums or (not plan.slots and not plan.placed):
            self.columns.header(prefix.text)
        return bool(nums and self.columns.headers) and len(plan.slots) < 2 and self.tabled(prefix, line)

    def tabled(self, prefix: Prefix, line: int) -> bool:
        """Whether the line is a row under a known header; its cells are then written."""
        row = self.columns.row(prefix.text)
        if row is None:
            return False
        values, epoch = self.cells(*row, line)
        if self._cell_step is not None or epoch is not None:
            self._emit(
                values, Place(self._cell_step, epoch) if self._cell_step is not None else None, epoch, prefix.time, line
            )
        else:
            self._session.points.add(Row(values, self._session.tracker.place, prefix.time, line))
        return True
