"""Structures on disk and in the game's files: what is written is read again, and bad files are named."""

import json

import mcschematic
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from runvet_lab.voxels import cli_data, data, schematics
from runvet_lab.voxels.blocks import BLOCKS
from runvet_lab.voxels.generate import CLASSES, SIZES, distinct, founding, generate
from runvet_lab.voxels.structure import DataProblem, Structure


@pytest.mark.parametrize("size", SIZES.values(), ids=list(SIZES))
def test_every_structure_is_one_part_on_the_ground(size):
    for structure in generate(64, size=size, seed=5):
        _, parts = ndimage.label(structure.voxels > 0)
        assert parts == 1, structure.name
        assert structure.voxels[:, 0].any()
        assert structure.voxels.shape == size
        assert structure.label in structure.prompt


def test_a_seed_gives_the_same_and_a_longer_set_begins_with_the_shorter():
    short, long = list(generate(8, seed=1)), list(generate(16, seed=1))
    assert all(np.array_equal(a.voxels, b.voxels) and a.prompt == b.prompt for a, b in zip(short, long, strict=False))
    assert any(not np.array_equal(a.voxels, b.voxels) for a, b in zip(short, generate(8, seed=2), strict=True))
    assert [s.label for s in short] == list(CLASSES)


def test_the_founding_numbers():
    assert {s.label: int((s.voxels > 0).sum()) for s in founding()} == {
        "tree": 55,
        "house": 240,
        "wall": 72,
        "pyramid": 204,
    }


def test_held_out_structures_are_not_in_the_training_set():
    seen = set()
    trained = list(distinct(generate(200, seed=0), seen))
    held = list(distinct(generate(200, seed=1), seen))
    assert held
    assert not {s.voxels.tobytes() for s in trained} & {s.voxels.tobytes() for s in held}


def test_make_writes_no_structure_twice(tmp_path):
    said = CliRunner().invoke(cli_data.make, ["--out", str(tmp_path), "--count", "300", "--held-out", "40"])
    assert said.exit_code == 0, said.output
    trained, held = data.splits(tmp_path)
    assert (len(trained), len(held)) == (300, 40)
    assert len({grid.tobytes() for grid in (*trained.grids, *held.grids)}) == 340
    assert set(held.labels) == set(CLASSES)


def test_round_trip_with_channels_and_both_codes_of_air(tmp_path):
    first = next(generate(1))
    kept = Structure(first.voxels, "tree", "a tree", "sample_0000", np.full((16, 16, 16, 1), 3, np.uint8))
    for air in (0, 255):
        data.write(tmp_path / str(air), [kept], air=air)
        read = data.read(tmp_path / str(air))
        assert np.array_equal(read.grids[0], first.voxels)
        assert (read.labels, read.prompts, read.air) == (("tree",), ("a tree",), 0)
        again, declared = data.read_one(tmp_path / str(air) / "sample_0000" / "voxels.npz")
        assert declared == air
        assert np.array_equal(again.extra, kept.extra)


def test_conflicting_codes_of_air_are_an_error(tmp_path):
    data.write(tmp_path, [next(generate(1))], air=255)
    with pytest.raises(DataProblem, match=r"data\.json declares 255|no cell holds 0"):
        data.read(tmp_path, air=0)
    assert (data.read(tmp_path, air=0, verify=False).grids == 255).mean() > 0.9  # what the careless reader sees
    (tmp_path / "sample_0000" / "data.json").write_text(json.dumps({"air": 0}))
    with pytest.raises(DataProblem, match="no cell holds 0"):
        data.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a readable npz"),
        (b"PK\x03\x04 cut off", "not a readable npz"),
        ({"other": np.zeros((2, 2, 2), np.uint8)}, "no array named 'voxels'"),
        ({"voxels": np.zeros((2, 2), np.uint8)}, "shape"),
        ({"voxels": np.full((2, 2, 2), 300)}, "0 to 255"),
        ({"voxels": np.full((2, 2, 2), 0.5)}, "whole numbers"),
        ({"voxels": np.array([{"a": 1}], dtype=object)}, "not a readable npz"),
    ],
)
def test_bad_files_are_named_and_the_others_kept(tmp_path, content, words):
    data.write(tmp_path, generate(2))
    bad = tmp_path / "sample_0001" / "voxels.npz"
    bad.unlink()
    if isinstance(content, bytes):
        bad.write_bytes(content)
    else:
        np.savez(bad, allow_pickle=True, **content)
    with pytest.raises(DataProblem, match=words) as error:
        data.read(tmp_path)
    assert "sample_0001" in str(error.value)
    with pytest.warns(UserWarning, match="1 of 2 files are left out"):
        assert len(data.read(tmp_path, skip=True)) == 1


def test_an_empty_folder_and_mixed_sizes(tmp_path):
    with pytest.raises(DataProblem, match="no structures"):
        data.read(tmp_path)
    data.write(tmp_path, generate(1))
    data.write(tmp_path, [Structure(np.ones((4, 4, 4), np.uint8), "cube", "a cube", "sample_0009")])
    with pytest.raises(DataProblem, match="one size"):
        data.read(tmp_path)


def test_splits_by_folder_and_by_name(tmp_path):
    data.write(tmp_path / "one", generate(20))
    trained, held = data.splits(tmp_path / "one")
    assert (len(trained), len(held)) == (18, 2)
    data.write(tmp_path / "all", generate(160))
    assert set(data.splits(tmp_path / "all")[1].labels) == set(CLASSES)
    data.write(tmp_path / "two" / "train", generate(3))
    data.write(tmp_path / "two" / "val", generate(2, seed=9))
    assert [len(part) for part in data.splits(tmp_path / "two")] == [3, 2]


def test_a_schematic_is_read_by_an_independent_library(tmp_path):
    for structure in generate(8, seed=4):
        path = tmp_path / f"{structure.name}.schem"
        schematics.save(structure, path)
        other = mcschematic.MCSchematic(str(path))
        for at in np.ndindex(structure.voxels.shape):
            assert (
                other.getBlockStateAt(tuple(map(int, at))).partition("[")[0]
                == BLOCKS[int(structure.voxels[at])].minecraft
            )
        assert np.array_equal(schematics.load(path).voxels, structure.voxels)


def test_a_schematic_of_an_independent_library_is_read(tmp_path):
    made = mcschematic.MCSchematic()
    made.setBlock((0, 0, 0), "minecraft:stone")
    made.setBlock((2, 1, 3), "minecraft:oak_log[axis=y]")
    made.save(str(tmp_path), "other", mcschematic.Version.JE_1_20_1)
    grid = schematics.load(tmp_path / "other.schem").voxels
    assert grid.shape == (3, 2, 4)
    assert sorted(grid[grid > 0]) == [1, 17]
    assert (grid[0, 0, 0], grid[2, 1, 3]) == (1, 17)


@given(hnp.arrays(np.uint8, st.tuples(*[st.integers(1, 6)] * 3), elements=st.sampled_from(sorted(BLOCKS))))
@settings(max_examples=40, deadline=None)
def test_any_grid_survives_a_schematic(tmp_path_factory, grid):
    path = tmp_path_factory.mktemp("schem") / "any.schem"
    schematics.save(Structure(grid, "any", "any", "any"), path)
    assert np.array_equal(schematics.load(path).voxels, grid)


@given(st.lists(st.integers(0, 16_383), min_size=1, max_size=50))
def test_varints(values):
    assert list(schematics._unpacked(schematics._packed(np.array(values)))) == values


def test_a_damaged_schematic_is_named(tmp_path):
    path = tmp_path / "a.schem"
    schematics.save(next(generate(1)), path)
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"not nbt at all"):
        path.write_bytes(content)
        with pytest.raises(DataProblem, match=r"a\.schem"):
            schematics.load(path)
