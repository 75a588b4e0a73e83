"""Connected parts against scipy, and what counts as a grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage, stats

from runvet.artifacts.components import parts, parts_of
from runvet.artifacts.grids import connectivity, grids_of
from runvet.artifacts.texture import entropy
from runvet.statistics.two_samples import mann_whitney


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=1, max_dims=4, max_side=7)))
def test_parts_are_those_of_scipy(mask: np.ndarray) -> None:
    labels, count = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())[1:]
    found = parts(mask)
    assert (found.count, found.largest, found.filled) == (count, sizes.max() if count else 0, mask.sum())


@pytest.mark.parametrize("density", [0.02, 0.2, 0.31, 0.5, 0.97])
def test_parts_of_large_grids(density: float) -> None:
    mask = np.random.default_rng(7).random((24, 64, 24)) < density
    labels, count = ndimage.label(mask)
    assert (parts(mask).count, parts(mask).largest) == (count, np.bincount(labels.ravel())[1:].max())


@given(st.lists(hnp.arrays(np.bool_, st.sampled_from([(3, 4, 5), (1, 7), (6,), (2, 1, 3, 4), (9, 1)])), max_size=8))
def test_many_masks_at_once_are_each_labelled_alone(masks: list[np.ndarray]) -> None:
    for mask, found in zip(masks, parts_of(masks), strict=True):
        labels, count = ndimage.label(mask)
        assert (found.count, found.filled) == (count, mask.sum())
        assert found.largest == (np.bincount(labels.ravel())[1:].max() if count else 0)


def test_batches_have_no_seams() -> None:
    masks = [np.random.default_rng(i).random((24, 40, 24)) < 0.3 for i in range(60)]
    assert parts_of(masks) == [parts(m) for m in masks]


def test_a_snake_is_one_part() -> None:
    mask = np.zeros((41, 41), np.bool_)
    mask[::2] = True
    mask[1::4, -1] = mask[3::4, 0] = True
    assert parts(mask).count == 1
    assert parts(mask).share == 1.0


def test_connectivity_counts_values_beside_the_background() -> None:
    grid = np.array([[[1, 0, 255, 2, 2]]])
    assert connectivity(grid).count == 2
    assert connectivity(grid, [0, 255]).share == pytest.approx(2 / 3)
    assert connectivity(np.zeros((3, 3, 3), int)).share == 0.0
    with pytest.raises(ValueError, match="whole numbers"):
        connectivity(np.array([0.5]))


@pytest.mark.parametrize(
    ("array", "shapes"),
    [
        (np.zeros((16, 16, 16), np.int16), [(16, 16, 16)]),
        (np.zeros((16, 16, 16, 2), np.uint8), [(16, 16, 16)]),
        (np.zeros((3, 16, 8, 16), np.uint8), [(16, 8, 16)] * 3),
        (np.zeros((8, 8, 8), np.float32), [(8, 8, 8)]),
        (np.full((8, 8, 8), 0.5), []),
        (np.zeros((64, 64, 3), np.uint8), []),
        (np.zeros(9, np.uint8), []),
        (np.array([np.nan]), []),
    ],
)
def test_what_is_a_grid(array: np.ndarray, shapes: list[tuple[int, ...]]) -> None:
    assert [g.shape for g in grids_of({"x": array})] == shapes


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6)))
def test_entropy_is_that_of_scipy(picture: np.ndarray) -> None:
    channels = (picture[:, :, :3].astype(int) // 16).reshape(-1, min(3, picture.shape[2]))
    counts = np.unique(channels, axis=0, return_counts=True)[1]
    assert entropy(picture[:, :, :3].astype(float)) == pytest.approx(stats.entropy(counts, base=2), abs=1e-9)


VALUES = st.lists(st.integers(-40, 40), min_size=1, max_size=12)


@given(VALUES, VALUES)
def test_mann_whitney_with_ties_is_the_normal_approximation(a: list[int], b: list[int]) -> None:
    mine = mann_whitney(a, b)
    if len(set(a + b)) == len(a + b):
        assert mine == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue, rel=1e-9)
    elif len(set(a + b)) > 1:
        n = len(a) + len(b)
        floor = 2 / float(np.exp(stats.binom.logpmf(len(a), n, 0.5) + n * np.log(2)))
        assert mine == pytest.approx(
            min(1.0, max(stats.mannwhitneyu(a, b, method="asymptotic").pvalue, floor)), rel=1e-6
        )
    else:
        assert mine == 1.0


def test_five_samples_below_four_of_the_data_are_a_finding() -> None:
    assert mann_whitney([9, 10, 31, 7, 15], [55, 240, 72, 204]) == pytest.approx(2 / 126)
    assert mann_whitney([], [1, 2]) == 1.0
