"""Minecraft structures written by independent libraries, and files made to hurt a reader."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runvet import api
from runvet.artifacts import nbt
from runvet.artifacts.model import UnreadableError
from runvet.artifacts.structures import block, read_structure, varints

nbtlib = pytest.importorskip("nbtlib")
mcschematic = pytest.importorskip("mcschematic")


def sponge3(path: Path, cells: np.ndarray, names: list[str]) -> Path:
    """A version 3 file through nbtlib; cells are (y, z, x) of palette numbers below 128."""
    h, length, w = cells.shape
    blocks = {
        "Palette": nbtlib.Compound({n: nbtlib.Int(i) for i, n in enumerate(names)}),
        "Data": nbtlib.ByteArray(cells.reshape(-1).astype(np.int8)),
        "BlockEntities": nbtlib.List[nbtlib.Compound]([]),
    }
    inner = {"Version": nbtlib.Int(3), "DataVersion": nbtlib.Int(3700), "Height": nbtlib.Short(h),
             "Length": nbtlib.Short(length), "Width": nbtlib.Short(w), "Blocks": nbtlib.Compound(blocks)}  # fmt: skip
    nbtlib.File({"Schematic": nbtlib.Compound(inner)}, gzipped=True).save(path)
    return path


def test_version_2_as_mcschematic_writes_it(tmp_path: Path) -> None:
    made = mcschematic.MCSchematic()
    for y in range(3):
        made.setBlock((0, y, 0), "minecraft:oak_log[axis=y]")
    made.setBlock((2, 2, 1), "minecraft:oak_leaves")
    made.save(str(tmp_path), "tree", mcschematic.Version.JE_1_18_2)
    found = read_structure(tmp_path / "tree.schem")
    grid = found.arrays["voxels"]
    assert grid.shape == (3, 2, 3)
    assert (grid[:, 0, 0] == block("minecraft:oak_log")).all()
    assert grid[2, 1, 2] == block("oak_leaves")
    assert (grid != 0).sum() == 4
    assert found.plain["palette"][block("oak_log")] == "minecraft:oak_log"


def test_more_than_127_blocks_need_two_bytes(tmp_path: Path) -> None:
    made = mcschematic.MCSchematic()
    for x in range(200):
        made.setBlock((x, 0, 0), f"minecraft:block_{x}")
    made.save(str(tmp_path), "row", mcschematic.Version.JE_1_18_2)
    grid = read_structure(tmp_path / "row.schem").arrays["voxels"]
    assert grid[0, 0].tolist() == [block(f"block_{x}") for x in range(200)]


def test_version_3(tmp_path: Path) -> None:
    cells = np.random.default_rng(0).integers(0, 3, (5, 4, 3))
    names = ["minecraft:air", "minecraft:stone", "minecraft:dirt"]
    grid = read_structure(sponge3(tmp_path / "a.schem", cells, names)).arrays["voxels"]
    assert np.array_equal(grid, np.array([block(n) for n in names])[cells])


def test_files_with_other_palettes_agree(tmp_path: Path) -> None:
    one = sponge3(tmp_path / "a.schem", np.ones((3, 3, 3)), ["minecraft:air", "minecraft:stone"])
    two = sponge3(tmp_path / "b.schem", np.zeros((3, 3, 3)), ["minecraft:stone", "minecraft:air"])
    assert np.array_equal(read_structure(one).arrays["voxels"], read_structure(two).arrays["voxels"])


def test_structure_block(tmp_path: Path) -> None:
    blocks = [{"pos": nbtlib.List[nbtlib.Int]([x, 1, 0]), "state": nbtlib.Int(x % 2)} for x in range(4)]
    root = {
        "DataVersion": nbtlib.Int(3700),
        "size": nbtlib.List[nbtlib.Int]([4, 2, 3]),
        "palette": nbtlib.List[nbtlib.Compound]([nbtlib.Compound({"Name": nbtlib.String(n)}) for n in ("minecraft:air", "minecraft:stone")]),
        "blocks": nbtlib.List[nbtlib.Compound]([nbtlib.Compound(b) for b in blocks]),
        "entities": nbtlib.List[nbtlib.Compound]([]),
    }  # fmt: skip
    nbtlib.File(root, gzipped=True).save(tmp_path / "s.nbt")
    grid = read_structure(tmp_path / "s.nbt").arrays["voxels"]
    assert grid.shape == (2, 3, 4)
    assert grid[1, 0].tolist() == [0, block("stone"), 0, block("stone")]
    assert (grid != 0).sum() == 2


def test_mcedit(tmp_path: Path) -> None:
    cells = np.arange(24, dtype=np.int8)
    root = {"Materials": nbtlib.String("Alpha"), "Height": nbtlib.Short(2), "Length": nbtlib.Short(3), "Width": nbtlib.Short(4),
            "Blocks": nbtlib.ByteArray(cells), "Data": nbtlib.ByteArray(cells * 0)}  # fmt: skip
    nbtlib.File(root, gzipped=True, root_name="Schematic").save(tmp_path / "s.schematic")
    assert np.array_equal(read_structure(tmp_path / "s.schematic").arrays["voxels"].ravel(), cells)


def names(tag: int, name: bytes = b"a") -> bytes:
    return bytes([tag]) + struct.pack(">H", len(name)) + name


BOMBS = {
    "gzip bomb": (gzip.compress(bytes(130 << 20), 1), "unpacked"),
    "two thousand million items of no size": (names(10) + names(9) + b"\0" + struct.pack(">i", 2**31 - 1) + b"\0", "holds no structure"),
    "two thousand million numbers": (names(10) + names(11) + struct.pack(">i", 2**31 - 1) + b"\0" * 64, "cut off"),
    "lists in lists": (names(10) + names(9) + (b"\x09" + struct.pack(">i", 1)) * 5000, "nested"),
    "compounds in compounds": (names(10) * 5000, "nested"),
    "an unknown tag": (names(10) + names(77), "type 77"),
    "nothing": (b"", "cut off"),
    "text": (b"hello", "no compound"),
    "negative length": (names(10) + names(7) + struct.pack(">i", -5) + b"\0", "holds no structure"),
    "absurd size": (names(10) + b"".join(names(2, k) + struct.pack(">h", -1) for k in (b"Height", b"Length", b"Width"))
                    + names(10, b"Palette") + b"\0" + names(7, b"BlockData") + struct.pack(">i", 0) + b"\0", "not read"),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_a_named_problem(tmp_path: Path, bomb: str) -> None:
    (tmp_path / "a.schem").write_bytes(BOMBS[bomb][0])
    with pytest.raises(UnreadableError, match=BOMBS[bomb][1]):
        read_structure(tmp_path / "a.schem")


def test_a_file_that_was_cut_off_says_so(tmp_path: Path) -> None:
    whole = sponge3(tmp_path / "a.schem", np.random.default_rng(0).integers(0, 2, (16, 16, 16)), ["minecraft:air", "minecraft:stone"]).read_bytes()  # fmt: skip
    for end in (len(whole) // 3, len(whole) - 9):
        (tmp_path / "b.schem").write_bytes(whole[:end])
        with pytest.raises(UnreadableError, match="cut off"):
            read_structure(tmp_path / "b.schem")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_tree_or_a_problem(data: bytes) -> None:
    try:
        assert isinstance(nbt.parse(b"\x0a\0\0" + data), dict)
    except UnreadableError as error:
        assert str(error)


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=40))
def test_varints(numbers: list[int]) -> None:
    packed = bytearray()
    for n in numbers:
        while n > 127:
            packed.append(n & 127 | 128)
            n >>= 7
        packed.append(n)
    assert varints(np.frombuffer(bytes(packed), np.uint8)).tolist() == numbers


def test_samples_of_another_block_are_named(tmp_path: Path) -> None:
    for folder, many, leaf in (("data", 24, "minecraft:oak_leaves"), ("samples/step_900", 6, "minecraft:tnt")):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(many):
            cells = np.zeros((9, 9, 9), np.int64)
            cells[: 3 + i % 4, 4, 4] = 1
            cells[3 + i % 4 : 6 + i % 3, 2 + i % 3 : 6, 2:7] = 2
            sponge3(tmp_path / folder / f"tree_{i}.schem", cells, ["minecraft:air", "minecraft:oak_log", leaf])
    found = {f.rule: f for f in api.check(tmp_path).findings}
    assert "minecraft:tnt" in found["GEN103"].message
    assert not [f for f in found.values() if f.severity == "critical"]
