"""Repairs of structures: what they promise holds for any grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from runvet_lab.voxels import post

GRIDS = hnp.arrays(np.uint8, st.tuples(*[st.integers(2, 7)] * 3), elements=st.sampled_from([0, 0, 0, 1, 5]))


@given(GRIDS)
@settings(deadline=None)
def test_connect_leaves_one_part_and_keeps_every_block(grid):
    made = post.connect(grid)
    assert ndimage.label(made > 0)[1] == (1 if grid.any() else 0)
    assert np.array_equal(made[grid > 0], grid[grid > 0])


@given(GRIDS)
@settings(deadline=None)
def test_largest_and_drop_floating_only_remove(grid):
    for made in (post.largest(grid), post.drop_floating(grid)):
        assert np.array_equal(made[made > 0], grid[made > 0])
    assert post.state(post.largest(grid)).parts == (1 if grid.any() else 0)
    assert post.state(post.drop_floating(grid)).floating == 0


@given(GRIDS)
@settings(deadline=None)
def test_state_agrees_with_a_plain_count(grid):
    marks, count = ndimage.label(grid > 0)
    found = post.state(grid)
    assert (found.solid, found.parts) == (int((grid > 0).sum()), count)
    if count:
        sizes = [int((marks == mark).sum()) for mark in range(1, count + 1)]
        floating = sum(size for mark, size in enumerate(sizes, 1) if not (marks[:, 0] == mark).any())
        assert found.largest == pytest.approx(max(sizes) / sum(sizes))
        assert found.floating == pytest.approx(floating / sum(sizes))


def test_fill_closes_single_holes_only():
    grid = np.ones((5, 5, 5), np.uint8)
    grid[2, 2, 2] = 0
    grid[2, 4, 2] = 0
    made = post.fill(grid)
    assert made[2, 2, 2] == 1
    assert made[2, 4, 2] == 0


def test_a_repair_tells_before_and_after():
    grid = np.zeros((6, 6, 6), np.uint8)
    grid[0, 0, :4] = 1
    grid[4, 4, 4] = 5
    made, before, after = post.repair(grid, ["drop-floating"])
    assert (before.solid, before.parts, round(before.floating, 9)) == (5, 2, 0.2)
    assert (after.solid, after.parts, after.floating) == (4, 1, 0.0)
    assert made.sum() == 4
    with pytest.raises(ValueError, match="known are"):
        post.repair(grid, ["polish"])
