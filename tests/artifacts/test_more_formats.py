"""HDF5, Parquet, WAV, texts and stacks of pictures, written by the usual libraries; and what is damaged or too large."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runvet import api  # fmt: skip
from runvet import examples_artifacts as made
from runvet.artifacts import columns_files, texts
from runvet.artifacts.api import profile
from runvet.artifacts.columns_files import read_hdf5, read_parquet
from runvet.artifacts.grids import grids_of
from runvet.artifacts.model import UnreadableError
from runvet.artifacts.pictures import pictures_of
from runvet.artifacts.sounds import read_wav
from runvet.artifacts.texts import read_text, repetition, split, texts_of

h5py = pytest.importorskip("h5py")
pyarrow = pytest.importorskip("pyarrow")


def test_hdf5_datasets_of_all_groups(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["train/frames"] = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)
        file["labels"] = [1, 2]
        file["names"] = ["a", "b"]
        file["elsewhere"] = h5py.ExternalLink("/etc/passwd", "/x")
        file["again"] = h5py.SoftLink("/labels")
    found = read_hdf5(tmp_path / "a.h5")
    assert sorted(found.arrays) == ["labels", "train/frames"]
    assert columns_files.peek_hdf5(tmp_path / "a.h5")["train/frames"] == ((2, 8, 8, 3), np.uint8)


def test_a_large_data_set_is_read_in_even_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns_files, "LIMIT", 40_000)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=np.arange(100_000, dtype=np.float64), chunks=(500,), compression="gzip")
    found = read_hdf5(tmp_path / "a.h5")
    x = found.arrays["x"]
    assert x.nbytes <= 40_000
    assert (x[0], x[-1]) == (0, 99_999)
    assert "rows read" in found.problems[0]
    assert np.array_equal(x, read_hdf5(tmp_path / "a.h5").arrays["x"])


def test_video_frames_are_pictures(tmp_path: Path) -> None:
    frames = np.stack([made.scene(i) for i in range(12)])
    with h5py.File(tmp_path / "clips.h5", "w") as file:
        file["frames"] = frames
    found = profile(tmp_path / "clips.h5")
    assert (found.kind, len(found.items)) == ("pictures", 12)
    np.savez(tmp_path / "clips.npz", frames=frames)
    assert profile(tmp_path / "clips.npz").items[3].digest == found.items[3].digest


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n" + b"\0" * 200, b"no such thing"])
def test_damaged_hdf5_and_parquet_are_named_problems(tmp_path: Path, content: bytes) -> None:
    for name, read in (("a.h5", read_hdf5), ("a.parquet", read_parquet)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableError, match="no readable"):
            read(tmp_path / name)


def test_parquet_columns(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = {"x": [1.0, None, 3.0], "y": [1, 2, 3], "text": ["a", "b", "c"], "point": [[1.0, 2.0]] * 3, "ragged": [[1], [], [2, 3]]}  # fmt: skip
    pq.write_table(pa.table(rows), tmp_path / "a.parquet", row_group_size=2)
    found = read_parquet(tmp_path / "a.parquet")
    assert np.isnan(found.arrays["x"][1])
    assert found.arrays["point"].shape == (3, 2)
    assert set(found.arrays) == {"x", "y", "point"}
    assert texts_of(found) == ["a", "b", "c"]


def test_parquet_is_read_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setattr(columns_files, "ROWS", 100)
    pq.write_table(pa.table({"x": np.arange(1000.0)}), tmp_path / "a.parquet", row_group_size=60)
    found = read_parquet(tmp_path / "a.parquet")
    assert len(found.arrays["x"]) == 60
    assert "60 of 1,000 rows read" in found.problems


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_wav_of_every_width(tmp_path: Path, width: int) -> None:
    tone = 0.5 * np.sin(np.linspace(0, 60, 4000))
    if width == 1:
        raw = (tone * 127 + 128).astype(np.uint8).tobytes()
    else:
        whole = (tone * (2 ** (8 * width - 1) - 1)).astype("<i4")
        raw = whole.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, width, 8000, 0, "NONE", ""))
        file.writeframes(raw)
    found = read_wav(tmp_path / "a.wav")
    assert found.plain == {"rate": 8000}
    assert np.abs(found.arrays["sound"][:, 0] - tone).max() < (0.02 if width == 1 else 1e-3)
    data = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "b.wav").write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableError, match="cut off"):
        read_wav(tmp_path / "b.wav")


def test_texts_of_lines_rulers_and_records(tmp_path: Path) -> None:
    long = [f"sample number {i} with some words in it" for i in range(5)]
    assert split("\n".join([*long, ""])) == long
    assert split("first\nsample\n-----\nsecond\n") == ["first\nsample", "second"]
    assert split("To be,\nor not\nto be") == ["To be,\nor not\nto be"]
    wide = [f"{line}, and enough of them that nobody takes it for a line of verse" for line in long]
    (tmp_path / "a.txt").write_text("\n".join([wide[0], "", wide[1], wide[2]]))
    assert texts_of(read_text(tmp_path / "a.txt"))[1] == ""
    (tmp_path / "b.txt").write_bytes(b"\0\1\2")
    with pytest.raises(UnreadableError, match="no text"):
        read_text(tmp_path / "b.txt")


def test_repetition_of_prose_and_loops() -> None:
    assert repetition("again and " * 60) > 0.9
    assert repetition(" ".join(f"w{i}" for i in range(99))) == 0
    assert np.isnan(repetition("too short"))
    known = texts.sequences([" ".join(f"w{i}" for i in range(200))])
    assert texts.copied(" ".join(f"W{i}" for i in range(50, 100)), known) == 1
    assert texts.copied(" ".join(f"v{i}" for i in range(50, 100)), known) == 0


@pytest.mark.parametrize(
    ("name", "array", "count", "shape"),
    [
        ("arr_0", np.zeros((5, 16, 16, 3), np.uint8), 5, (16, 16, 3)),
        ("samples", np.zeros((5, 3, 16, 16), np.float32), 5, (16, 16, 3)),
        ("images", np.zeros((5, 28, 28), np.uint8), 5, (28, 28, 1)),
        ("x", np.zeros((16, 16, 3), np.uint8), 1, (16, 16, 3)),
        ("x", np.zeros((28, 28, 28), np.uint8), 0, ()),
        ("voxels", np.zeros((16, 16, 16, 3), np.uint8), 0, ()),
    ],
)
def test_what_is_a_stack_of_pictures(name: str, array: np.ndarray, count: int, shape: tuple[int, ...]) -> None:
    found = pictures_of({name: array})
    assert [p.shape for p in found] == [shape] * count


def test_tokens_are_grids_without_a_background() -> None:
    assert [g.shape for g in grids_of({"tokens": np.zeros((4, 8, 8), np.int32)})] == [(8, 8)] * 4
    assert [g.shape for g in grids_of({"codes": np.zeros((8, 8), np.int64)})] == [(8, 8)]
    assert grids_of({"x": np.zeros((8, 8), np.int64)}) == []


def test_samples_without_any_log_are_judged(tmp_path: Path) -> None:
    for folder, many in (("data", [made.tree(i) for i in range(30)]), ("samples/step_100", [made.scattered(i, 60) for i in range(6)])):  # fmt: skip
        (tmp_path / folder).mkdir(parents=True)
        for i, grid in enumerate(many):
            np.savez(tmp_path / folder / f"{i}.npz", voxels=grid)
    report = api.check(tmp_path)
    assert report.verdict == "critical"
    assert "GEN102" in {f.rule for f in report.findings}
    for grid in (tmp_path / "samples/step_100").iterdir():
        np.savez(grid, voxels=made.tree(500 + int(grid.stem)))
    assert api.check(tmp_path).verdict == "sound"


def test_pictures_of_every_suffix_without_a_log(tmp_path: Path) -> None:
    (tmp_path / "generated").mkdir()
    for i in range(5):
        Image.fromarray(made.scene(7)).save(tmp_path / "generated" / f"{i}.png")
    assert [f.rule for f in api.check(tmp_path).findings] == ["GEN105"]
