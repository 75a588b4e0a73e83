"""The ridge probe: R² on held-out groups, against plain formulas, and how often chance passes its test."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from runvet.statistics.ridge import held_out_r2, probe


def groups(n: int, size: int = 1) -> np.ndarray:
    return np.arange(n, dtype=np.int64) // size


def test_a_linear_target_is_found_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6))
    y = x @ rng.normal(size=(6, 4))
    assert held_out_r2(x, y, groups(300)) > 0.999
    half = y + y.std() * rng.normal(size=y.shape)
    assert held_out_r2(x, half, groups(300)) == pytest.approx(0.5, abs=0.1)
    found = probe(x, rng.normal(size=(300, 4)), groups(300))
    assert found.r2 < 0.02
    assert (found.n, found.features) == (300, 6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-50, 50), st.floats(0.01, 100))
def test_units_and_offsets_change_nothing(seed: int, offset: float, scale: float) -> None:
    rng = np.random.default_rng(seed)
    x, noise = rng.normal(size=(120, 3)), rng.normal(size=(120, 2))
    y = x[:, :2] + noise
    own = held_out_r2(x, y, groups(120))
    assert held_out_r2(scale * x + offset, scale * y - offset, groups(120)) == pytest.approx(own, abs=1e-6)
    assert own <= 1


def test_the_fit_is_ridge_regression() -> None:
    from runvet.statistics.ridge import PENALTIES, _fit, _parts

    rng = np.random.default_rng(1)
    x = rng.normal(size=(100, 5))
    y = x @ rng.normal(size=(5, 2)) + rng.normal(size=(100, 2))
    for part in _parts(x, groups(100), 5):
        fitted, told = x[~part.held], y[~part.held]
        z, new = ((v - fitted.mean(axis=0)) / fitted.std(axis=0) for v in (fitted, x[part.held]))
        candidates = []
        for penalty in PENALTIES * len(z) / 100:
            w = linalg.solve(z.T @ z + penalty * np.eye(5), z.T @ (told - told.mean(axis=0)), assume_a="pos")
            candidates.append(new @ w + told.mean(axis=0))
        found = _fit(part, told)
        assert min(np.abs(found - c).max() for c in candidates) < 1e-9


def test_features_that_never_change_and_more_features_than_samples() -> None:
    rng = np.random.default_rng(2)
    x = np.hstack([np.full((90, 2), 7.0), rng.normal(size=(90, 120))])
    y = x[:, 2:3] * 3
    assert np.isfinite(held_out_r2(x, y, groups(90)))
    assert np.isnan(held_out_r2(x, np.ones((90, 1)), groups(90)))


def test_a_group_is_never_predicted_by_itself() -> None:
    """Features that only name the group are worth nothing when whole groups are held out."""
    rng = np.random.default_rng(3)
    of = groups(400, 20)
    x = np.eye(20)[of]
    y = rng.normal(size=(20, 2))[of]
    assert held_out_r2(x, y, of) < 0.05
    assert held_out_r2(x, y, groups(400)) > 0.99


def test_chance_passes_the_permutation_test_as_often_as_it_should() -> None:
    """Independent autocorrelated features and targets in blocks: p of 0.05 or less in about 5 % of the cases."""
    small = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        of = groups(120, 10)
        x, y = rng.normal(size=(12, 3))[of], rng.normal(size=(12, 2))[of]
        small += probe(x + 0.1 * rng.normal(size=x.shape), y, of, shuffles=19).p <= 0.05
    assert small <= 10
