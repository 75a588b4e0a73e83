"""Items measured together have the numbers that numpy and scipy give each of them alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from runvet.artifacts.measuring import Measurer, Waiting

KINDS = st.sampled_from([np.uint8, np.int16, np.int64, np.bool_])


def one_by_one(arrays: list[np.ndarray], kind: str) -> list:
    measurer = Measurer()
    for i, array in enumerate(arrays):
        measurer.add(Waiting(str(i), "", "", array, kind))  # type: ignore[arg-type]
    return measurer.items()


@settings(deadline=None, max_examples=60)
@given(st.lists(KINDS.flatmap(lambda k: hnp.arrays(k, st.sampled_from([(3, 4, 5), (2, 2, 7)]), elements=st.integers(0, 1) if k is np.bool_ else st.integers(0, 5))), min_size=1, max_size=6))  # fmt: skip
def test_grids(arrays: list[np.ndarray]) -> None:
    for number, (array, found) in enumerate(zip(arrays, one_by_one(arrays, "grids"), strict=True)):
        assert found.name == str(number)
        assert (found.low, found.high) == (array.min(), array.max())
        assert (found.mean, found.sd) == pytest.approx((array.mean(), array.std()), abs=1e-9)
        counts = np.unique(array, return_counts=True)[1]
        assert found.filled == pytest.approx(1 - counts.max() / array.size)
        if found.whole == found.whole and list(counts).count(counts.max()) == 1:
            values = np.unique(array)
            labels, count = ndimage.label(array != values[counts.argmax()])
            assert found.whole == pytest.approx(np.bincount(labels.ravel())[1:].max() / (labels > 0).sum())
            assert count


@settings(deadline=None, max_examples=60)
@given(st.lists(hnp.arrays(np.uint8, st.sampled_from([(8, 9, 3), (8, 8, 1)])), min_size=1, max_size=6))
def test_pictures(arrays: list[np.ndarray]) -> None:
    for array, found in zip(arrays, one_by_one(arrays, "pictures"), strict=True):
        assert (found.low, found.high) == (array.min(), array.max())
        assert found.mean == pytest.approx(array.mean(), abs=1e-3)
        assert found.sd == pytest.approx(array.std(), abs=0.05)
        assert (found.sd == 0) == (array.min() == array.max())


@settings(deadline=None, max_examples=60)
@given(hnp.arrays(np.float32, (12,), elements=st.floats(-1e6, 1e6, width=32) | st.sampled_from([np.nan, np.inf])))
def test_floats(array: np.ndarray) -> None:
    (found,) = one_by_one([array], "arrays")
    finite = array[np.isfinite(array)].astype(np.float64)
    assert found.non_finite == 12 - len(finite)
    if len(finite):
        assert (found.mean, found.sd) == pytest.approx((finite.mean(), finite.std()), rel=1e-6, abs=1e-6)


def test_the_digest_does_not_depend_on_how_numbers_are_stored() -> None:
    grid = np.random.default_rng(0).integers(0, 4, (6, 6, 6))
    found = one_by_one([grid.astype(k) for k in (np.uint8, np.int16, np.int64)], "grids")
    assert len({f.digest for f in found}) == 1
    assert one_by_one([np.where(grid == 3, 5, grid)], "grids")[0].digest != found[0].digest
