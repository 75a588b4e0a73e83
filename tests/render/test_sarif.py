"""SARIF: valid against the schema of OASIS (from the npm package @microsoft/jest-sarif), and stable where it matters."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from render import hostile
from runvet import check
from runvet.render import sarif
from runvet.report import Measure, Report

DATA = Path(__file__).parent.parent / "data"
EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "runs"


def validated(*reports: Report, pages: dict[str, str] | None = None) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(sarif.render(reports, pages))
    jsonschema.Draft4Validator(json.loads((DATA / "sarif-2.1.0.json").read_text(encoding="utf-8"))).validate(log)
    return log


def test_the_schema_refuses_what_is_wrong() -> None:
    schema = json.loads((DATA / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(schema).validate({"version": "2.1.0", "runs": [{"results": []}]})


@pytest.mark.parametrize("name", ["healthy", "diverging", "overfitted", "crashed", "divided-loss"])
def test_examples_are_valid(name: str) -> None:
    told = check(EXAMPLES / name)
    (run,) = validated(told)["runs"]
    assert [r["ruleId"] for r in run["results"]] == [f.rule for f in told.findings]
    assert all(r["kind"] == "fail" for r in run["results"])
    rules = run["tool"]["driver"]["rules"]
    assert all(rules[r["ruleIndex"]]["id"] == r["ruleId"] for r in run["results"])


def test_hostile_texts_and_several_runs() -> None:
    log = validated(hostile.report(findings=7), hostile.report(findings=0))
    assert [len(r["results"]) for r in log["runs"]] == [7, 0]
    assert log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"] == {"startLine": 12}


def test_help_is_the_rules_page() -> None:
    page = "# LOSS101 rising-loss\n\n**The loss rises.**\n\nMore.\n"
    (rule,) = validated(hostile.report(findings=1), pages={"LOSS101": page})["runs"][0]["tool"]["driver"]["rules"]
    assert rule["shortDescription"]["text"] == "The loss rises."
    assert rule["help"]["markdown"] == page


def test_fingerprints_outlive_new_numbers() -> None:
    first = hostile.report()
    finding = replace(
        first.findings[0], message="other numbers", since_step=99, evidence=(Measure("x", 2, None, "train.log:99"),)
    )
    later = replace(first, findings=(finding,))
    assert sarif.fingerprint(first, first.findings[0]) == sarif.fingerprint(later, finding)
    assert sarif.fingerprint(first, replace(finding, rule="LOSS102")) != sarif.fingerprint(first, finding)
    assert sarif.fingerprint(first, replace(finding, stage="other")) != sarif.fingerprint(first, finding)


def test_locations_are_uris() -> None:
    told = replace(hostile.report(), path="runs/a b#c")
    (result,) = validated(told)["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "runs/a%20b%23c/train.log"
