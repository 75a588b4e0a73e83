"""Figures on their way: kept in JSON only when asked for, drawn again without the run, small; those of the five cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from runvet import api, report
from runvet import examples_artifacts as artifacts
from runvet.cli.main import main
from runvet.render import html
from sample_reports import HOSTILE, everything, figures
from shared import shared

LARGEST = 5_000_000  # bytes of a page
# Findings that rest on pictures, grids, predictions or masks of the founding cases, and the kind that proves each.
PROVED = {
    "voxels-sparse": {"GEN101": "grids", "GEN103": "grids"},
    "voxels-floating": {"GEN102": "grids"},
    "worlds-dynamics": {"GEN104": "sheet"},
    "trajectories-compressed": {"REG101": "scatter"},
    "panoramas-resumed": {"PAR101": "sheet", "REG104": "ranges"},
}


def command(*arguments: object) -> str:
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code in (0, 1), done.output
    return done.stdout


def embedded(page: str) -> list[dict[str, Any]]:
    """The data that a page holds."""
    text = page.partition('<script id="data" type="application/json">')[2].partition("</script>")[0]
    told: list[dict[str, Any]] = json.loads(text)
    return told


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run on disk with loose samples."""
    folder = tmp_path / "run"
    for name, held in {
        **artifacts.grids("samples/step_100", [artifacts.scattered(i, 60) for i in range(6)]),
        **artifacts.grids("data", [artifacts.tree(i) for i in range(40)]),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.savez(folder / name, **held)
    rows = "\n".join(f"{i},{2 / (1 + i / 20):.5f}" for i in range(200))
    (folder / "metrics.csv").write_text(f"step,train_loss\n{rows}\n")
    return folder


def test_json_holds_figures_only_when_asked_for(run: Path) -> None:
    assert "figures" not in json.loads(command("check", run, "--format", "json"))
    assert "figures" not in json.loads(command("check", run, "--format", "json", "--curves"))
    told = json.loads(command("check", run, "--format", "json", "--figures"))
    assert {f["kind"] for f in told["figures"]} == {"grids", "histograms"}
    assert "curves" not in told


def test_a_page_beside_json_leaves_the_json_small(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told = json.loads(command("check", run, "--format", "json", "--also", f"html={page}"))
    assert "figures" not in told
    assert embedded(page.read_text(encoding="utf-8"))[0]["figures"]


def test_a_saved_result_is_drawn_again_with_and_without_figures(run: Path, tmp_path: Path) -> None:
    saved = tmp_path / "result.json"
    for options, expected in ((("--figures",), 2), ((), 0)):
        saved.write_text(command("check", run, "--format", "json", *options), encoding="utf-8")
        page = command("report", saved, "--format", "html")
        assert len(embedded(page)[0].get("figures", [])) == expected
    assert "GEN102" in command("report", saved, "--format", "text")


@pytest.mark.parametrize("word", ["sample", *HOSTILE])
def test_figures_come_back_as_they_were(word: str) -> None:
    whole = report.Report(**{**{f: getattr(everything(), f) for f in everything().__slots__}, "figures": figures(word)})
    again = report.from_dict(json.loads(json.dumps(report.to_dict(whole))))
    assert again.figures == tuple(
        report.Figure(**report.plain({s: getattr(f, s) for s in f.__slots__}) | {"rules": f.rules})
        for f in whole.figures
    )
    assert "<" not in word or word not in html.render([whole])


@pytest.mark.parametrize(
    "saved", [{"figures": {}}, {"figures": [{"kind": 3}]}, {"figures": [{"kind": "grids", "data": []}]}]
)
def test_damaged_figures_in_a_saved_result_are_refused(saved: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="figures"):
        report.from_dict({**report.to_dict(everything()), **saved})


@pytest.mark.shared
@pytest.mark.parametrize("name", PROVED)
def test_the_founding_findings_stand_beside_what_proves_them(name: str) -> None:
    told = api.judge(api.read(shared(f"cases/{name}/run")), curves=True, figures=True)
    assert len(html.render([told])) < LARGEST
    assert not [f for f in told.figures if f.kind == "note"]
    for code, kind in PROVED[name].items():
        assert code in {f.rule for f in told.findings}
        assert kind in {f.kind for f in told.figures if code in f.rules}, code


@pytest.mark.shared
def test_all_cases_in_one_page_stay_small(tmp_path: Path) -> None:
    page = tmp_path / "all.html"
    command(
        "check",
        *sorted(c / "run" for c in shared("cases").iterdir()),
        "--jobs",
        1,
        "--format",
        "html",
        "--output",
        page,
    )
    assert page.stat().st_size < LARGEST
    assert sum(len(r.get("figures", [])) for r in embedded(page.read_text(encoding="utf-8"))) >= 20
