"""Few samples must not be overclaimed: the tests are exact where they can be, and quiet on samples of the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from runvet import engine, examples
from runvet import examples_artifacts as made
from runvet.rules.gen.disconnected_samples import disconnected_samples

from runvet.rules.gen.density_unlike_data import density_unlike_data  # isort: skip
from runvet.rules.gen.empty_samples import empty_samples
from runvet.rules.gen.mix_unlike_data import mix_unlike_data
from runvet.statistics.permutation import permutation_p
from runvet.statistics.proportions import fisher_greater, share_bounds

COUNTS = st.tuples(st.integers(1, 12), st.integers(1, 30)).flatmap(
    lambda nm: st.tuples(st.integers(0, nm[0]), st.just(nm[0]), st.integers(0, nm[1]), st.just(nm[1]))
)


@settings(deadline=None)
@given(COUNTS)
def test_fisher_is_that_of_scipy(counts: tuple[int, int, int, int]) -> None:
    a, n, b, m = counts
    assert fisher_greater(a, n, b, m) == pytest.approx(
        stats.fisher_exact([[a, n - a], [b, m - b]], alternative="greater").pvalue, rel=1e-9
    )


@settings(deadline=None)
@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_bounds_of_a_share_are_those_of_scipy(counts: tuple[int, int]) -> None:
    a, n = counts
    wanted = stats.binomtest(a, n).proportion_ci(method="exact")
    assert share_bounds(a, n) == pytest.approx((wanted.low, wanted.high), abs=1e-7)


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=4, max_size=9), st.integers(2, 4))
def test_permutation_is_that_of_scipy(values: list[int], n: int) -> None:
    n = min(n, len(values) - 2)
    rows = np.array(values, np.float64)[:, None]

    def apart(a: np.ndarray, b: np.ndarray) -> float:
        return float(abs(a.mean() - b.mean()))

    wanted = stats.permutation_test(
        (rows[:n, 0], rows[n:, 0]), lambda a, b: abs(a.mean() - b.mean()), alternative="greater", n_resamples=np.inf
    )
    assert permutation_p(rows, n, apart) == pytest.approx(wanted.pvalue, abs=1e-9)


def test_few_can_prove_only_so_much() -> None:
    assert fisher_greater(5, 5, 0, 4) == pytest.approx(1 / 126)
    assert share_bounds(5, 5)[0] == pytest.approx(0.4782, abs=1e-4)  # all of five: more than 48 %, no more
    assert fisher_greater(2, 2, 0, 3) == pytest.approx(0.1)
    with pytest.raises(ValueError, match="no counts"):
        fisher_greater(3, 2, 0, 1)


RULES = [
    next(r for r in engine.collect() if r.check.__name__ == f.__name__)
    for f in (density_unlike_data, disconnected_samples, mix_unlike_data, empty_samples)
]


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_samples_drawn_from_the_data_are_spared(n: int) -> None:
    """Every rule of grids at p < 0.01: of 40 draws of n samples from the data's own distribution, one may be wrong."""
    wrong = 0
    for draw in range(40):
        data = made.grids("dataset", [made.tree(1000 * draw + i) for i in range(30)])
        samples = made.grids("samples/step_9", [made.tree(1000 * draw + 500 + i) for i in range(n)])
        run = examples.run(examples.stage(loss=examples.decay(50)), files=data | samples)
        wrong += any(o.state in ("critical", "warning", "crashed") for o in engine.judge(run, rules=RULES))
    assert wrong <= 1


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(0, 10_000))
def test_one_to_three_samples_without_much_data_prove_nothing(n: int, seed: int) -> None:
    """However different they are: three of three against four of the data reach p = 2/35 at best."""
    data = made.grids("dataset", [made.tree(seed + i) for i in range(4)])
    run = examples.run(
        examples.stage(loss=examples.decay(50)),
        files=data | made.grids("samples/step_9", [made.scattered(seed + i, 9) for i in range(n)]),
    )
    outcomes = engine.judge(run, rules=[r for r in RULES if r.check is not empty_samples])
    assert {o.state for o in outcomes} <= {"pass", "not checked", "not applicable"}


def test_five_clear_samples_are_a_finding_with_their_numbers() -> None:
    data = made.grids("dataset", [made.tree(i) for i in range(40)])
    run = made.with_files(data | made.grids("samples/step_9", [made.scattered(i, 8) for i in range(5)]))
    (finding,) = [f for o in engine.judge(run, rules=RULES[:1]) for f in o.findings]
    told = {m.what: m.value for m in finding.evidence}
    assert told["p of the Mann-Whitney test"] < 1e-3
    assert "n = 5" in finding.message
