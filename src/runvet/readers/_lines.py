"""Text files as blocks of UTF-8 lines: any encoding, NUL bytes, cut-off packing, one block in memory at a time."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from runvet.sink import Sink
from runvet.source import BLOCK, LINE, Cut, Source

_BOM = codecs.BOM_UTF8


def head_text(source: Source, limit: int = 65_536) -> str:
    """The first bytes of a file as text, without a byte-order mark and without NULs; the last line may be cut."""
    text = source.head[:limit].decode(source.encoding, "replace").lstrip("\ufeff").replace("\0", "")
    return text if "\n" in text else text.replace("\r", "\n")


def head_lines(source: Source, limit: int = 65_536) -> list[str]:
    """The complete lines of `head_text` (all of them where the head is the whole file)."""
    lines = head_text(source, limit).splitlines()
    whole = not source.packed and len(source.head) <= limit and source.size <= len(source.head)
    return lines if whole or len(lines) < 2 else lines[:-1]


def utf8_blocks(source: Source, sink: Sink) -> Iterator[bytes]:
    """Blocks of whole lines in UTF-8; only the last one may lack its newline. Damage becomes a problem, not an error."""
    only_cr = b"\r" in source.head and b"\n" not in source.head
    first, offset = True, 0
    raw = source.blocks() if source.encoding in ("utf-8", "utf-8-sig", "latin-1") else _decoded(source)
    try:
        for block in raw:
            size = len(block)
            if first and block.startswith(_BOM):
                block = block[len(_BOM) :]
            first = False
            if b"\0" in block:
                sink.problem("NUL bytes stand in the text (a crash while the file was written); they are skipped",
                             offset=offset + block.index(b"\0"))  # fmt: skip
                block = block.replace(b"\0", b"")
            offset += size
            if source.encoding == "latin-1" and not block.isascii():
                block = block.decode("latin-1").encode()
            yield block.replace(b"\r", b"\n") if only_cr else block
    except Cut as cut:
        sink.problem(str(cut), offset=offset, remedy="copy the file again, or read the part that is there")


def _decoded(source: Source) -> Iterator[bytes]:
    """Blocks of a file whose newline is not one byte, or whose pages are not UTF-8."""
    decoder = codecs.getincrementaldecoder(source.encoding)("replace")
    rest = b""
    with source.open() as stream:
        while True:
            try:
                data = stream.read1(BLOCK)
            except (EOFError, OSError, ValueError) as error:
                if rest:
                    yield rest
                raise Cut(f"packed data end early: {error}") from None
            block = rest + decoder.decode(data, final=not data).lstrip("\ufeff").encode("utf-8", "replace")
            if not data:
                break
            end = block.rfind(b"\n") + 1
            if not end and len(block) >= LINE:
                end = len(block)
            if end:
                yield block[:end]
            rest = block[end:]
    if block:
        yield block
