"""The examples of every rule that looks at more than curves can be drawn, and most findings stand beside a figure."""

from __future__ import annotations

import importlib

import pytest

from runvet import api, engine, examples
from runvet.rules import Rule
from runvet.run import Run

RULES = [r for r in engine.collect() if r.family in ("GEN", "REG", "DATA", "PAR")]
# What these judge has no picture yet: names, sounds, texts, angles and single numbers.
PLAIN = frozenset(
    "damaged-sounds repetitive-texts empty-samples leaked-inputs mixed-windows wrong-euler-convention invalid-rotations lost-coverage"
    " temperature-applied-twice constant-channel wrong-rotation unused-input shared-recordings depth-mixed-with-holes target-among-features".split()
)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.code)
def test_figures_of_examples(rule: Rule) -> None:
    example = next(iter(importlib.import_module(rule.module).sick()))
    run = example if isinstance(example, Run) else examples.run(example)
    figures = api.judge(run, figures=True).figures
    assert [f.note for f in figures if f.kind == "note"] == []
    if rule.name not in PLAIN and run.artifacts is not None and run.artifacts.items:
        assert any(rule.code in f.rules for f in figures), "no figure stands under the finding"
