"""The Python interface: paths or arrays, notebooks, tests, and the examples of its page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runvet
from runvet.artifacts.model import UnreadableError
from runvet.report import Report
from sample_reports import HOSTILE, everything, hostile

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "runs"
PAGE = ROOT / "docs" / "python.md"
HEALTHY = {"allow": "warnings"}


def solid(n: int = 8, seed: int = 0) -> np.ndarray:
    grids = np.zeros((n, 10, 10, 10), np.int16)
    grids[:, 2:8, 2:8, 2:8] = np.random.default_rng(seed).integers(1, 4, (n, 6, 6, 6))
    return grids


def test_everything_named_exists_and_nothing_else() -> None:
    for name in runvet.__all__:
        assert getattr(runvet, name) is not None
        assert name in dir(runvet)
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = runvet.nothing_such


def test_compare_stays_a_function_whatever_was_imported() -> None:
    import runvet.comparison

    assert callable(runvet.compare)


@pytest.mark.parametrize(
    ("data", "kind", "items"),
    [
        (solid(), "grids", 8),
        (list(solid()), "grids", 8),
        ({"oak_1": solid()[0], "elm_2": solid()[1]}, "grids", 2),
        (np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3)).astype(np.uint8), "pictures", 6),
        (np.random.default_rng(0).integers(0, 256, (6, 16, 16)).astype(np.uint8), "pictures", 6),
        (np.random.default_rng(0).normal(size=(30, 4)), "arrays", 30),
        (np.arange(7.0), "arrays", 7),
    ],
    ids=["stack", "list", "mapping", "pictures", "grey pictures", "vectors", "numbers"],
)
def test_arrays_are_profiled(data: Any, kind: str, items: int) -> None:
    told = runvet.profile(data)
    assert (told.kind, len(told.items)) == (kind, items)


def test_a_profile_of_arrays_is_that_of_their_files(tmp_path: Path) -> None:
    grids = solid()
    for i, grid in enumerate(grids):
        np.savez(tmp_path / f"item_{i:05d}.npz", voxels=grid)
    a, b = runvet.profile(grids), runvet.profile(tmp_path)
    assert [(i.digest, i.filled, i.whole) for i in a.items] == [(i.digest, i.filled, i.whole) for i in b.items]


def test_names_are_classes() -> None:
    grids = solid()
    assert runvet.profile({"oak_1": grids[0], "oak_2": grids[1], "house_1": grids[2]}).labels == {"oak": 2, "house": 1}


@pytest.mark.parametrize("nothing", [[], {}, np.zeros((0, 3)), [np.array(["a", "b"])]])
def test_what_holds_no_item_is_an_error(nothing: Any) -> None:
    with pytest.raises(ValueError, match="no"):
        runvet.profile(nothing)


def test_missing_and_damaged_files_are_errors(tmp_path: Path) -> None:
    for call in (runvet.check, runvet.profile, runvet.connectivity):
        with pytest.raises(FileNotFoundError):
            call(tmp_path / "gone")
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY\x01\x00nonsense")
    with pytest.raises(UnreadableError):
        runvet.connectivity(tmp_path / "bad.npy")
    with pytest.raises(ValueError, match="0 grids"):
        runvet.connectivity(tmp_path)


def test_comparison_tells_medians_and_items_in_both(tmp_path: Path) -> None:
    data = solid(20)
    samples = data[:6].copy()
    samples[1:] = np.random.default_rng(1).integers(0, 2, samples[1:].shape)
    np.save(tmp_path / "samples.npy", samples)
    told = runvet.compare(tmp_path / "samples.npy", data)
    filled = next(d for d in told if d.what == "filled cells")
    assert (filled.second, filled.n, filled.m) == (216, 6, 20)
    assert len(told.in_both) == 1
    assert told[0] == told.differences[0]
    assert len(told) == len(list(told))


def test_connectivity_of_arrays_and_files(tmp_path: Path) -> None:
    grid = np.zeros((8, 8, 8), np.uint8)
    grid[0, 0, :3], grid[7, 7, 7] = 1, 2
    np.savez(tmp_path / "one.npz", voxels=grid)
    told = runvet.connectivity(grid)
    assert (told.count, told.largest, told.filled, told.share) == (2, 3, 4, 0.75)
    assert runvet.connectivity(tmp_path / "one.npz") == told
    assert runvet.connectivity(grid, background=[0, 2]).count == 1
    with pytest.raises(ValueError, match="whole numbers"):
        runvet.connectivity(np.full((3, 3, 3), 0.5))


def test_a_notebook_shows_report_profile_and_comparison() -> None:
    report = runvet.check(EXAMPLES / "diverging")
    shown = report._repr_html_()
    assert "LOSS101" in shown
    assert report.actions[0].do[:20] in shown
    assert "8 grids" in runvet.profile(solid())._repr_html_()
    assert "filled cells" in runvet.compare(solid(), solid(9, 1))._repr_html_()


@pytest.mark.parametrize("report", [hostile(), *(everything(w, w, w) for w in HOSTILE)])
def test_a_notebook_shows_hostile_names_as_text(report: Report) -> None:
    shown = report._repr_html_()
    assert not re.search(r"<(?!/?(?:div|p|b|i|code|table|thead|tbody|tr|th|td|ol|li)\b)", shown)
    assert set(re.findall(r"<\w+ ([\w-]+)=", shown)) <= {"style"}


def test_a_profile_with_hostile_names_is_text() -> None:
    shown = runvet.profile(dict(zip(HOSTILE, solid(), strict=False)))._repr_html_()
    assert "<img" not in shown
    assert "<script" not in shown


def test_assert_sound_gives_the_report_or_says_all() -> None:
    with pytest.raises(AssertionError, match=r"LOSS101 rising-loss[\s\S]*Do this, in this order"):
        runvet.assert_sound(EXAMPLES / "diverging")
    report = runvet.assert_sound(EXAMPLES / "healthy", allow="warnings")
    assert report.verdict in ("sound", "suspect")
    assert runvet.assert_sound(report, allow="warnings") is report


def test_assert_sound_counts_what_it_was_told_to() -> None:
    report = runvet.check(EXAMPLES / "diverging")
    rules = [f.rule for f in report.findings]
    assert runvet.assert_sound(report, ignore=rules) is report
    assert runvet.assert_sound(report, ignore=[f.name for f in report.findings]) is report
    warnings = [f.rule for f in report.findings if f.severity == "warning"]
    with pytest.raises(AssertionError, match="LOSS101"):
        runvet.assert_sound(report, allow="warnings", ignore=warnings)


def test_assert_sound_fails_where_nothing_is_known(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(AssertionError, match="could not be judged"):
        runvet.assert_sound(tmp_path)
    assert runvet.assert_sound(tmp_path, judged=False).verdict == "not judged"


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "runvet.pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_fixture_judges_a_run(tmp_path: Path) -> None:
    (tmp_path / "test_runs.py").write_text(
        f"def test_good(assert_sound):\n    assert_sound({str(EXAMPLES / 'healthy')!r}, allow='warnings')\n\n"
        f"def test_bad(assert_sound):\n    assert_sound({str(EXAMPLES / 'diverging')!r})\n"
    )
    done = run_pytest(tmp_path)
    assert "1 failed, 1 passed" in done.stdout
    assert "LOSS101 rising-loss" in done.stdout


def test_the_plugin_costs_nothing_where_it_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n\ndef test_nothing():\n"
        "    assert 'runvet.pytest' in sys.modules\n"
        "    assert not {'numpy', 'click', 'orjson', 'runvet.api', 'runvet.engine'} & set(sys.modules)\n"
    )
    done = run_pytest(tmp_path)
    assert "1 passed" in done.stdout, done.stdout


def test_the_plugin_is_an_entry_point() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '[project.entry-points.pytest11]\nrunvet = "runvet.pytest"' in text


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 7
    scope: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), scope)
    scope["test_smoke_run"]()
    assert scope["report"].verdict
    assert (tmp_path / "report.html").stat().st_size > 50_000
    trained: list[int] = []

    def train(steps: int, output: Path) -> None:
        trained.append(steps)
        shutil.copytree(EXAMPLES / "healthy", output, dirs_exist_ok=True)

    scope["train"] = train
    scope["test_training_still_works"](runvet.assert_sound, tmp_path / "trained")
    assert trained == [200]
