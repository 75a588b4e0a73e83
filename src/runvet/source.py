"""One file of a run, opened safely: compressed or not, any encoding, still growing or cut off."""

from __future__ import annotations

import codecs
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEAD = 65_536  # bytes that readers may look at before they claim a file
BLOCK = 1 << 20
STEP = 1 << 12  # packed bytes unpacked at a time: what a damage can cost
LINE = 4 << 20  # a longer physical line is cut here, so that one line can't take all memory
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


@dataclass(slots=True)
class Source:
    """A file below the run's path. `relative` is its name in every message; `head` its first 64 KiB, unpacked."""

    path: Path
    relative: str
    size: int = 0
    modified: float = 0.0
    head: bytes = b""
    packed: str = ""  # '', 'gzip' or 'zstd'
    encoding: str = field(default="utf-8")

    @property
    def name(self) -> str:
        """The file's own name without a packing suffix: `train.log` for `train.log.gz`."""
        name = self.path.name
        for suffix in (".gz", ".zst", ".zstd"):
            if self.packed and name.endswith(suffix):
                return name[: -len(suffix)]
        return name

    @property
    def suffix(self) -> str:
        """The lower-case suffix of `name`, with its dot."""
        return Path(self.name).suffix.lower()

    def open(self) -> io.BufferedReader:
        """The file's bytes from the start, unpacked while they are read.

        Raises OSError where the file cannot be opened, and ImportError naming the extra for zstd.
        """
        if self.packed == "gzip":
            return io.BufferedReader(_Gzip(self.path), BLOCK)
        if self.packed == "zstd":
            return io.BufferedReader(Unpacking(_zstd(self.path)), BLOCK)
        return io.BufferedReader(self.path.open("rb", buffering=0), BLOCK)

    def text(self, limit: int = 64 << 20) -> str:
        """The whole file as text, at most `limit` bytes of it."""
        with self.open() as stream:
            return decode(stream.read(limit), self.encoding)

    def blocks(self) -> Iterator[bytes]:
        """The unpacked bytes in blocks that end at a line's end. A damaged packed file gives all it can.

        Raises `Cut` after the last readable block when packed data ends early.
        """
        rest = b""
        with self.open() as stream:
            while True:
                try:
                    block = stream.read1(BLOCK)  # read() would lose what a damaged packed file gave before its error
                except (EOFError, OSError, ValueError) as error:
                    if rest:
                        yield rest
                    raise Cut(str(error)) from None
                if not block:
                    break
                block = rest + block
                end = block.rfind(b"\n") + 1
                if not end and len(block) < LINE:
                    rest = block
                    continue
                end = end or len(block)
                yield block[:end]
                rest = block[end:]
        if rest:
            yield rest


class Unpacking(io.RawIOBase):
    """A stream that is unpacked while it is read; whatever is wrong with it is an OSError, as for any other file."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what comes next; gives how many bytes. Raises OSError."""
        try:
            data = self.inner.read(min(len(buffer), 65_536))
        except MemoryError:
            raise
        except Exception as error:  # zlib.error, ZstdError: neither is an OSError
            raise OSError(f"packed data are damaged: {error}") from None
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the inner stream, too."""
        self.inner.close()
        super().close()


class _Gzip(io.RawIOBase):
    """A gzip file that gives everything before a cut or damage, then raises OSError saying what was found.

    The standard library's reader raises at once and loses what it had unpacked in the same call.
    """

    def __init__(self, path: Path) -> None:
        self._stream = path.open("rb")
        self._unpack = zlib.decompressobj(wbits=31)
        self._ready = b""
        self._begun = False

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._stream.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            packed = self._unpack.unconsumed_tail or self._stream.read(STEP)
            if self._unpack.eof:  # another member may follow, as after `cat a.gz b.gz`, or zeros as padding
                packed = (self._unpack.unused_data + packed).lstrip(b"\0")
                if not packed:
                    return 0
                self._unpack, self._begun = zlib.decompressobj(wbits=31), False
            if not packed:
                if self._begun:
                    raise OSError("packed data end early")
                return 0
            self._begun = True
            try:
                self._ready = self._unpack.decompress(packed, BLOCK)
            except zlib.error as error:
                raise OSError(f"packed data are damaged: {error}") from None
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size


class Cut(ValueError):
    """Packed data ended early; everything before was delivered."""


def describe(path: Path, relative: str) -> Source:
    """Look at a file: size, time, packing, encoding and first bytes. Raises OSError."""
    stat = path.stat()
    with path.open("rb") as stream:
        magic = stream.read(4)
    packed = "gzip" if magic.startswith(_GZIP) else "zstd" if magic == _ZSTD else ""
    source = Source(path, relative, stat.st_size, stat.st_mtime, packed=packed)
    try:
        with source.open() as stream:
            while len(source.head) < HEAD and (part := stream.read1(HEAD - len(source.head))):
                source.head += part
    except (EOFError, OSError, ValueError):
        if not packed:
            raise
    source.encoding = encoding_of(source.head)
    return source


def encoding_of(head: bytes) -> str:
    """The encoding of a text by its first bytes: a byte-order mark, valid UTF-8, zero bytes, or a legacy page."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if head.startswith(mark):
            return name
    if b"\0" in head[:2000]:
        even, odd = head[0:2000:2].count(0), head[1:2000:2].count(0)
        if odd > 10 * max(even, 1) and odd > len(head[:2000]) // 4:
            return "utf-16-le"
        if even > 10 * max(odd, 1) and even > len(head[:2000]) // 4:
            return "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return _legacy(head)
    return "utf-8"


def _legacy(head: bytes) -> str:
    """GBK where most high bytes come in its pairs (logs of Chinese Windows consoles), else Latin-1."""
    try:
        text = codecs.getincrementaldecoder("gb18030")().decode(head)
    except UnicodeDecodeError:
        return "latin-1"
    chinese = sum("\u4e00" <= c <= "\u9fff" for c in text)
    high = sum(c > "\x7f" for c in text)
    # A single accented letter before a space or letter also makes a valid pair: a page of Chinese has more of them.
    return "gb18030" if chinese > 3 and chinese * 3 >= high * 2 else "latin-1"


def decode(data: bytes, encoding: str) -> str:
    """Bytes as text; what does not decode is replaced, never an error."""
    return data.decode(encoding, "replace")


def _zstd(path: Path) -> Any:
    try:
        import zstandard
    except ImportError:
        raise ImportError("zstd-packed files need the extra: pip install 'runvet[zstd]'") from None
    return zstandard.ZstdDecompressor().stream_reader(path.open("rb"), closefd=True)
