"""Opening files: packing, encodings, cuts."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runvet.source import Cut, describe, encoding_of


def whole(path: Path) -> bytes:
    return b"".join(describe(path, path.name).blocks())


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4))
def test_packed_files_give_their_content(tmp_path: Path, parts: list[bytes]) -> None:
    (tmp_path / "a.log.gz").write_bytes(b"".join(gzip.compress(p) for p in parts))
    (tmp_path / "a.log.zst").write_bytes(zstandard.compress(b"".join(parts)))
    assert whole(tmp_path / "a.log.gz") == b"".join(parts)
    assert whole(tmp_path / "a.log.zst") == b"".join(parts)


def test_a_cut_or_damaged_packed_file_gives_what_came_before(tmp_path: Path) -> None:
    text = "\n".join(f"step {s} loss {s * 0.37:.5f}" for s in range(20_000)).encode()
    packed = bytearray(gzip.compress(text))
    for name, content in (
        ("cut.gz", packed[: len(packed) // 2]),
        ("bad.gz", packed[:30_000] + b"\xff" * 200 + packed[30_200:]),
    ):
        (tmp_path / name).write_bytes(bytes(content))
        got, source = b"", describe(tmp_path / name, name)
        with pytest.raises(Cut, match="packed data"):  # noqa: PT012  (the blocks before the damage are wanted)
            for block in source.blocks():
                got += block
        assert len(got) > 50_000
        assert text.startswith(got[:50_000])


def test_blocks_end_at_line_ends(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"".join(b"%d\n" % n for n in range(500_000)))
    blocks = list(describe(tmp_path / "a.log", "a.log").blocks())
    assert len(blocks) > 1
    assert all(b.endswith(b"\n") for b in blocks)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "gb18030"])
def test_encodings_are_told_from_the_first_bytes(encoding: str) -> None:
    text = "轮次 3 训练损失: 0.1234 验证损失: 0.4567\n" * 40
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    head = mark + text.encode(encoding)
    assert text in head.decode(encoding_of(head))


def test_latin_and_bare_utf16() -> None:
    assert encoding_of("époque 3 perte 0.5 précision\n".encode("latin-1")) == "latin-1"
    assert encoding_of(("step 1 loss 0.5\n" * 20).encode("utf-16-le")) == "utf-16-le"


def test_names_without_the_packing(tmp_path: Path) -> None:
    (tmp_path / "metrics.CSV.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    source = describe(tmp_path / "metrics.CSV.gz", "x/metrics.CSV.gz")
    assert (source.name, source.suffix, source.packed, source.head) == ("metrics.CSV", ".csv", "gzip", b"a,b\n1,2\n")
