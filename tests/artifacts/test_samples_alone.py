"""Folders of samples without logs, samples of several steps, and ids with names: what the report then says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import runvet
from runvet import examples_artifacts as made
from runvet.artifacts.labels import named_ids
from runvet.artifacts.memory import in_memory
from runvet.artifacts.steps import ranked
from runvet.artifacts.texts import split
from runvet.render import data as render
from runvet.render import text
from runvet.report import StageSummary, to_dict


def kept(folder: Path, grids: list[np.ndarray]) -> None:
    folder.mkdir(parents=True)
    for number, grid in enumerate(grids):
        np.savez(folder / f"tree_{number:03d}.npz", voxels=grid)


@pytest.mark.parametrize("below", ["", "step_300"])
def test_a_folder_of_samples_is_judged_itself(tmp_path: Path, below: str) -> None:
    kept(tmp_path / "out" / "samples" / below, [np.zeros((12, 12, 12), np.uint8)] * 8)
    kept(tmp_path / "out" / "samples" / below / "reference", [made.tree(i) for i in range(12)])
    report = runvet.check(tmp_path / "out" / "samples" / below)
    assert any(f.name == "empty-samples" for f in report.findings)


def test_a_folder_of_another_name_is_none_of_samples(tmp_path: Path) -> None:
    kept(tmp_path / "holiday", [made.plain((6, 6, 6))] * 8)
    assert not runvet.check(tmp_path / "holiday").stages


def test_steps_are_ranked_in_a_healthy_report(tmp_path: Path) -> None:
    kept(tmp_path / "data", [made.tree(i) for i in range(40)])
    kept(tmp_path / "samples" / "step_200", [made.scattered(i, 30) for i in range(8)])
    kept(tmp_path / "samples" / "step_300", [made.tree(90 + i) for i in range(8)])
    kept(tmp_path / "samples" / "step_400", [made.tree(70)])
    report = runvet.check(tmp_path)
    assert not any(f.name == "better-samples-before" for f in report.findings)
    (stage,) = report.stages
    assert stage.samples[-1].step == 200
    assert {r.step: r.samples for r in stage.samples} == {200: 8, 300: 8, 400: 1}
    for rank in stage.samples:
        assert (rank.low is None) == (rank.samples < 4)
        assert rank.low is None or rank.low <= rank.distance <= rank.high
    told = json.loads(json.dumps(to_dict(report)))["stages"][0]["samples"]
    assert [r["step"] for r in told] == [r.step for r in stage.samples]
    line = text.samples(stage)
    assert "1 sample" in line
    assert "90 % interval" in line


def test_a_stage_without_samples_has_no_rank() -> None:
    assert StageSummary("x", "sound").samples == ()


@pytest.mark.parametrize(
    "palette",
    [{"1": "stone", "2": "oak"}, {"stone": 1, "oak": 2}, {"blocks": {"stone": 1, "oak": 2}}, ["air", "stone", "oak"]],
)
def test_ids_have_the_names_of_a_palette(palette: object) -> None:
    found = named_ids(in_memory({"data/palette.json": palette, "other.json": {"3": "glass"}}))
    assert (found[1], found[2], 3 in found) == ("stone", "oak", False)


@pytest.mark.parametrize("plain", [None, 3, [], {}, [1], {"a": None}, {"1": [["x"]]}, {"9" * 40: "x"}, {"--1": "x"}])
def test_other_values_are_no_palette(plain: object) -> None:
    assert named_ids(in_memory({"palette.json": plain})) == {}


def test_stanzas_and_functions_are_no_empty_samples() -> None:
    stanza = "the pale moon falls over the river\nthe old stone sings and waits\nO quiet garden, come home"
    assert split(f"{stanza}\n\n{stanza}\n") == [f"{stanza}\n\n{stanza}"]
    long = "a sample of some length that fills a line of its own and goes on for a while"
    assert split(f"{long}\n\n{long}\n{long}\n") == [long, "", long, long]


def test_steps_are_ranked_against_data(tmp_path: Path) -> None:
    kept(tmp_path / "data", [made.tree(i) for i in range(40)])
    kept(tmp_path / "samples" / "step_200", [made.scattered(i, 30) for i in range(8)])
    kept(tmp_path / "samples" / "step_300", [made.tree(90 + i) for i in range(8)])
    first, second = (runvet.profile(tmp_path / name) for name in ("samples", "data"))
    assert [r.step for r in ranked(first, second)] == [300, 200]
    assert ranked(second, first) == ()  # names of data tell no steps
    told = render.as_text("samples", [first], "data", [second])
    assert "step 300" in told
    steps = render.as_dict("samples", [first], "data", [second])["against"]["steps"]
    assert [(s["step"], s["samples"]) for s in steps] == [(300, 8), (200, 8)]
    assert all(s["low"] <= s["distance"] <= s["high"] for s in steps)


def test_near_copies_are_listed(tmp_path: Path) -> None:
    grids = [made.scattered(i, 200) for i in range(20)]
    close = grids[3].copy()
    close.ravel()[np.flatnonzero(close)[:2]] = 0
    kept(tmp_path / "train", grids)
    kept(tmp_path / "val", [close])
    found = runvet.profile(tmp_path)
    told = render.as_text("x", [found])
    assert "near copies 1" in told
    assert "near train  1" in told
    plain = render.as_dict("x", [found])["sets"][0]
    assert plain["near_overlap"] == [["val/tree_000.npz", "train/tree_003.npz"]]
    assert [sorted(g) for g in plain["near_copies"]] == [["train/tree_003.npz", "val/tree_000.npz"]]


def test_predictions_without_any_log_are_judged(tmp_path: Path) -> None:
    true = np.random.default_rng(0).normal(size=(800, 2)) * [3.0, 7.0]
    np.savez(tmp_path / "predictions.npz", pred=1000 * true, gt=true)
    assert [f.rule for f in runvet.check(tmp_path).findings] == ["REG103"]
