"""A pickle interpreted opcode by opcode into inert values (`inert.py`). Nothing is imported, nothing is called.

Memory is bounded: long strings and bytes stay in the file (`Blob`), the memo is a dictionary, and the number of
operations is limited, each of which makes at most one small object.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from runvet.checkpoints.inert import Blob, Call, Global, Pickle
from runvet.checkpoints.keys import hashable
from runvet.checkpoints.problems import Damaged, Unread
from runvet.checkpoints.symbols import build, called
from runvet.checkpoints.window import Window

OPERATIONS = 3_000_000  # 120,000 tensors; about 300 MB when every one makes an object
KEPT_BYTES = 64 << 20  # of strings and bytes in all
LONG = 65_536  # longer strings and bytes stay in the file
_BLOCK, _SLACK = 1 << 18, 1024


class Interpreter:
    """Runs the pickles of one window. `persistent` turns a persistent id into an inert value."""

    __slots__ = ("at", "base", "buffer", "kept", "marks", "memo", "names", "persistent", "stack", "window")

    def __init__(self, window: Window, persistent: Callable[[Any], Any]) -> None:
        self.window, self.persistent = window, persistent
        self.names: dict[str, bool] = {}
        self.buffer, self.base, self.at = b"", 0, 0
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.kept = 0

    def load(self, start: int = 0) -> Pickle:
        """The pickle that starts at an offset. Raises Damaged, or Unread where it is larger than the limits."""
        self.stack, self.marks, self.memo = [], [], {}
        self.buffer, self.base, self.at = b"", start, 0
        try:
            self._run()
            value = self.stack.pop()
        except (IndexError, KeyError, struct.error, TypeError, ValueError, OverflowError, AttributeError) as error:
            if isinstance(error, (Damaged, Unread)):
                raise
            raise Damaged(f"the pickle breaks at byte {self.base + self.at:,} ({type(error).__name__})") from None
        return Pickle(value, self.base + self.at, self.names)

    def _run(self) -> None:
        """The loop over operations. The frequent ones stand here: half the time of listing is spent in this loop.

        A number cut off by the window's end reads as a smaller one; the missing next operation then ends the loop.
        """
        handlers, memo, limit, left = _HANDLERS, self.memo, -1, OPERATIONS
        while left:
            left -= 1
            at = self.at
            if at > limit:
                self.refill()
                limit = (
                    len(self.buffer) - _SLACK if self.base + len(self.buffer) < self.window.size else len(self.buffer)
                )
                at = 0
            buffer = self.buffer
            code = buffer[at]
            if code == 113:  # BINPUT
                memo[buffer[at + 1]] = self.stack[-1]
                self.at = at + 2
            elif code == 104:  # BINGET
                self.stack.append(memo[buffer[at + 1]])
                self.at = at + 2
            elif code == 114:  # LONG_BINPUT
                memo[int.from_bytes(buffer[at + 1 : at + 5], "little")] = self.stack[-1]
                self.at = at + 5
            elif code == 75:  # BININT1
                self.stack.append(buffer[at + 1])
                self.at = at + 2
            elif code == 46:  # STOP
                self.at = at + 1
                return
            else:
                self.at = at + 1
                handlers[code](self)
        raise Unread(f"a pickle of more than {OPERATIONS:,} operations: no index of a checkpoint is that long")

    def refill(self) -> None:
        """Make the buffer start here; its rest may be shorter than a block only at the window's end."""
        here = self.base + self.at
        self.buffer = self.window.read(here, max(0, min(_BLOCK, self.window.size - here)))
        self.base, self.at = here, 0

    def take(self, length: int) -> bytes:
        """The next bytes. Raises Damaged at the end of the data."""
        if self.at + length > len(self.buffer):
            here = self.base + self.at
            data = self.window.read(here, length)
            self.base, self.at, self.buffer = here + length, 0, b""
            self.refill()
            return data
        data = self.buffer[self.at : self.at + length]
        self.at += length
        return data

    def number(self, length: int) -> int:
        """The next bytes, at most 8, as an unsigned little-endian number."""
        at = self.at
        self.at = at + length
        return int.from_bytes(self.buffer[at : self.at], "little")

    def line(self) -> bytes:
        """The rest of a text line, without its end. Raises Damaged beyond 64 KiB."""
        end = self.buffer.find(b"\n", self.at)
        if end < 0:
            self.refill()
            end = self.buffer.find(b"\n", 0, LONG)
        if end < 0 or end - self.at > LONG:
            raise Damaged(f"an endless line in the pickle at byte {self.base + self.at:,}")
        data = self.buffer[self.at : end]
        self.at = end + 1
        return data

    def keep(self, length: int, *, text: bool) -> Any:
        """The next string or bytes, as a Blob where it is long."""
        here = self.base + self.at
        if length > self.window.size - here:
            raise Damaged(f"cut off: {length:,} bytes promised at byte {here:,} of {self.window.size:,}")
        if length > LONG:
            self.base, self.at, self.buffer = here + length, 0, b""
            self.refill()
            return Blob(here, length, text)
        self.kept += length
        if self.kept > KEPT_BYTES:
            raise Unread(
                f"a pickle with more than {KEPT_BYTES:,} bytes of names: no index of a checkpoint is that long"
            )
        data = self.take(length)
        return data.decode("utf-8", "replace") if text else data

    def since_mark(self) -> list[Any]:
        """What was put on the stack since the last mark; takes the mark away."""
        items, self.stack = self.stack, self.marks.pop()
        return items

    def collect(self, kind: Callable[[list[Any]], Any]) -> None:
        """Put what lies above the last mark on the stack as one value."""
        items = self.since_mark()  # first: it changes what the stack is
        self.stack.append(kind(items))

    def named(self, module: Any, name: Any) -> Global:
        """A class or function by its module and name; a computed name is one that hides something."""
        full = f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else "(computed name)"
        full = full[:300]
        self.names.setdefault(full, False)
        return Global(full)

    def call(self, function: Any, args: Any) -> Any:
        """What calling this would give, without calling it."""
        if isinstance(function, Global):
            self.names[function.name] = True
            if function.name in ("builtins.getattr", "__builtin__.getattr"):
                return self._fetched(args)
            return called(function.name, args)
        return Call("(computed callable)", (function, args))

    def _fetched(self, args: Any) -> Global:
        """An attribute of something named is a name, too: `getattr(torch.serialization, "os")`."""
        owner, name = args[:2] if isinstance(args, tuple) and len(args) > 1 else (None, None)
        return self.named(owner.name if isinstance(owner, (Global, Call)) else None, name)


def _set(target: Any, pairs: list[Any]) -> None:
    if isinstance(target, Call):
        target.pairs = {} if target.pairs is None else target.pairs
        target = target.pairs
    if not isinstance(target, dict) or len(pairs) % 2:
        raise Damaged("entries are put into something that takes none")
    for i in range(0, len(pairs), 2):
        target[hashable(pairs[i])] = pairs[i + 1]


def _extend(target: Any, items: list[Any]) -> None:
    if isinstance(target, Call):
        target.items = [] if target.items is None else target.items
        target = target.items
    if not isinstance(target, list):
        raise Damaged("items are put into something that takes none")
    target.extend(items)


def _long(data: bytes) -> Any:
    return int.from_bytes(data, "little", signed=True) if len(data) <= 256 else f"(integer of {len(data)} bytes)"


def _text_number(line: bytes) -> Any:
    if line in (b"00", b"01"):
        return line == b"01"
    return int(line.rstrip(b"L")[:400])


def _tuple(p: Interpreter, n: int) -> None:
    if len(p.stack) < n:
        raise Damaged("the pickle takes more from its stack than is there")
    p.stack[-n:] = [tuple(p.stack[-n:])]


def _reduce(p: Interpreter) -> None:
    args = p.stack.pop()
    p.stack[-1] = p.call(p.stack[-1], args)


def _new_with_keywords(p: Interpreter) -> None:
    keywords, args = p.stack.pop(), p.stack.pop()
    made = p.call(p.stack[-1], args)
    p.stack[-1] = made
    if isinstance(made, Call) and isinstance(keywords, dict):
        made.pairs = dict(keywords)


def _build(p: Interpreter) -> None:
    state = p.stack.pop()
    build(p.stack[-1], state)


def _instance(p: Interpreter) -> None:
    module, name = p.line().decode("utf-8", "replace"), p.line().decode("utf-8", "replace")
    args = tuple(p.since_mark())
    p.stack.append(p.call(p.named(module, name), args))


def _object(p: Interpreter) -> None:
    items = p.since_mark()
    p.stack.append(p.call(items[0], tuple(items[1:])))


def _global(p: Interpreter) -> None:
    module, name = p.line().decode("utf-8", "replace"), p.line().decode("utf-8", "replace")
    p.stack.append(p.named(module, name))


def _stack_global(p: Interpreter) -> None:
    name, module = p.stack.pop(), p.stack.pop()
    p.stack.append(p.named(module, name))


def _mark(p: Interpreter) -> None:
    p.marks.append(p.stack)
    p.stack = []


def _dict(p: Interpreter) -> None:
    made: dict[Any, Any] = {}
    _set(made, p.since_mark())
    p.stack.append(made)


def _set_item(p: Interpreter) -> None:
    value, key = p.stack.pop(), p.stack.pop()
    _set(p.stack[-1], [key, value])


def _set_items(p: Interpreter) -> None:
    pairs = p.since_mark()
    _set(p.stack[-1], pairs)


def _append(p: Interpreter) -> None:
    value = p.stack.pop()
    _extend(p.stack[-1], [value])


def _appends(p: Interpreter) -> None:
    items = p.since_mark()
    _extend(p.stack[-1], items)


def _pop(p: Interpreter) -> None:
    if p.stack:
        p.stack.pop()
    else:
        p.since_mark()


def _put(p: Interpreter, index: int) -> None:
    p.memo[index] = p.stack[-1]


def _protocol(p: Interpreter) -> None:
    version = p.number(1)
    if version > 5:
        raise Damaged(f"no pickle: protocol {version}")


def _byte_string(p: Interpreter, length: int) -> None:
    """A Python 2 string: text where it is plain, else bytes."""
    data = p.keep(length, text=False)
    p.stack.append(data.decode("ascii") if isinstance(data, bytes) and data.isascii() else data)


def _unknown(p: Interpreter) -> None:
    raise Damaged(f"no pickle: unknown operation at byte {p.base + p.at - 1:,}")


_OPERATIONS: dict[bytes, Callable[[Interpreter], None]] = {
    b"(": _mark, b"0": _pop, b"1": lambda p: (p.since_mark(), None)[1], b"2": lambda p: p.stack.append(p.stack[-1]),
    b"N": lambda p: p.stack.append(None), b"\x88": lambda p: p.stack.append(True), b"\x89": lambda p: p.stack.append(False),
    b"K": lambda p: p.stack.append(p.number(1)), b"M": lambda p: p.stack.append(p.number(2)),
    b"J": lambda p: p.stack.append(struct.unpack("<i", p.take(4))[0]),
    b"G": lambda p: p.stack.append(struct.unpack(">d", p.take(8))[0]),
    b"\x8a": lambda p: p.stack.append(_long(p.take(p.number(1)))),
    b"\x8b": lambda p: p.stack.append(_long(b) if isinstance(b := p.keep(p.number(4), text=False), bytes) else "(integer)"),
    b"I": lambda p: p.stack.append(_text_number(p.line())), b"L": lambda p: p.stack.append(_text_number(p.line())),
    b"F": lambda p: p.stack.append(float(p.line())),
    b"S": lambda p: p.stack.append(p.line()[1:-1].decode("utf-8", "replace")),
    b"V": lambda p: p.stack.append(p.line().decode("raw-unicode-escape", "replace")),
    b"T": lambda p: _byte_string(p, p.number(4)), b"U": lambda p: _byte_string(p, p.number(1)),
    b"X": lambda p: p.stack.append(p.keep(p.number(4), text=True)), b"\x8c": lambda p: p.stack.append(p.keep(p.number(1), text=True)),
    b"\x8d": lambda p: p.stack.append(p.keep(p.number(8), text=True)),
    b"B": lambda p: p.stack.append(p.keep(p.number(4), text=False)), b"C": lambda p: p.stack.append(p.keep(p.number(1), text=False)),
    b"\x8e": lambda p: p.stack.append(p.keep(p.number(8), text=False)), b"\x96": lambda p: p.stack.append(p.keep(p.number(8), text=False)),
    b"\x97": lambda p: p.stack.append(Call("(out-of-band buffer)")), b"\x98": lambda _: None,
    b")": lambda p: p.stack.append(()), b"t": lambda p: p.collect(tuple),
    b"\x85": lambda p: _tuple(p, 1), b"\x86": lambda p: _tuple(p, 2), b"\x87": lambda p: _tuple(p, 3),
    b"]": lambda p: p.stack.append([]), b"l": lambda p: p.collect(list), b"a": _append, b"e": _appends,
    b"}": lambda p: p.stack.append({}), b"d": _dict, b"s": _set_item, b"u": _set_items,
    b"\x8f": lambda p: p.stack.append([]), b"\x90": _appends, b"\x91": lambda p: p.collect(list),
    b"c": _global, b"\x93": _stack_global, b"R": _reduce, b"\x81": _reduce, b"\x92": _new_with_keywords, b"b": _build,
    b"i": _instance, b"o": _object,
    b"\x82": lambda p: p.stack.append(p.named("copyreg", f"extension {p.number(1)}")),
    b"\x83": lambda p: p.stack.append(p.named("copyreg", f"extension {p.number(2)}")),
    b"\x84": lambda p: p.stack.append(p.named("copyreg", f"extension {p.number(4)}")),
    b"P": lambda p: p.stack.append(p.persistent(p.line().decode("utf-8", "replace"))),
    b"Q": lambda p: p.stack.append(p.persistent(p.stack.pop())),
    b"q": lambda p: _put(p, p.number(1)), b"r": lambda p: _put(p, p.number(4)), b"p": lambda p: _put(p, int(p.line()[:20])),
    b"\x94": lambda p: _put(p, len(p.memo)),
    b"h": lambda p: p.stack.append(p.memo[p.number(1)]), b"j": lambda p: p.stack.append(p.memo[p.number(4)]),
    b"g": lambda p: p.stack.append(p.memo[int(p.line()[:20])]),
    b"\x80": _protocol, b"\x95": lambda p: (p.take(8), None)[1],
}  # fmt: skip
_HANDLERS: list[Callable[[Interpreter], None]] = [_OPERATIONS.get(bytes([code]), _unknown) for code in range(256)]
