"""Metrics against scipy and against grids whose numbers one can count by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from runvet_lab.voxels import generate, metrics
from runvet_lab.voxels.blocks import rgb
from runvet_lab.voxels.data import DataSet, join
from runvet_lab.voxels.picture import sheet


def structures(count: int, seed: int = 0) -> DataSet:
    return join(list(generate.generate(count, (12, 12, 12), ("house", "pyramid", "cube"), seed)))


def test_connectedness_and_floating_as_scipy_and_by_hand() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        grid = (rng.random((6, 7, 8)) < 0.2).astype(np.uint8)
        made = metrics.shape(grid)
        parts, number = ndimage.label(grid)
        sizes = ndimage.sum_labels(grid, parts, range(1, number + 1))
        assert made.connected == pytest.approx(sizes.max() / grid.sum())
        floating = sum(size for k, size in enumerate(sizes, 1) if not (parts[:, 0, :] == k).any())
        assert made.floating == pytest.approx(floating / grid.sum())
    grid = np.zeros((5, 5, 5), np.uint8)
    grid[0, :3, 0] = 1  # a column on the ground
    grid[1, 3, 0] = 1  # touches it by an edge only
    made = metrics.shape(grid)
    assert (made.solids, made.connected, made.connected26, made.floating) == (4, 0.75, 1.0, 0.25)
    assert metrics.shape(np.zeros((3, 3, 3), np.uint8)) == metrics.Shape(0, 0.0, 0.0, 0.0)


def test_data_against_themselves_are_perfect_and_known() -> None:
    train, held = structures(240), structures(60, seed=5)
    reference = metrics.Reference(train, held)
    whole, *classes = metrics.measure(train.grids, train.labels, reference)
    assert [c.label for c in classes] == ["cube", "house", "pyramid"]
    assert whole.ratio == pytest.approx(1)
    assert whole.connected == 1
    assert whole.floating == 0
    assert whole.novelty == 0
    assert whole.adherence > 0.95
    assert whole.distance < 1e-9
    assert metrics.score((whole, *classes)) > 0.95


def test_faults_move_the_number_that_is_theirs() -> None:
    train = structures(240)
    reference = metrics.Reference(train, structures(60, seed=5))
    grids, labels = train.grids[:48], train.labels[:48]

    def of(changed: np.ndarray, asked: tuple[str, ...] = labels) -> metrics.Quality:
        return metrics.measure(changed, asked, reference)[0]

    strange = np.where(grids > 0, np.uint8(255), grids)
    assert (of(strange).foreign, of(strange).saturated) == (1.0, 1.0)
    rng = np.random.default_rng(0)
    dust = np.where(rng.random(grids.shape) < 0.5, grids, 0).astype(np.uint8)
    assert of(dust).ratio == pytest.approx(0.5, abs=0.1)
    assert of(dust).connected < 0.9
    assert of(np.zeros_like(grids)).empty == 1.0
    assert of(np.repeat(grids[:1], 48, axis=0)).unique == pytest.approx(1 / 48)
    shuffled = tuple(labels[(i + 1) % len(labels)] for i in range(len(labels)))  # classes come in turn
    assert of(grids, shuffled).adherence < 0.1 < of(grids).adherence
    table = metrics.table(metrics.measure(dust, labels, reference))
    assert "pyramid" in table
    assert len(table.splitlines()) == 5


def test_nearest_counts_the_cells_that_differ() -> None:
    among = np.zeros((3, 2, 2, 2), np.uint8)
    among[1], among[2] = 1, 2
    grid = np.ones((1, 2, 2, 2), np.uint8)
    grid[0, 0, 0, 0] = 2
    rows, cells = metrics.nearest(grid, among)
    assert (rows.tolist(), cells.tolist()) == ([1], [1])


def test_a_picture_shows_the_colours_of_the_blocks(tmp_path: Path) -> None:
    grid = np.zeros((1, 4, 4, 4), np.uint8)
    grid[0, 1, 0, 1] = 24
    sheet(tmp_path / "rows.png", [("sandstone", grid), ("nothing", np.zeros_like(grid))])
    pixels = np.asarray(Image.open(tmp_path / "rows.png").convert("RGB")).reshape(-1, 3)
    assert tuple(rgb(24)) in set(map(tuple, pixels.tolist()))
