"""Measures against plain implementations, codes, cuts, and the walk."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from runvet_lab.worlds import adventure, data, measures, obey
from runvet_lab.worlds.models.codes import FSQ, perplexity
from runvet_lab.worlds.models.dynamics import draw_masks

LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=40)


def plain_nmi(a, b):
    n = len(a)

    def h(values):
        return -sum(values.count(v) / n * math.log(values.count(v) / n) for v in set(values))

    both = list(zip(a, b, strict=True))
    mean = (h(a) + h(b)) / 2
    return (h(a) + h(b) - h(both)) / mean if mean else 0.0


def plain_ari(a, b):
    """By counting pairs one by one."""
    pairs = list(combinations(range(len(a)), 2))
    same_a = {p for p in pairs if a[p[0]] == a[p[1]]}
    same_b = {p for p in pairs if b[p[0]] == b[p[1]]}
    chance = len(same_a) * len(same_b) / len(pairs)
    most = (len(same_a) + len(same_b)) / 2
    return (len(same_a & same_b) - chance) / (most - chance) if most != chance else 0.0


@settings(max_examples=60, deadline=None)
@given(LABELS)
def test_agreement_is_that_of_plain_counting(pairs):
    a, b = [p[0] for p in pairs], [p[1] for p in pairs]
    assert measures.nmi(np.array(a), np.array(b)) == pytest.approx(plain_nmi(a, b), abs=1e-9)
    assert measures.ari(np.array(a), np.array(b)) == pytest.approx(plain_ari(a, b), abs=1e-9)


def test_agreement_at_its_ends():
    a = np.array([0, 0, 1, 1, 2, 2])
    assert measures.nmi(a, (a + 1) % 3) == pytest.approx(1)
    assert measures.nmi(a, np.zeros(6, int)) == 0
    visible = np.array([1, 1, 1, 1, 0, 0], bool)
    assert measures.visible_ceiling(a, np.ones(6, bool)) == pytest.approx(1)
    assert measures.visible_ceiling(a, visible) < 1


def test_psnr_of_a_known_error():
    assert measures.psnr(np.full((2, 3), 0.6), np.full((2, 3), 0.5)) == pytest.approx(20)


def test_keys_find_their_codes_whatever_these_are_called():
    rng = np.random.default_rng(0)
    actions = rng.integers(0, 5, 500)
    codes = np.array([3, 0, 6, 1, 5])[actions]
    codes[:30] = rng.integers(0, 7, 30)
    assert measures.codes_of(codes, actions, np.ones(500, bool), 5) == [3, 0, 6, 1, 5]


@given(st.lists(st.integers(2, 8), min_size=1, max_size=4))
@settings(max_examples=20, deadline=None)
def test_codes_come_back_as_their_own_values(levels):
    fsq = FSQ(levels)
    codes = torch.arange(fsq.size)
    values = fsq.values(codes)
    assert values.min() == -1
    assert values.max() == 1
    again = fsq(torch.atanh(values.clamp(-0.999, 0.999)))[1]
    assert (again == codes).float().mean() > 0.99
    assert perplexity(codes, fsq.size) == pytest.approx(fsq.size, rel=1e-4)


def test_most_moves_of_the_walk_are_visible():
    walk = adventure.walk(1500, 3)
    moves = walk.actions > 0
    assert walk.visible[moves].mean() > 0.8
    changed = (walk.frames[1:] != walk.frames[:-1]).any((1, 2, 3))
    assert changed[walk.visible[:-1]].all()


def test_no_window_runs_over_a_cut(tmp_path):
    walk = adventure.walk(1500, 1)
    data.write(tmp_path / "a_frames.h5", walk)
    video = data.read(tmp_path / "a_frames.h5")
    rows = data.windows(video, 4, (0, 1500))
    assert len(rows)
    assert (walk.rooms[rows[:, None] + np.arange(4)] == walk.rooms[rows][:, None]).all()
    assert len(data.windows(video, 4, (0, 1500), across_cuts=True)) == 1497
    train, held_out = data.split(video)
    assert held_out[0] - train[1] == data.GAP


def test_masks_hide_something_everywhere_and_never_the_first_frame():
    torch.manual_seed(0)
    masked = draw_masks(200, 3, 16)
    assert masked.flatten(1).any(1).all()
    assert not masked[:, 0].any()
    clean = ~masked[:, :2].flatten(1).any(1)
    assert 0.65 < clean.float().mean() < 0.85
    whole = masked[clean, 2].all(-1).float().mean()
    assert 0.5 < whole < 0.85, "the case of play, a wholly hidden last frame, is what is trained on most"


def test_true_frames_obey_by_the_measure_of_play():
    walk = adventure.walk(600, 5)
    game = adventure.Adventure(5)
    moves = [
        (obey.judged(walk.frames[i + 1], walk.hero[i].astype(float), int(a)), obey.judged(walk.frames[i], walk.hero[i].astype(float), int(a)))
        for i, a in enumerate(walk.actions[:-1])
        if a and obey.free(game, int(walk.rooms[i]), walk.hero[i], int(a))
    ]  # fmt: skip
    assert len(moves) > 300
    assert {m[0] for m in moves} == {"obeyed"}
    assert {m[1] for m in moves} == {"stood"}, "a picture in which nothing happened does not obey"
    empty = np.zeros((64, 64, 3), np.uint8)
    assert obey.judged(empty, np.array([20.0, 20.0]), 1) == "lost"
