"""What a format's reader finds in one file, with the places of the values; `summary` of it is a `Checkpoint`."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from runvet.checkpoints.dtypes import dtype
from runvet.checkpoints.model import Scalar, Tensor
from runvet.checkpoints.problems import Damaged, Problem, Unread
from runvet.checkpoints.window import Window
from runvet.secrets import mask

PLAIN = 400  # scalars kept of one file; those at the top are kept up to twice that
TENSORS = 300_000


@dataclass(slots=True, eq=False)
class Store:
    """The bytes below one or more tensors: `size` of them, opened only when values are wanted.

    `key` is equal for stores over the same bytes of the same file. `big` where numbers are big-endian. `crc` is the
    CRC-32 that the archive notes for all of it, 0 where it notes none.
    """

    key: Hashable
    size: int
    open: Callable[[], Window]
    big: bool = False
    crc: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A block of one tensor: elements of `dtype` in a store, `start` and `stride` in elements."""

    store: Store
    dtype: str
    start: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def elements(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def span(self) -> int:
        """Elements between the first and the last of the piece, both counted; 0 for an empty one."""
        if not self.elements:
            return 0
        return 1 + sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True))


@dataclass(frozen=True, slots=True)
class Found:
    """A tensor and where its values are. No pieces: its values are nowhere (or cannot be read)."""

    tensor: Tensor
    pieces: tuple[Piece, ...] = ()


@dataclass(slots=True)
class Content:
    """All that one file (or one folder of the distributed format) holds."""

    format: str
    found: list[Found] = field(default_factory=list)
    plain: dict[str, Scalar] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    names: dict[str, bool] = field(default_factory=dict)
    empty_states: list[str] = field(default_factory=list)
    root: str = "dict"  # 'dict', 'empty', 'tensor', 'list', 'object': what the file's outermost value is
    kind: str = ""

    def damaged(self, message: str) -> None:
        """Note that the file is not what its format promises. The tenth and later are left out."""
        if sum(p.name == "damaged-checkpoint" for p in self.problems) < 9:
            self.problems.append(Problem("damaged-checkpoint", message))

    def add(self, tensor: Tensor, pieces: tuple[Piece, ...] = ()) -> None:
        """Note a tensor. Raises Damaged beyond any sensible number of them."""
        if len(self.found) >= TENSORS:
            raise Damaged(f"more than {TENSORS:,} tensors in one file")
        self.found.append(Found(tensor, pieces))

    def note(self, name: str, value: Scalar, *, top: bool = False) -> None:
        """Keep a scalar, credentials masked and long texts cut, while there is room."""
        if len(self.plain) < (2 * PLAIN if top else PLAIN):
            if isinstance(value, str):
                value = mask(value[:300], key=name)[0]
            elif isinstance(value, int) and not isinstance(value, bool) and not -(1 << 63) <= value < 1 << 63:
                value = f"{float(value):.6g}" if abs(value) < 1 << 1000 else "(huge integer)"
            self.plain[name] = value


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides in elements of a tensor of this shape laid out row by row."""
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * max(1, shape[axis + 1])
    return tuple(strides)


def placed(store: Store, kind: str, start: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> Piece:
    """A checked piece. Raises Damaged where it would leave its store."""
    piece = Piece(store, kind, start, shape, stride)
    known = dtype(kind)
    if known is None:
        raise Damaged(f"an element type that is not known: {kind[:40]!r}")
    if piece.elements and (start + piece.span) * known.size > store.size:
        raise Damaged(f"reaches {(start + piece.span) * known.size:,} bytes into a storage of {store.size:,}")
    return piece


@contextmanager
def guarded(content: Content) -> Iterator[None]:
    """Whatever goes wrong with a hostile or damaged file inside the block becomes a problem of its content."""
    try:
        yield
    except Unread as error:
        content.problems.append(Problem("unread-checkpoint", str(error)))
    except Damaged as error:
        content.damaged(str(error))
    except OSError as error:
        content.problems.append(Problem("unread-checkpoint", f"cannot be opened: {error.strerror or error}"))
    except (
        ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError, MemoryError,
    ) as error:  # fmt: skip
        content.damaged(f"not what its format promises ({type(error).__name__}: {str(error)[:120]})")
