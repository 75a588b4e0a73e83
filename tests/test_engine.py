"""The engine: needs from annotations, lazy evidence, and a state for every rule."""

from __future__ import annotations

import pytest

from runvet import engine, examples
from runvet.config import Config, ConfigError
from runvet.evidence.curves import GradNorm, LearningRate, TrainLoss, ValLoss
from runvet.evidence.events import RunEvents
from runvet.rules import Rule, Sick, Unsure, rule
from runvet.run import Run, Stage


def made(function: object) -> Rule:
    return function.__dict__["runvet_rule"]  # type: ignore[no-any-return]


@rule("XX101", "always-sick", level="critical", since="0.1")
def always_sick(loss: TrainLoss, *, factor: float = 2.0) -> Sick:
    return Sick(f"factor {factor:g}, {len(loss.lead)} points")


@rule("XX102", "milder", level="critical", since="0.1")
def milder(loss: TrainLoss) -> list[Sick]:
    return [Sick("a", level="warning"), Sick("b", level="warning")]


@rule("XX103", "broken", level="warning", since="0.1")
def broken(loss: TrainLoss) -> None:
    raise ZeroDivisionError("by design")


@rule("XX104", "unsure", level="warning", since="0.1")
def unsure(loss: TrainLoss) -> Unsure:
    return Unsure("too short", "log more")


@rule("XX105", "needs-gradients", level="warning", since="0.1")
def needs_gradients(grads: GradNorm) -> None:
    return None


@rule("XX106", "can-use-gradients", level="warning", since="0.1")
def can_use_gradients(loss: TrainLoss, grads: GradNorm | None) -> Sick | None:
    return Sick("without") if grads is None else None


@rule("XX107", "whole-run", level="warning", since="0.1")
def whole_run(events: RunEvents) -> None:
    return None


STAGE = examples.stage(loss=examples.decay(100))


def states(*rules: object, run: Run | None = None, config: Config | None = None) -> list[engine.Outcome]:
    return engine.judge(run or examples.run(STAGE), config, [made(r) for r in rules])


def test_levels_come_from_the_rule_and_can_only_be_lowered() -> None:
    (a, b) = states(always_sick, milder)
    assert (a.state, b.state) == ("critical", "warning")
    assert [f.severity for f in b.findings] == ["warning", "warning"]


def test_a_crash_is_a_state_of_its_own_and_hides_nothing() -> None:
    crashed, fine = states(broken, always_sick)
    assert crashed.state == "crashed"
    assert "ZeroDivisionError: by design" in crashed.why
    assert not crashed.findings
    assert fine.state == "critical"


def test_missing_evidence_is_not_checked_with_the_way_to_get_it() -> None:
    (outcome,) = states(needs_gradients)
    assert outcome.state == "not checked"
    assert "grad_norm" in outcome.unlock
    (outcome,) = states(unsure)
    assert (outcome.state, outcome.why, outcome.unlock) == ("not checked", "too short", "log more")


def test_optional_evidence_may_be_absent() -> None:
    (without,) = states(can_use_gradients)
    assert without.state == "warning"
    (with_it,) = states(can_use_gradients, run=examples.run(examples.stage(loss=examples.decay(50), grad_norm=1.0)))
    assert with_it.state == "pass"


def test_rules_run_once_a_stage_or_once_a_run() -> None:
    two = examples.run(STAGE, examples.stage(loss=examples.decay(100), name="second"))
    outcomes = states(always_sick, whole_run, run=two)
    assert [o.stage for o in outcomes] == ["train", "second", None]


def test_evidence_is_computed_once() -> None:
    evidence = engine.Evidence(examples.run(STAGE), Config())
    assert evidence.get(TrainLoss, STAGE) is evidence.get(TrainLoss, STAGE)


def test_unknown_evidence_is_an_error_that_lists_what_exists() -> None:
    @rule("XX108", "asks-for-the-moon", level="warning", since="0.1")
    def asks(moon: int) -> None:
        return None

    with pytest.raises(engine.RuleError, match=r"argument 'moon'.*TrainLoss"):
        engine.judge(examples.run(STAGE), rules=[made(asks)])


def test_thresholds_are_keyword_arguments() -> None:
    config = Config(thresholds={"always-sick": {"factor": 3.0}})
    (outcome,) = states(always_sick, config=config)
    assert outcome.findings[0].message == "factor 3, 100 points"
    with pytest.raises(ConfigError, match="no threshold 'size'; it has factor"):
        states(always_sick, config=Config(thresholds={"XX101": {"size": 1.0}}))


def test_selecting_and_ignoring() -> None:
    assert [o.rule.code for o in states(always_sick, milder, broken, config=Config(select=("XX101", "milder")))] == [
        "XX101",
        "XX102",
    ]
    assert [o.rule.code for o in states(always_sick, milder, config=Config(ignore={"XX102": "known"}))] == ["XX101"]
    with pytest.raises(ConfigError, match="did you mean 'milder'"):
        states(milder, config=Config(select=("midler",)))


def test_every_evidence_type_has_one_provider_and_a_docstring() -> None:
    for kind, provider in engine.providers().items():
        assert kind.__doc__, kind
        engine.needs(provider)


def test_collected_rules_keep_their_needs_known() -> None:
    for collected in engine.collect():
        for need in engine.needs(collected.check):
            assert need.type in engine.BASES or need.type in engine.providers()
    assert {LearningRate, ValLoss} <= set(engine.providers())


def test_a_stage_is_passed_as_it_is() -> None:
    @rule("XX109", "sees-stage", level="warning", since="0.1")
    def sees(stage: Stage) -> Sick:
        return Sick(stage.name)

    (outcome,) = states(sees)
    assert outcome.findings[0].message == "train"
