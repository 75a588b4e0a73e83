"""Levels of the rules that the lab's runs are judged by."""

from __future__ import annotations

from runvet import engine
from runvet.rules.gen import disconnected_class


def test_one_class_alone_is_critical_only_where_it_lost_half() -> None:
    rule = next(r for r in engine.collect() if r.code == "GEN124")
    states = [engine.judge(run, rules=[rule])[0].state for run in disconnected_class.sick()]
    assert states == ["critical", "critical", "warning"]
