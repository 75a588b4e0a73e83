"""What one shape of lines says, prepared for many lines at once: which runs of digits make which value."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runvet.readers._text.atoms import NUMBER
from runvet.readers._text.grammar import Plan
from runvet.readers._text.prefix import Prefix, Prefixes
from runvet.readers._text.scan import LONGEST, Scan, decimal, owns_sign
from runvet.readers._text.shapes import Shapes
from runvet.readers._text.stamps import Stamp, stamp_of
from runvet.run import FloatArray, IntArray

_DIGITS = re.compile(r"[0-9]+")
_PARTS = re.compile(r"(?P<sign>[-+]?)(?P<whole>\d+)?(?:\.(?P<part>\d*))?(?:[eE](?P<down>[-+]?)(?P<power>\d+))?")
_WIDTH = 1_500  # bytes of a shape that is prepared
# Lines that need more than their own numbers: bars, boxes, tracebacks, echoed configuration, launchers' prefixes.
_OTHER = re.compile(
    rb"%\||0(?:it|batch|step|ex)\s{0,4}\[|\|\s*$|^[\s\[(<]*0:\s|^\s{0,4}0/|Traceback|(?:Namespace|Arguments|Config|Args|HParams)\("
    rb"|[\x00-\x08\x0a-\x1f\x7f]|\xee[\x80-\xbf]|\xef[\x80-\xa3\xbb]|[\w./\\<>:-]{61}|:::"
)
_MAYBE_STAMP = re.compile(
    rb"[\s|]*[\[(<]?(?:[A-Za-z]{0,5},?\s)?(?:[A-Za-z]{1,3}\s{0,2})?0(?:\.0[\s\])]|[^A-SU-Za-z=]{0,12}0:0:0)"
)


@dataclass(frozen=True, slots=True)
class Value:
    """One number of a line: indices of its runs of digits within the line, -1 where it has none; or a constant."""

    whole: int = -1
    part: int = -1
    power: int = -1
    down: bool = False  # the power is negative
    negative: bool = False
    free_sign: bool = False  # a sign may stand before it
    constant: float | None = None

    @property
    def head(self) -> int:
        return self.whole if self.whole >= 0 else self.part

    def read(self, scan: Scan, first: IntArray) -> FloatArray:
        """The values (n,) in lines whose first runs are `first` (n,): what `float` gives for the same text."""
        if self.constant is not None:
            return np.full(len(first), self.constant)
        zero = np.zeros(len(first), np.int64)
        whole = scan.whole(first + self.whole) if self.whole >= 0 else zero
        part = scan.whole(first + self.part) if self.part >= 0 else None
        places = scan.length[first + self.part] if self.part >= 0 else zero
        power = None
        if self.power >= 0:
            power = scan.whole(first + self.power) * (-1 if self.down else 1)
        digits = places + (scan.length[first + self.whole] if self.whole >= 0 else 0)
        hard = digits > LONGEST
        if power is not None:
            hard |= np.abs(power - places) > 22
        if hard.any():
            return self._each(scan, first, np.where(hard, 0, whole), part, places, power, hard)
        value = decimal(whole, part, places, power)
        return self._sign(scan, first, value)

    def _sign(self, scan: Scan, first: IntArray, value: FloatArray) -> FloatArray:
        if self.free_sign:
            return np.where(scan.minus(first + self.head), -value, value)
        return -value if self.negative else value

    def _each(
        self,
        scan: Scan,
        first: IntArray,
        whole: IntArray,
        part: IntArray | None,
        places: IntArray,
        power: IntArray | None,
        hard: npt.NDArray[np.bool_],
    ) -> FloatArray:
        """The same, with numbers of many digits or far powers one by one."""
        short = np.where(hard, 0, places)
        easy = decimal(whole, None if part is None else np.where(hard, 0, part), short,
                       None if power is None else np.where(hard, 0, power))  # fmt: skip
        last = max(self.whole, self.part, self.power)
        for row in np.flatnonzero(hard).tolist():
            begin = int(scan.start[first[row] + self.head]) - (self.whole < 0)
            end = int(scan.start[first[row] + last] + scan.length[first[row] + last])
            easy[row] = float(scan.block[begin:end])
        return self._sign(scan, first, easy)


@dataclass(frozen=True, slots=True)
class Kind:
    """What lines of several shapes have in common when they say the same things (the widths of columns may differ)."""

    names: tuple[str, ...]
    epoch: bool
    epochs: bool
    step: bool
    steps: bool
    rank: int
    phase: str
    within: bool
    planned: tuple[str, ...]
    time: str  # '', 'date' or 'clock'
    slots: int


@dataclass(frozen=True, slots=True)
class Template:
    """A shape, ready for many lines. `values` are in the order of `kind.names`, then epoch, epochs, step, steps, planned."""

    kind: Kind
    values: tuple[Value, ...]
    lengths: IntArray  # digits of the runs before the message: they must be as in the first line
    unsigned: tuple[int, ...]  # runs that must not have a sign
    stamp: Stamp | None


def compile_template(raw: bytes, shape: bytes, encoding: str, prefixes: Prefixes, shapes: Shapes) -> Template | None:
    """The template of a shape by one of its lines; None where its lines must be read one by one."""
    raw, shape = raw.removesuffix(b"\r"), shape.removesuffix(b"\r")
    if len(shape) > _WIDTH or not raw or _OTHER.search(shape):
        return None
    text = raw.decode(encoding, "replace")
    if not text.isascii() and (any(not c.isascii() and c.isdigit() for c in text) or not _plain(text)):
        return None
    prefix = prefixes.copy().take(text)
    if prefix.rank is not None or prefix.srun is not None or prefix.level in {"warning", "error"}:
        return None
    if prefix.stamp is None and _MAYBE_STAMP.match(shape):
        return None
    if not prefix.text or prefix.text.isspace() or not text.endswith(prefix.text):
        return None
    plan, _, _ = shapes.plan(prefix.text, prefix.level)
    if not plan.slots or plan.epoch < 0 > plan.step or plan.events or plan.best or plan.indented or plan.process >= 0:
        return None
    return _Compiler(text, prefix, plan).template()


def _plain(text: str) -> bool:
    """Whether cleaning a line would leave it as it is."""
    from runvet.readers._text.lines import clean

    return clean(text) == text


class _Compiler:
    """Maps the numbers of one line to its runs of digits."""

    def __init__(self, text: str, prefix: Prefix, plan: Plan) -> None:
        self.text, self.prefix, self.plan = text, prefix, plan
        self.base = len(text) - len(prefix.text)
        self.runs = [m.span() for m in _DIGITS.finditer(text)]
        self.tokens = list(NUMBER.finditer(text[self.base :]))
        self.unsigned: list[int] = []

    def template(self) -> Template | None:
        plan = self.plan
        if any("," in token[0] for token in self.tokens) or re.search(r"\d,\d", self.prefix.text):
            return None
        chosen: dict[str, Value] = {}
        for slot in plan.slots:
            atom = slot.atom
            if atom.kind == "clock":
                return None
            value = self.value(atom.first + (atom.kind == "arrow"))
            if slot.real and self.tokens[atom.first][0].isdigit():
                self.unsigned.append(value.head)
                continue
            if slot.real and self.tokens[atom.first][0].lstrip("+-").isdigit():
                return None
            chosen.setdefault(slot.name, value)
            if slot.second and not self.second(slot.second, atom.first + 1, chosen):
                return None
        if not chosen:
            return None
        places = [i for i in (plan.epoch, plan.epochs, plan.step, plan.steps, *(i for _, i in plan.planned)) if i >= 0]
        stamp = stamp_of(self.prefix, self.text, self.runs) if self.prefix.stamp is not None else None
        if self.prefix.stamp is not None and stamp is None:
            return None
        before = [end - begin for begin, end in self.runs if begin < self.base]
        if any(begin < self.base < end for begin, end in self.runs) or not self.fixed(len(before)):
            return None
        kind = Kind(tuple(chosen), plan.epoch >= 0, plan.epochs >= 0, plan.step >= 0, plan.steps >= 0, plan.rank, plan.phase,
                    plan.within, tuple(k for k, _ in plan.planned), "" if stamp is None else "clock" if stamp.clock else "date",
                    len(plan.slots))  # fmt: skip
        values = (*chosen.values(), *(self.value(i) for i in places))
        return Template(kind, values, np.array(before, np.int64), tuple(self.unsigned), stamp)

    def second(self, name: str, index: int, chosen: dict[str, Value]) -> bool:
        """Take the second number of `2.31 (2.40)`, whose sign would make it a change; False where that may be."""
        value = self.value(index)
        sign = self.tokens[index][0][:1]
        if value.free_sign and sign not in "+-":
            self.unsigned.append(value.head)
        elif sign == "-" or value.free_sign:
            return False
        if sign != "+":
            chosen.setdefault(name, value)
        return True

    def fixed(self, count: int) -> bool:
        """Note the runs of the prefix before which a sign would not show in the shape; False where one stands."""
        for index in range(count):
            begin = self.runs[index][0]
            if begin and owns_sign(self.text[begin - 1]):
                self.unsigned.append(index)
            elif begin > 1 and self.text[begin - 1] in "+-" and owns_sign(self.text[begin - 2]):
                return False
        return True

    def value(self, index: int) -> Value:
        """The runs of one number of the message."""
        token = self.tokens[index]
        begin, end = token.start() + self.base, token.end() + self.base
        found = _PARTS.fullmatch(token[0])
        if found is None or (found["whole"] is None and not found["part"]):
            return Value(constant=float(token[0]))
        inside = iter([i for i, (at, _) in enumerate(self.runs) if begin <= at < end])
        whole = next(inside) if found["whole"] else -1
        part = next(inside) if found["part"] else -1
        power = next(inside) if found["power"] else -1
        sign = found["sign"]
        digits_follow = whole >= 0
        before = self.text[begin - 1 : begin] if begin else ""
        free = digits_follow and owns_sign(before)
        return Value(whole, part, power, found["down"] == "-", sign == "-" and not free, free)


def fits(scan: Scan, template: Template, first: IntArray) -> npt.NDArray[np.bool_]:
    """Which lines (n,) have their prefix as the template's and no sign where there must be none."""
    fine = np.ones(len(first), np.bool_)
    for index, length in enumerate(template.lengths.tolist()):
        fine &= scan.length[first + index] == length
    for run in template.unsigned:
        fine &= ~scan.signed(first + run)
    return fine
