"""Rules on restarts, schedules and speed against simulated healthy runs, and against the cases."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from runvet import api, engine, examples
from runvet.run import FloatArray, Stage
from shared import shared

RULES = {r.code: r for r in engine.collect()}
SIZES = (60, 300, 2000)


def state(code: str, stage: Stage) -> str:
    (outcome,) = engine.judge(examples.run(stage), rules=[RULES[code]])
    return outcome.state


def noises(n: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Relative noise of several kinds, shape (2 n,): plain, heavy-tailed, skewed, slowly swinging."""
    yield rng.standard_normal(2 * n) * 0.05
    yield rng.standard_t(2, 2 * n) * 0.1
    yield rng.exponential(0.5, 2 * n)
    yield np.sin(np.arange(2 * n) / n * 20) * 0.1 + rng.standard_normal(2 * n) * 0.05


def resumed(n: int, noise: FloatArray, jump: float = 0.0) -> Stage:
    curve = examples.decay(2 * n, start=5, noise=0.0) * (1 + noise)
    overlap = n // 10
    steps = [*range(n), *range(n - overlap, 2 * n - overlap)]
    return examples.stage(
        steps=steps, train_loss=np.concatenate([curve[:n], curve[n - overlap : 2 * n - overlap] + jump])
    )


@pytest.mark.parametrize("code", ["RES101", "RES104"])
def test_clean_resumes_are_spared(code: str) -> None:
    rng = np.random.default_rng(7)
    for n in SIZES:
        for _ in range(6):
            for noise in noises(n, rng):
                assert state(code, resumed(n, noise)) in ("pass", "not checked")


def test_a_jump_of_the_loss_is_found_in_noise() -> None:
    rng = np.random.default_rng(8)
    for n in SIZES[1:]:
        for noise in noises(n, rng):
            assert state("RES101", resumed(n, noise, jump=4.0)) in ("critical", "warning")


def test_curves_printed_with_two_digits_do_not_jump() -> None:
    steps = [*range(200), *range(190, 390)]
    coarse = np.concatenate([np.full(200, 0.01), np.full(200, 0.02)])
    assert state("RES101", examples.stage(steps=steps, train_loss=coarse)) == "pass"


def test_unsteady_speeds_are_no_slow_down() -> None:
    rng = np.random.default_rng(9)
    for n in SIZES:
        for seconds in (
            rng.lognormal(0.0, 0.5, n),
            1 + 0.08 * np.sin(np.arange(n) / n * 19) + 0.02 * rng.standard_normal(n),
            np.where(rng.random(n) < 0.05, 20.0, 1.0) * rng.lognormal(0.0, 0.1, n),
        ):
            stage = examples.stage(train_loss=examples.decay(n), times=np.cumsum(np.abs(seconds) + 1e-3))
            assert state("SYS101", stage) == "pass"


@pytest.mark.parametrize("times", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("digits", [6, 12])
def test_the_multiple_of_a_fast_schedule(times: int, digits: int) -> None:
    """A cosine that ends at 1/times of the plan; printed with six decimals it looks flat before its end."""
    n = 2400
    short = examples.cosine(n // times, 1e-3, warmup=0.02)
    rate = np.round(np.concatenate([short, np.zeros(n - len(short))]), digits)
    stage = examples.stage(train_loss=examples.decay(n), lr=rate, settings={"max_steps": n})
    (outcome,) = engine.judge(examples.run(stage), rules=[RULES["LR103"]])
    if times == 1:
        assert outcome.state == "pass"
    else:
        assert outcome.state == "critical"
        assert f"{times} times too fast" in outcome.findings[0].message


def test_rates_printed_with_two_decimals_are_not_zero() -> None:
    rate = np.round(20 * 0.5 ** (np.arange(1000) / 60), 2)
    assert state("LR101", examples.stage(train_loss=examples.decay(1000), lr=rate)) == "not checked"


@pytest.mark.shared
@pytest.mark.parametrize(("case", "codes"), [
    ("panoramas-resumed", {"ENV101", "RES103", "LR105"}),
    ("trajectories-compressed", {"RES105"}),
    ("worlds-dynamics", {"SYS101"}),
    ("panoramas-resumed-healthy", set()),
    ("trajectories-compressed-healthy", set()),
    ("worlds-dynamics-healthy", set()),
])  # fmt: skip
def test_cases(case: str, codes: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runvet.rules.res.stopped_early.GROWING", -np.inf)  # the copy may be new
    run = api.read(shared(f"cases/{case}") / "run")
    mine = [r for r in RULES.values() if r.family in ("RES", "LR", "ENV", "SYS")]
    outcomes = engine.judge(run, rules=mine)
    found = {o.rule.code for o in outcomes if o.findings}
    assert not [o.why for o in outcomes if o.state == "crashed"]
    assert codes <= found
    if not codes:
        assert not {o.rule.code for o in outcomes if o.state == "critical"}
        assert len(found) <= 1
