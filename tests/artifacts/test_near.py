"""Near copies: what is found, what is not, and that it is the same as comparing every pair where that can be done."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runvet import examples_artifacts as made
from runvet.artifacts import near
from runvet.artifacts.api import profile
from runvet.artifacts.measuring import Kind, Waiting, measured


def sketches(arrays: list[np.ndarray], kind: Kind) -> near.Sketches:
    return np.stack([np.frombuffer(o.sketch, np.uint8) for a in arrays for o in measured([Waiting("", "", "", a, kind)], kind)])  # fmt: skip


def test_noise_brightness_and_size_leave_pictures_near() -> None:
    base = [made.scene(i) for i in range(60)]
    rng = np.random.default_rng(0)
    noisy = np.clip(base[3].astype(int) + rng.integers(-6, 7, base[3].shape), 0, 255).astype(np.uint8)
    bright = np.clip(base[9].astype(int) + 8, 0, 255).astype(np.uint8)
    double = np.repeat(np.repeat(base[20], 2, axis=0), 2, axis=1)
    found = near.pairs(sketches([*base, noisy, bright, double], "pictures"), pictures=True)
    assert found.tolist() == [[3, 60], [9, 61], [20, 62]]


def test_a_few_cells_leave_grids_near() -> None:
    base = [made.scattered(i, 200) for i in range(50)]
    changed = base[7].copy()
    changed[np.nonzero(changed)[0][0]] = 0
    close = base[5].copy()
    close[0, 0, 0] = 9
    other = np.where(base[6] == 1, 2, np.where(base[6] == 2, 1, 0)).astype(np.uint8)  # other materials, same cells
    found = near.pairs(sketches([*base, close, other], "grids"), pictures=False)
    assert found.tolist() == [[5, 50]]


def test_blank_pictures_and_empty_grids_are_near_nothing() -> None:
    assert not len(near.pairs(sketches([made.plain((9, 9, 9))] * 4, "pictures"), pictures=True))
    assert not len(near.pairs(sketches([np.zeros((6, 6, 6), np.uint8)] * 4, "grids"), pictures=False))


@settings(deadline=None)
@given(st.lists(st.integers(0, 12), min_size=2, max_size=30))
def test_equal_items_are_joined_in_one_group(seeds: list[int]) -> None:
    found = near.pairs(sketches([made.scattered(s, 90) for s in seeds], "grids"), pictures=False)
    groups = {frozenset(g) for g in near.groups(len(seeds), found)}
    wanted = {frozenset(i for i, s in enumerate(seeds) if s == one) for one in set(seeds)}
    assert groups == {g for g in wanted if len(g) > 1}


def test_few_pairs_are_compared_however_alike_the_items(monkeypatch: pytest.MonkeyPatch) -> None:
    many = np.tile(sketches([made.scene(1)], "pictures"), (3_000, 1))  # the worst case: every item is near every other
    compared = 0

    def count(a: near.Sketches, b: near.Sketches) -> np.ndarray:
        nonlocal compared
        compared += len(a)
        return np.ones(len(a), np.bool_)

    monkeypatch.setattr(near, "_near_pictures", count)
    found = near.pairs(many, pictures=True)
    assert compared <= 4 * near.NEXT * len(many)  # all pairs would be 4,498,500
    assert [len(g) for g in near.groups(len(many), found)] == [len(many)]


def test_texts_with_a_few_edits_are_near_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    words = [f"word{i}" for i in range(400)]
    texts = [" ".join(rng.choice(words, 60)) for _ in range(30)]
    edited = texts[4].replace(texts[4].split()[7], "another").upper()
    found = near.pairs(
        sketches([np.frombuffer(t.encode(), np.uint8) for t in [*texts, edited]], "texts"),
        pictures=False,
        shared=near.ALIKE,
    )
    assert found.tolist() == [[4, 30]]


def test_arrays_with_noise_are_near_and_shifted_ones_are_no_copies() -> None:
    rng = np.random.default_rng(0)
    paths = {f"train/path_{i}": np.cumsum(rng.normal(1, 1, 80)) for i in range(30)}
    noisy = paths["train/path_3"] + rng.normal(0, 0.01, 80)
    shifted = paths["train/path_5"] + 100.0
    found = profile(paths | {"val/path_a": noisy, "val/path_b": shifted})
    assert [{i.name for i in g} for g in found.near_copies] == [{"train/path_3.npy", "val/path_a.npy"}]
