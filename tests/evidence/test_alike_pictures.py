"""Pictures that resemble each other: near copies across formats, and samples that collapsed with no data beside."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

import runvet
from runvet import examples_artifacts as made
from runvet.figures.thumbnails import png

Image = pytest.importorskip("PIL.Image", reason="the extra images brings Pillow")


def _log(folder: Path) -> None:
    rows = [{"step": s, "loss": 1 / (1 + s / 500)} for s in range(0, 6000, 50)]
    (folder / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))


def _put(path: Path, picture: made.Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        path.write_bytes(png(picture))
        return
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=93)
    path.write_bytes(stream.getvalue())


def _found(folder: Path) -> dict[str, str]:
    _log(folder)
    return {f.rule: f.severity for f in runvet.check(folder).findings}


def _smooth(seed: int) -> made.Picture:
    """A scene without noise, which JPEG keeps."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:48, 0:48]
    waves = sum(np.sin(x * rng.uniform(0.05, 0.4) + y * rng.uniform(0.05, 0.4) + rng.uniform(0, 6)) for _ in range(4))
    return np.asarray(np.clip(127 + 40 * np.stack([waves, waves * 0.8, waves * 0.6], -1), 0, 255), np.uint8)


@pytest.mark.parametrize(("first", "expected"), [(20, {"DATA104": "warning"}), (500, {})])
def test_held_out_pictures_saved_in_another_format(tmp_path: Path, first: int, expected: dict[str, str]) -> None:
    for i in range(30):
        _put(tmp_path / f"data/train/{i:03d}.png", _smooth(i))
    for i in range(10):
        _put(tmp_path / f"data/val/{i:03d}.jpg", _smooth(first + i))
    assert {k: v for k, v in _found(tmp_path).items() if k.startswith("DATA")} == expected


def _samples(folder: Path, step: int, pictures: list[made.Picture], suffix: str = ".png", name: str = "") -> None:
    for i, picture in enumerate(pictures):
        _put(folder / f"samples/step_{step:06d}/{name}{i:03d}{suffix}", picture)


def _near(seed: int, n: int, noise: int) -> list[made.Picture]:
    rng = np.random.default_rng(seed)
    one = _smooth(seed).astype(int)
    return [np.asarray(np.clip(one + rng.integers(-noise, noise + 1, one.shape), 0, 255), np.uint8) for _ in range(n)]


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_samples_that_collapsed_to_one(tmp_path: Path, suffix: str) -> None:
    _samples(tmp_path, 1000, [_smooth(i) for i in range(10)], suffix)
    _samples(tmp_path, 5000, _near(77, 10, 2), suffix)
    assert _found(tmp_path)["GEN105"] == "critical"


def test_nearly_equal_from_the_start_is_a_warning(tmp_path: Path) -> None:
    _samples(tmp_path, 5000, _near(77, 10, 1))
    assert _found(tmp_path)["GEN105"] == "warning"


@pytest.mark.parametrize("name", ["frame_", "view_"])
def test_frames_of_a_still_scene(tmp_path: Path, name: str) -> None:
    _samples(tmp_path, 5000, _near(77, 10, 1), name=name)
    assert "GEN105" not in _found(tmp_path)


def test_pictures_of_one_kind_that_differ_in_detail(tmp_path: Path) -> None:
    """Portraits in one pose: the same composition, each of its own."""
    y, x = np.mgrid[0:48, 0:48]
    base = 60 + 150 * np.exp(-((x - 24) ** 2 + (y - 25) ** 2) / 200)
    rng = np.random.default_rng(0)
    for step in (1000, 5000):
        faces = []
        for _ in range(10):
            blobs = sum(
                rng.normal(0, 15) * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 30) for a, b in rng.uniform(12, 36, (4, 2))
            )
            faces.append(np.asarray(np.clip(np.stack([base + blobs] * 3, -1), 0, 255), np.uint8))
        _samples(tmp_path, step, faces)
    assert "GEN105" not in _found(tmp_path)
