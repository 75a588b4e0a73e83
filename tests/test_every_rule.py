"""One test runs every rule on its own examples and looks at its page."""

from __future__ import annotations

import importlib
import inspect

import pytest

from runvet import engine, examples
from runvet.rules import Rule
from runvet.run import Run, Stage

RULES = engine.collect()
SECTIONS = ("What it checks", "Why it matters", "What to do", "When to ignore it", "Known limits", "References")


def as_run(example: Run | Stage) -> Run:
    return example if isinstance(example, Run) else examples.run(example)


def outcomes(rule: Rule, example: Run | Stage) -> list[engine.Outcome]:
    return engine.judge(as_run(example), rules=[rule])


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.code)
def test_page(rule: Rule) -> None:
    page = inspect.getdoc(rule.check) or ""
    headings = [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")]
    assert tuple(headings) == SECTIONS, f"{rule.module}: the docstring needs the sections {SECTIONS}, in this order"
    assert page.splitlines()[0].endswith(".")
    assert rule.module.rsplit(".", 1)[-1].replace("_", "-") == rule.name, "the file is named after the rule"
    assert rule.module.split(".")[-2] == rule.family.lower(), "the folder is the family"


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.code)
def test_examples(rule: Rule) -> None:
    module = importlib.import_module(rule.module)
    sick, healthy = list(getattr(module, "sick", list)()), list(getattr(module, "healthy", list)())
    assert sick, f"{rule.module} has no function `sick` that yields examples"
    assert healthy, f"{rule.module} has no function `healthy` that yields examples"
    for number, example in enumerate(sick):
        found = [f for o in outcomes(rule, example) for f in o.findings]
        assert found, f"{rule.code} does not find its sick example {number}"
        for finding in found:
            assert finding.message
            assert finding.evidence, "a finding carries numbers"
            assert finding.actions, "a finding says what to do"
            assert finding.innocent, "a finding names one innocent explanation"
    for number, example in enumerate(healthy):
        states = {o.state for o in outcomes(rule, example)}
        assert states <= {"pass", "not applicable", "not checked"}, f"{rule.code}: healthy example {number}"
        assert "pass" in states, f"{rule.code} must judge its healthy example {number}, not stand down"


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.code)
def test_no_other_critical_on_healthy_examples(rule: Rule) -> None:
    module = importlib.import_module(rule.module)
    for number, example in enumerate(module.healthy()):
        loud = [o.rule.code for o in engine.judge(as_run(example)) if o.state in ("critical", "crashed")]
        assert not loud, f"healthy example {number} of {rule.code}: {loud}"


def test_codes_and_names_are_unique() -> None:
    assert len({r.code for r in RULES}) == len(RULES) == len({r.name for r in RULES})
