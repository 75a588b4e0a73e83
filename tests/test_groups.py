"""The permutation form of Kruskal and Wallis beside scipy's approximation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from runvet import engine
from runvet import examples_artifacts as made
from runvet.rules.gen import prompt_ignored
from runvet.statistics.groups import groups_p


@pytest.mark.parametrize("apart", [0.0, 0.4, 0.8])
def test_p_is_that_of_scipy_where_groups_are_large(apart: float) -> None:
    rng = np.random.default_rng(3)
    groups = [rng.normal(apart * k, 1, 40) for k in range(3)]
    names = [str(k) for k in range(3) for _ in range(40)]
    expected = stats.kruskal(*groups).pvalue
    assert groups_p(np.concatenate(groups), names) == pytest.approx(max(expected, 1 / 5001), abs=0.02)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=30), st.integers(1, 4))
def test_p_is_a_probability_and_blind_to_monotone_changes(values: list[int], kinds: int) -> None:
    names = [str(i % kinds) for i in range(len(values))]
    p = groups_p(values, names)
    assert 0 < p <= 1
    assert groups_p([v**3 + 2 * v for v in values], names) == p
    if kinds == 1 or len(set(values)) == 1:
        assert p == 1.0


def test_equal_groups_are_told_apart_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    names = [str(i % 4) for i in range(24)]
    p = [groups_p(rng.poisson(3, 24), names) for _ in range(200)]
    assert np.mean(np.array(p) < 0.05) < 0.1


def test_samples_whose_size_follows_the_prompt_have_heard_it() -> None:
    """Shapes of any class, cut off at a height that the prompt decides on: poor, and not deaf."""
    asked = [i % 4 for i in range(32)]
    shapes = [int(k) for k in np.random.default_rng(1).permutation(asked)]
    data = prompt_ignored._files("data", [i % 4 for i in range(60)], [i % 4 for i in range(60)], 0)
    rules = [rule for rule in engine.collect() if rule.code == "GEN121"]

    def states(cut: bool) -> set[str]:
        samples = prompt_ignored._files("samples/step_900", shapes, asked, 500)
        if cut:
            samples = {name: {"voxels": held["voxels"].copy()} for name, held in samples.items()}
            for kind, held in zip(asked, samples.values(), strict=True):
                held["voxels"][:, 1 + kind :] = 0
        return {outcome.state for outcome in engine.judge(made.with_files(data | samples), None, rules)}

    assert "critical" in states(cut=False)
    assert "critical" not in states(cut=True)
