"""Figures: what is drawn under which finding, from the right numbers, bounded and always the same."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import orjson
import pytest

from runvet import api, examples
from runvet import examples_artifacts as artifacts
from runvet.artifacts.grids import connectivity
from runvet.artifacts.labels import named_ids
from runvet.artifacts.memory import in_memory
from runvet.artifacts.png import decode
from runvet.config import Config
from runvet.figures import drawing, items, outputs, palette, thumbnails, voxels
from runvet.figures.histograms import histogram
from runvet.report import Figure, Finding
from runvet.run import Run


def run_with(files: dict[str, Any]) -> Run:
    return examples.run(examples.stage(loss=examples.decay()), files=files)


def floating() -> Run:
    """Trees as data, single blocks in the air as samples."""
    made = [artifacts.scattered(i, 60) for i in range(6)]
    return run_with(
        artifacts.grids("samples/step_100", made) | artifacts.grids("data", [artifacts.tree(i) for i in range(40)])
    )


def drawn(run: Run) -> tuple[tuple[Finding, ...], tuple[Figure, ...]]:
    report = api.judge(run, figures=True)
    return report.findings, report.figures


def cells(grid: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(grid["cells"]), np.uint8).reshape(-1, 5)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_thumbnail_is_the_picture(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (37, 21, channels)).astype(np.uint8)
    assert np.array_equal(decode(thumbnails.png(pixels)), pixels)
    told = thumbnails.thumbnail(pixels)
    assert (told["w"], told["h"]) == (21, 37)
    assert np.array_equal(decode(base64.b64decode(told["png"])), pixels)


def test_a_large_picture_becomes_the_means_of_its_blocks() -> None:
    pixels = np.zeros((400, 800, 3), np.uint8)
    pixels[:, 400:] = 200
    told = thumbnails.thumbnail(pixels, 100)
    small = decode(base64.b64decode(told["png"]))
    assert small.shape == (50, 100, 3)
    assert (small[:, :50] == 0).all()
    assert (small[:, 50:] == 200).all()


def test_a_map_with_holes_is_drawn() -> None:
    values = np.array([[0.0, 1.0, np.nan, np.inf]] * 5)
    assert decode(base64.b64decode(thumbnails.heat(values, 0, 1)["png"]))[0].ravel().tolist() == [0, 255, 0, 0]


def test_only_the_surface_of_a_solid_is_sent() -> None:
    grid = np.zeros((7, 7, 7), np.int64)
    grid[1:6, 1:6, 1:6] = 3
    found = voxels.shown("", [("all", [voxels.Solid("a", "", grid, frozenset({0}))])], (), None)
    sent = cells(found.data["groups"][0]["grids"][0])
    assert len(sent) == 5**3 - 3**3
    corner = next(c for c in sent.tolist() if c[:3] == [1, 1, 1])
    assert corner[4] == 0b010101, (
        "the corner at the low ends shows its three low faces, and is neither loose nor foreign"
    )
    assert sum(bin(m & 63).count("1") for m in sent[:, 4].tolist()) == 6 * 25


def test_loose_and_foreign_cells_are_marked() -> None:
    grid = np.zeros((9, 9, 9), np.int64)
    grid[0:3, 0, 0] = 1
    grid[8, 8, 8] = 7
    found = voxels.shown("", [("all", [voxels.Solid("a", "", grid, frozenset({0}))])], {0, 1}, None)
    sent = cells(found.data["groups"][0]["grids"][0])
    marks = {tuple(c[:3]): c[4] >> 6 for c in sent.tolist()}
    assert marks == {(0, 0, 0): 0, (1, 0, 0): 0, (2, 0, 0): 0, (8, 8, 8): 3}
    assert [(p["id"], p["foreign"]) for p in found.data["palette"]] == [(1, False), (7, True)]


def test_loose_cells_are_those_outside_the_largest_part() -> None:
    rng = np.random.default_rng(0)
    for density in (0.05, 0.3, 0.5):
        filled = rng.random((14, 9, 11)) < density
        told = connectivity(filled)
        assert int(filled.sum() - voxels._loose(filled).sum()) == told.largest


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_trees_stand_upright_whatever_axis_they_grow_along(axis: int) -> None:
    trees = [np.moveaxis(artifacts.tree(i), 1, axis) > 0 for i in range(6)]
    assert voxels._upright(trees) == axis


def test_a_huge_grid_is_bounded_and_says_so() -> None:
    grid = np.random.default_rng(0).integers(0, 2, (200, 64, 64))
    told = voxels.shown("", [("all", [voxels.Solid("a", "", grid, frozenset({0}))])], (), None).data["groups"][0][
        "grids"
    ][0]
    assert told["thinned"] == 3
    assert len(cells(told)) <= voxels.CELLS
    assert max(told["size"]) <= voxels.SIDE


@pytest.mark.parametrize(
    "plain",
    [
        {"0": "air", "2": "minecraft:oak_leaves"},
        {"air": 0, "minecraft:oak_leaves": 2},
        ["air", "", "minecraft:oak_leaves"],
    ],
)
def test_names_of_ids(plain: Any) -> None:
    names = named_ids(in_memory({"data/palette.json": plain}))
    assert palette.entry(2, names[2], 0) == {"id": 2, "name": "oak_leaves", "colour": palette.WORDS["leaves"]}


def test_ids_without_names_get_colours_of_their_own() -> None:
    assert len({palette.spread(i) for i in range(40)}) == 40


def test_histograms_share_their_bins() -> None:
    told = histogram("x", [("a", np.array([1.0, 2, 2, np.nan])), ("b", np.arange(100.0))])
    assert told is not None
    assert [s["n"] for s in told["sets"]] == [3, 100]
    assert all(abs(sum(s["shares"]) - 1) < 1e-2 for s in told["sets"])
    assert told["sets"][0]["values"] == [1, 2, 2]
    assert told["sets"][1]["values"] == []
    assert histogram("x", [("a", np.array([np.nan]))]) is None
    constant = histogram("x", [("a", np.full(5, 2.5))])
    assert constant is not None
    assert constant["sets"][0]["shares"] == [1.0]


def test_floating_samples_stand_under_their_finding_beside_the_data() -> None:
    found, figures = drawn(floating())
    assert "GEN102" in {f.rule for f in found}
    grids = next(f for f in figures if f.kind == "grids")
    assert "GEN102" in grids.rules
    labels = [g["label"] for g in grids.data["groups"]]
    assert labels == ["samples, step 100", "data"]
    samples, data = (g["grids"] for g in grids.data["groups"])
    assert all((cells(g)[:, 4] & 64).any() for g in samples)
    assert not any((cells(g)[:, 4] & 64).any() for g in data)
    panel = next(f for f in figures if f.kind == "histograms").data["panels"][1]
    assert [s["name"] for s in panel["sets"]] == ["samples", "data"]
    assert panel["sets"][0]["median"] < 0.5 < panel["sets"][1]["median"] == 1


def test_the_same_run_gives_the_same_figures() -> None:
    assert drawn(floating())[1] == drawn(floating())[1]


def test_a_healthy_run_has_figures_under_no_finding() -> None:
    trees = [artifacts.tree(i) for i in range(60)]
    found, figures = drawn(
        run_with(artifacts.grids("samples/step_100", trees[:8]) | artifacts.grids("data", trees[20:]))
    )
    assert found == ()
    assert [f.kind for f in figures] == ["grids", "histograms"]
    assert all(f.rules == () for f in figures)


def test_figures_are_made_only_when_asked_for() -> None:
    assert api.judge(floating()).figures == ()


def test_what_does_not_fit_is_named() -> None:
    run = floating()
    found = api.judge(run).findings
    whole = drawing.of(run, Config(), found)
    small = drawing.of(run, Config(), found, budget=3_000)
    assert sum(len(orjson.dumps(f.data)) for f in small) <= 3_000
    assert small[-1].kind == "note"
    assert next(f.title for f in whole if f.kind == "grids") in small[-1].note


def test_a_figure_that_fails_takes_no_other_along(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Any:
        raise RuntimeError("no ink")

    monkeypatch.setattr(drawing, "BUILDERS", {**drawing.BUILDERS, voxels.GridSamples: fails})
    run = run_with(
        artifacts.grids("samples/step_100", [artifacts.tree(i) for i in range(6)])
        | artifacts.grids("data", [artifacts.tree(i) for i in range(9)])
        | {"predictions.npz": {"pred": np.random.default_rng(0).normal(size=(40, 3)), "gt": np.random.default_rng(1).normal(size=(40, 3))}}
    )  # fmt: skip
    figures = drawing.of(run, Config(), ())
    assert [f.kind for f in figures] == ["note", "scatter"]
    assert "no ink" in figures[0].note


def paths(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Turning paths (n, 12, 2) and the four points before each, 1 apart."""
    rng = np.random.default_rng(0)
    turn = rng.normal(0, 0.1, (n, 1))
    angle = rng.uniform(0, 6.28, (n, 1)) + turn * np.arange(16)
    walk = np.cumsum(np.stack([np.cos(angle), np.sin(angle)], axis=2), axis=1)
    return walk[:, :4], walk[:, 4:]


def test_plan_views_show_constant_velocity_from_the_history() -> None:
    past, future = paths()
    run = run_with({"predictions.npz": {"pred": future + 0.5, "gt": future, "history": past}})
    plan = next(f for f in drawn(run)[1] if f.kind == "paths")
    roles = [line["role"] for line in plan.data["items"][0]["lines"]]
    assert roles == ["truth", "prediction", "steady"]
    first = plan.data["items"][0]
    steady = np.array(first["lines"][2]["points"]).reshape(-1, 2)
    sample = int(first["name"].split()[1])
    step = past[sample, -1] - past[sample, -2]
    assert np.allclose(steady, past[sample, -1] + step * np.arange(1, 13)[:, None], rtol=1e-3)


def test_without_history_the_first_true_points_go_on() -> None:
    _, future = paths()
    plan = next(
        f for f in drawn(run_with({"predictions.npz": {"pred": future * 0.9, "gt": future}}))[1] if f.kind == "paths"
    )
    assert "no history is stored" in plan.note
    steady, truth = (np.array(plan.data["items"][0]["lines"][i]["points"]).reshape(-1, 2) for i in (2, 0))
    assert np.allclose(steady[:2], truth[:2])


def test_scatter_keeps_both_extremes() -> None:
    true = np.zeros((5_000, 2))
    true[1_234, 1], true[77, 0] = 9.5, -3.25
    figure = outputs.scatter("x", true, true * 2)
    assert (min(figure.data["x"]), max(figure.data["x"])) == (-3.25, 9.5)
    assert figure.data["ranges"]["y"] == {"low": -6.5, "high": 19, "low95": 0, "high95": 0, "median": 0}
    assert len(figure.data["x"]) <= outputs.POINTS + 4


def test_outputs_that_are_maps_are_shown_on_one_scale() -> None:
    rng = np.random.default_rng(0)
    maps = rng.random((30, 16, 24))
    run = run_with({"predictions.npz": {"pred_depth": maps * 0.2, "gt_depth": maps}})
    sheet = next(f for f in drawn(run)[1] if f.kind == "sheet")
    truth, pred = ([decode(base64.b64decode(i["png"])).mean() for i in g["items"]] for g in sheet.data["groups"])
    assert max(pred) < 0.3 * min(truth)


def test_items_are_found_again_by_the_names_that_a_profile_gives() -> None:
    stack = np.random.default_rng(0).integers(0, 5, (7, 8, 8, 8))
    kept = in_memory({"data/all.npz": {"voxels": stack}, "data/photo.png": {"image": np.zeros((9, 9, 3), np.uint8)}})
    third = items.array_of(kept, "data/all.npz[3]")
    assert third is not None
    assert np.array_equal(third, stack[3])
    assert items.array_of(kept, "data/photo.png") is not None
    assert items.array_of(kept, "data/gone.npz[1]") is None
    assert items.array_of(kept, "data/all.npz[99]") is None


def test_constant_pictures_of_the_data_are_shown() -> None:
    photos = {f"data/train/photo_{i:03d}.png": {"image": artifacts.scene(i)} for i in range(30)}
    black = {f"data/train/black_{i:03d}.png": {"image": np.zeros((48, 48, 3), np.uint8)} for i in range(20)}
    found, figures = drawn(run_with({**photos, **black}))
    codes = {f.rule for f in found if f.rule.startswith("DATA")}
    assert codes
    sheet = next(f for f in figures if f.kind == "sheet")
    assert codes <= set(sheet.rules)
    assert sheet.data["groups"][0]["label"] == "constant"
