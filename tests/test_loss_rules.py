"""The loss rules on what their evidence reads, and on real logs where the corpora are there."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from runvet import config, engine, examples
from runvet.config import Config, Expected
from runvet.discover import discover
from runvet.evidence.nature import Nature, nature
from runvet.evidence.vocabulary import Vocabulary, vocabulary
from runvet.report import Finding
from runvet.run import Stage
from runvet.stages import build
from shared import shared

RULES = [r for r in engine.collect() if r.code.startswith("LOSS") and r.code <= "LOSS120"]


def findings(stage: Stage, settings: Config | None = None) -> dict[str, Finding]:
    return {o.rule.code: f for o in engine.judge(examples.run(stage), settings, RULES) for f in o.findings}


def alphabet(**settings: object) -> dict[tuple[int, str], str]:
    found = vocabulary(examples.stage(loss=[1.0, 0.9], settings=settings))
    return {(a.size, a.what): a.source for a in found.alphabets} if isinstance(found, Vocabulary) else {}


def test_vocabulary_from_settings() -> None:
    assert set(alphabet(vocab_size=50257)) == {(50257, "tokens")}
    assert set(alphabet(latent_dim=5, num_bins=4)) == {(1024, "codes")}
    assert set(alphabet(**{"model.num_classes": 37})) == {(37, "classes")}
    assert set(alphabet(levels=[8, 5, 5, 5])) == {(1000, "codes")}
    assert set(alphabet(dataset="cifar100")) == {(100, "classes")}
    assert not alphabet(vocab_size=True, num_classes=1, latent_dim=5)


def told(stage: Stage) -> Nature:
    return nature(stage)


def test_nature() -> None:
    assert told(examples.stage(loss=[1, 2], reward=[1, 2])).reinforcement
    dpo = examples.stage(loss=[1, 2], rewards__margins=[1, 2], rewards__chosen=[1, 2])
    assert told(dpo).preference
    assert not told(dpo).reinforcement
    assert told(examples.stage(D_loss=[1, 2], G_loss=[1, 2])).adversarial
    assert not told(examples.stage(loss=[1, 2], Regr3DPlusNormalGMLoss_pose=[1, 2])).adversarial
    assert told(examples.stage(loss=[1, 2], settings={"model_name_or_path": "gpt2"})).continued
    assert not told(examples.stage(loss=[1, 2], settings={"pretrained": False})).continued
    resumed = examples.stage(loss=[1, 2], events=[examples.event("resume", "Resuming from ckpt", line=1)])
    assert told(resumed).continued
    assert told(examples.stage(loss=examples.decay(50), kl_weight=np.linspace(0, 1, 50))).ramps == ("kl_weight",)


def test_a_logged_ramp_excuses_a_rise() -> None:
    rising = examples.decay(2000) + examples.rise(2000, at=0.4, size=1.5)
    assert "LOSS101" in findings(examples.stage(loss=rising))
    assert "LOSS101" not in findings(examples.stage(loss=rising, mask_ratio=np.linspace(0.1, 0.9, 2000)))


def test_milestones_come_from_the_configuration() -> None:
    plan = Config(
        expected=(Expected("steps", 50, 100, {"loss": (0.1, 0.5)}), Expected("steps", 150, 900, {"loss": (0, 0.1)}))
    )
    found = findings(examples.stage(loss=examples.level(200, 0.8)), plan)
    assert "expected 0.1 to 0.5" in found["LOSS119"].message
    assert "LOSS119" not in findings(examples.stage(loss=examples.level(200, 0.01)), plan)


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e9])
def test_verdicts_do_not_depend_on_the_unit(factor: float) -> None:
    drift = (examples.decay(2000) + examples.rise(2000, at=0.4, size=1.5)) * factor
    assert findings(examples.stage(loss=drift))["LOSS101"].severity == "critical"
    flat = np.array([41.2, 40.95, 40.9, 40.88, 40.86, 40.85, 40.84]) * factor
    steps = np.arange(1, 8)
    assert "LOSS104" in findings(examples.stage(loss=flat, epochs=steps, steps=steps * 100))


def test_divided_loss_is_told_with_its_factor() -> None:
    for steps in (2, 4, 8):
        stage = examples.stage(
            loss=examples.decay(300, start=math.log(1024) * 1.02 / steps, end=0.5, noise=0.0),
            settings={"latent_dim": 5, "num_bins": 4, "gradient_accumulation_steps": steps},
        )
        assert f"divided by {steps}" in findings(stage)["LOSS114"].message


def read(path: Path) -> dict[str, Finding]:
    settings = config.find(path)
    run = build(str(path), discover(path), settings)
    out: dict[str, Finding] = {}
    for outcome in engine.judge(run, settings, RULES):
        assert outcome.state != "crashed", (outcome.rule.code, outcome.why)
        for finding in outcome.findings:
            out[finding.rule] = finding
    return out


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("logs/04_", "LOSS102"), ("logs/07_", "LOSS101"), ("logs/12_", "LOSS111"), ("logs/16_", "LOSS107"), ("logs/25_", "LOSS105"),
        ("logs/28_", "LOSS118"), ("logs/33_", "LOSS117"), ("logs2/109_", "LOSS115"), ("logs2/115_", "LOSS101"), ("logs2/136_", "LOSS105"),
        ("logs2/149_", "LOSS106"), ("logs3/214_", "LOSS101"), ("logs3/224_", "LOSS106"), ("logs3/231_", "LOSS108"), ("logs3/236_", "LOSS105"),
        ("logs3/244_", "LOSS104"), ("logs3/254_", "LOSS116"), ("logs3/257_", "LOSS116"), ("logs3/268_", "LOSS111"), ("logs3/277_", "LOSS107"),
    ],
)  # fmt: skip
def test_sick_public_logs(name: str, code: str) -> None:
    folder, start = name.split("/")
    (path,) = shared(f"corpus/{folder}").glob(start + "*")
    assert code in read(path)


@pytest.mark.parametrize(
    ("case", "codes"),
    [
        ("worlds-dynamics", {"LOSS101", "LOSS114"}),
        ("trajectories-compressed", {"LOSS104"}),
        ("panoramas-resumed", {"LOSS109"}),
    ],
)
def test_cases(case: str, codes: set[str]) -> None:
    assert codes <= set(read(shared(f"cases/{case}/run")))
    assert not [f for f in read(shared(f"cases/{case}-healthy/run")).values() if f.severity == "critical"]


@pytest.mark.parametrize("name", ["logs/14_", "logs/27_", "logs/45_", "logs2/173_", "logs3/205_", "logs3/226_", "logs3/258_", "logs3/266_",
                                  "logs3/275_", "logs3/283_"])  # fmt: skip
def test_healthy_public_logs(name: str) -> None:
    folder, start = name.split("/")
    (path,) = shared(f"corpus/{folder}").glob(start + "*")
    assert not [f.message for f in read(path).values() if f.severity == "critical"]


def test_a_total_divided_by_the_accumulation_is_no_other_criterion() -> None:
    box, cls = examples.decay(200, end=0.4), examples.decay(200, end=0.6)
    total = box + cls
    held = {"val_loss": total[::20], "val_box_loss": box[::20], "val_cls_loss": cls[::20]}

    def outcome(divisor: float) -> engine.Outcome:
        made = examples.stage(train_loss=total / divisor, train_box_loss=box, train_cls_loss=cls, **held)
        return next(o for o in engine.judge(examples.run(made), None, RULES) if o.rule.code == "LOSS113")

    assert outcome(16).state == "not checked"
    assert "divided by 16" in outcome(16).why
    assert outcome(16.5).state == "warning"


def test_perplexities_that_rise_together_diverge_and_do_not_overfit() -> None:
    x = np.linspace(0, 1, 60)
    both = 2.0 - 1.2 * np.minimum(x / 0.4, 1.0) ** 0.5 + 1.5 * np.clip(x - 0.4, 0, None)
    stage = examples.stage(train_perplexity=np.exp(both), val_perplexity=np.exp(1.05 * both))
    assert "LOSS105" not in findings(stage)
