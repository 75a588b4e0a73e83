"""The founding cases beside the checkout: each true cause is named, and no healthy twin is called critical."""

from __future__ import annotations

import pytest

import runvet
from runvet.report import Report
from shared import shared


def report(case: str) -> Report:
    return runvet.check(shared(f"cases/{case}/run"))


SICK = [
    ("voxels-sparse", "GEN101", "10 (7 to 31, n = 5)"),
    ("voxels-sparse", "GEN103", "id 255, an end of the numeric range"),
    ("voxels-floating", "GEN102", "0.31 to 0.58"),
    ("trajectories-compressed", "REG101", "[-10.1, 20.2], the truth [-137.3, 54]"),
    ("trajectories-compressed", "REG102", "not even the mean is learnt"),
    ("worlds-dynamics", "GEN104", "4 of 4 tiles"),
    ("panoramas-resumed", "REG104", "its mean is 0.01, the truth's 0.331"),
    ("panoramas-resumed", "PAR101", "depth"),
]


@pytest.mark.shared
@pytest.mark.parametrize(("case", "code", "words"), SICK)
def test_the_cause_is_named(case: str, code: str, words: str) -> None:
    found = [f for f in report(case).findings if f.rule == code]
    assert [f.severity for f in found] == ["critical"]
    assert words in found[0].message


@pytest.mark.shared
@pytest.mark.parametrize("case", sorted({case for case, _, _ in SICK}))
def test_the_healthy_twin_has_no_finding_of_these_families(case: str) -> None:
    told = [f.rule for f in report(f"{case}-healthy").findings if f.rule.startswith(("GEN", "REG", "PAR", "DATA"))]
    assert told == []


@pytest.mark.shared
@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("voxels-sparse", "decod"),
        ("voxels-floating", "Sample again"),
        ("trajectories-compressed", "Train on 64 samples"),
    ],
)
def test_the_first_action_fits(case: str, words: str) -> None:
    assert words in report(case).actions[0].do
