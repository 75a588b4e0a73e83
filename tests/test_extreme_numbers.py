"""Numbers as no training should write them: none may crash a rule, and none may become a plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runvet import api, engine, examples
from runvet.config import Config
from runvet.evidence import Missing
from runvet.evidence.epoch_length import EpochLength
from runvet.evidence.events import Plan, plan_of
from runvet.evidence.settings import same
from runvet.evidence.vocabulary import Vocabulary
from runvet.run import FloatArray, Run, Setting, Stage
from runvet.summary import summarise

NAMES = [
    *("loss", "train_loss", "val_loss", "lr", "grad_norm", "kl", "acc", "val__accuracy", "loss_a", "loss_b", "entropy", "perplexity"),
    *("d_loss", "g_loss", "gpu_mem", "reward", "success_rate", "value_mean", "psnr", "val__psnr", "loss_scale", "precision", "recall"),
    *("val__unigram_entropy", "codebook_usage", "step_time", "data_time", "fid", "response_length", "approx_kl"),
]  # fmt: skip
KEYS = [
    *("vocab_size", "num_classes", "batch_size", "epochs", "max_steps", "warmup_steps", "lr", "accumulate_grad_batches", "max_grad_norm"),
    *("levels", "num_bins", "latent_dim", "seed", "val_samples", "world_size", "freeze_encoder", "cfg_scale", "cond_drop_prob"),
]  # fmt: skip
TOLD = ["epoch-length", "world-size", "planned-steps", "planned-epochs", "loss-scale", "best", "weights-loaded", "resume", "tracker-dropped"]  # fmt: skip
VALUES = [
    10**400,
    -(10**400),
    10**300,
    1e308,
    float("inf"),
    float("nan"),
    -1,
    0,
    1,
    3,
    16,
    2.5,
    True,
    None,
    "7",
    [10**400, 3],
]
NUMBERS = [0.0, 1.0, 5.0, -3.0, 1e308, float("inf"), float("nan")]


def crashed(run: Run) -> list[str]:
    """The rules that crash; warnings are errors here, so a rule that would print one crashes, too."""
    return [f"{o.rule.code}: {o.why}" for o in engine.judge(run) if o.state == "crashed"]


def curve(kind: int, n: int, rng: np.random.Generator) -> FloatArray:
    """One of a dozen kinds of n values, most of which overflow when they are squared, added or subtracted."""
    big, base = 10.0 ** rng.uniform(150, 308.2), rng.standard_normal(n)
    half = np.arange(n) < n // 2
    kinds = (base * big, np.abs(base) * big / 4, np.full(n, big), np.full(n, np.nan), np.where(half, 1.0, big) * (1 + 0.01 * base),
             np.exp(np.linspace(-700, 709, n)), np.linspace(1, big, n), np.sign(base) * big, np.linspace(4, 1, n), np.linspace(-1, 3, n),
             np.where(rng.random(n) < 0.3, np.nan, 2 + base), rng.choice([0, 1, -1, np.inf, -np.inf, np.nan, 1.79e308, -1.79e308, 5e-324], n))  # fmt: skip
    return np.asarray(kinds[kind % len(kinds)], np.float64)


def axis(kind: int, n: int, rng: np.random.Generator) -> FloatArray:
    """One of seven kinds of n steps: in order, far below zero, all alike, repeated, resumed, wild, in wide strides."""
    kinds = (np.arange(n), np.arange(n) * -1e15, np.full(n, 7.0), rng.integers(0, 3, n), np.r_[np.arange(n - n // 3), np.arange(n // 3) + n // 2][:n],
             rng.choice([0, 1, -1e18, 1e300, -1e308, 1e308, np.nan], n), np.arange(n) * 10.0 ** rng.integers(0, 30))  # fmt: skip
    return np.asarray(kinds[kind % len(kinds)], np.float64)


@st.composite
@np.errstate(all="ignore")
def stages(draw: st.DrawFn) -> Stage:
    n = draw(st.sampled_from([1, 2, 3, 5, 20, 60, 130, 300]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True))
    series = {
        name: curve(draw(st.integers(0, 11)), max(1, n // draw(st.sampled_from([1, 1, 2, 10]))), rng) for name in names
    }
    series.setdefault("loss", curve(draw(st.integers(0, 11)), n, rng))
    axes: dict[str, Any] = {"steps": axis(draw(st.integers(0, 6)), max(map(len, series.values())), rng)}
    if draw(st.booleans()):
        axes["epochs"] = axis(draw(st.integers(0, 6)), len(axes["steps"]), rng)
    told = draw(st.lists(st.tuples(st.sampled_from(TOLD), st.integers(1, n + 1), st.sampled_from(NUMBERS)), max_size=6))
    events = [examples.event(kind, f"{kind} {value}", line=line, value=value) for kind, line, value in told]
    given_settings = draw(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=8))
    return examples.stage(console=draw(st.booleans()), settings=given_settings, events=events, **axes, **series)


@settings(max_examples=100, deadline=None)
@given(stage=stages())
def test_no_rule_crashes(stage: Stage) -> None:
    assert not crashed(examples.run(stage))


CRASHED = {
    "LOSS104": {
        "loss": np.tile([1.0, 2.0], 900),
        "train_accuracy": np.tile([0.1, 0.2], 900),
        "val_loss": np.full(9, 1e200),
    },
    "LOSS106": {"loss": np.full(60, 1e308)},
    "LOSS108": {"reward": np.full(60, 1e150)},
    "LOSS132": {"grad_norm": np.geomspace(5e-324, 1e99, 400), "loss": np.linspace(3, 2, 400)},
    "LOSS134": {"loss_scale": np.geomspace(1e300, 1e-300, 60)},
    "GEN113": {"reward": np.linspace(2, 1, 300), "entropy": np.r_[np.full(100, 1.7e308), np.full(200, 1.0)]},
    "LOSS118": {
        "val_precision": np.full(9, 0.5),
        "val_recall": np.full(9, np.nan),
        "val_accuracy": np.full(9, 0.5),
        "val_f1": np.full(9, 0.5),
    },
    "GEN110": {"codebook_usage": np.full(60, 0.5)},
}


def test_a_flat_loss_beside_a_metric_that_is_never_finite() -> None:
    stage = examples.stage(loss=np.tile([1.0, 2.0], 900), train_accuracy=np.full(1800, np.nan))
    assert not crashed(examples.run(stage))


@pytest.mark.parametrize("code", CRASHED)
def test_values_that_overflow(code: str) -> None:
    told = {"num_classes": 10, "num_bins": 1e300, "latent_dim": 16}
    stage = examples.stage(settings=told, **CRASHED[code])
    assert not crashed(examples.run(stage))


@pytest.mark.parametrize("declared", [float("inf"), float("nan"), -float("inf")])
def test_an_infinite_best_crashes_nothing(declared: float) -> None:
    best = examples.event("best", "new best val/accuracy", value=declared)
    stage = examples.stage(loss=np.linspace(3, 1, 60), val__accuracy=np.linspace(0.1, 0.6, 60), events=[best])
    assert not crashed(examples.run(stage))


def test_a_lead_that_goes_nowhere_on_its_own_axis() -> None:
    """One point without loss and step: the curve then counts epochs, of which there is one, and its parts count steps."""
    steps, loss = np.r_[np.arange(100.0), np.arange(50.0, 150.0)], np.linspace(3, 1, 200)
    steps[10] = loss[10] = np.nan
    assert not crashed(examples.run(examples.stage(loss=loss, steps=steps, epochs=np.zeros(200))))


def test_a_first_part_without_a_finite_loss(tmp_path: Path) -> None:
    rows = ['{"loss":NaN,"epoch":200}', '{"loss":0.117,"epoch":0.0099}', '{"loss":NaN,"epoch":0.0089}', '{"loss":0.83,"epoch":224}']  # fmt: skip
    (tmp_path / "metrics.jsonl").write_text("\n".join(rows))
    assert not crashed(api.read(tmp_path, Config()))


def evidence(kind: type, stage: Stage) -> Any:
    return engine.Evidence(examples.run(stage), Config()).get(kind, stage)


def test_an_epoch_of_no_steps_is_none() -> None:
    """Epochs that run ahead of the steps give less than half a step an epoch: no length."""
    n = np.arange(100.0)
    assert isinstance(evidence(EpochLength, examples.stage(loss=2 / (1 + n), steps=n, epochs=10 * n)), Missing)
    known = evidence(EpochLength, examples.stage(loss=2 / (1 + n), steps=n, epochs=n // 10))
    assert [s.steps for s in known.spans] == [10]


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 0.0, -5.0])
def test_an_epoch_length_that_is_no_number_of_steps(value: float) -> None:
    told = examples.event("epoch-length", f"Epoch: [0]  [0/{value}]", value=value)
    assert isinstance(evidence(EpochLength, examples.stage(loss=[3.0, 2.0, 1.0], events=[told])), Missing)


@pytest.mark.parametrize("endless", [float("inf"), 10**400, float("nan"), True])
def test_an_endless_plan_is_none(endless: float) -> None:
    told = examples.event("planned-steps", "999/inf", value=float("inf"))
    stage = examples.stage(
        loss=np.linspace(3, 1, 50), settings={"epochs": endless, "max_steps": endless}, events=[told]
    )
    assert plan_of(stage) is None
    known = examples.event("planned-steps", "999/1000", value=1000.0)
    more = examples.stage(loss=np.linspace(3, 1, 50), settings={"max_steps": endless}, events=[told, known])
    assert plan_of(more) == Plan(1000.0, None, known.where)


@pytest.mark.parametrize("name", ["vocab_size", "num_classes", "codebook_size"])
def test_a_vocabulary_beyond_a_double(name: str) -> None:
    stage = examples.stage(loss=np.linspace(3, 1, 50), settings={name: 10**400})
    assert isinstance(evidence(Vocabulary, stage), Missing)
    known = evidence(Vocabulary, examples.stage(loss=np.linspace(3, 1, 50), settings={name: "16"}))
    assert [a.size for a in known.alphabets] == [16]


@pytest.mark.parametrize("digits", [400, 500, 5000])
def test_settings_of_many_digits(tmp_path: Path, digits: int) -> None:
    lines = [json.dumps({"step": i, "loss": 3 - i / 100}) for i in range(200)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    (tmp_path / "config.yaml").write_text("".join(f"{k}: {'9' * digits}\n" for k in KEYS))
    run = api.read(tmp_path, Config())
    assert not [p for p in run.problems if "reading stopped" in p.why]
    assert not crashed(run)


def test_values_that_say_the_same() -> None:
    assert same(10**400, 10**400)
    assert same(1e-4, 0.00010000000001)
    assert same(True, 1)
    assert same("True", True)
    assert same([1, 2.0, "a"], [1.0, 2, "A"])
    assert same(float("inf"), float("inf"))
    assert not same(10**400, 1.5)
    assert not same(float("inf"), 5)
    assert not same([1, 2], [1, 3])
    assert not same(True, 2)


def test_the_place_of_a_setting() -> None:
    assert Setting("lr", 1.0, "config.yaml", 3).where == "config.yaml:3"
    assert Setting("lr", 1.0, "config.yaml").where == "config.yaml"


def test_a_summary_of_losses_near_the_largest_number() -> None:
    top = np.finfo(np.float64).max
    stage = examples.stage(loss=np.full(400, top), val__loss=np.linspace(1e308, top, 40))
    told = summarise(stage, "not judged")
    numbers = [
        *told.sparkline,
        *(v for w in told.windows for v in (w.mean, w.median)),
        *(s.median for s in told.series),
    ]
    assert len(told.windows) > 1
    assert all(v is not None and 1e308 <= v <= top for v in numbers)
    assert "Infinity" not in json.dumps([s.median for s in told.series])
