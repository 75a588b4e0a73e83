"""`runvet checkpoints`: table, JSON contract, exit status, comparison, manifests."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import weight_files as files
from runvet import examples
from runvet.checkpoints import manifest
from runvet.cli.main import main


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNVET_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    files.log(tmp_path, examples.decay(1000))
    for step in (200, 400, 600):
        files.write(tmp_path / f"ckpt/step_{step}.safetensors", files.weights(step))
    return tmp_path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["checkpoints", *map(str, arguments)], env={"COLUMNS": "120"})


def test_the_table(run: Path) -> None:
    files.write(run / "ckpt/last.safetensors", files.weights(600))
    files.write(run / "ckpt/step_800.safetensors", {})
    done = call(run)
    assert done.exit_code == 1
    rows = {
        line.split()[1]: line
        for line in done.output.splitlines()
        if line.split()[1:2] and line.split()[1].endswith(".safetensors") and line.split()[0].isdigit()
    }
    assert list(rows) == [f"step_{s}.safetensors" for s in (200, 400, 600, 800)]
    assert "100 %" in rows["step_400.safetensors"]
    assert rows["step_600.safetensors"].split()[-1] == "yes"
    assert "NO empty" in rows["step_800.safetensors"]
    assert "a copy" in next(line for line in done.output.splitlines() if "last.safetensors" in line)
    assert "Trusted checkpoint: ckpt/step_600.safetensors" in done.output
    assert "CKPT101 empty-checkpoint" in done.output


def test_all_fine(run: Path) -> None:
    done = call(run)
    assert done.exit_code == 0
    assert "the newest" in done.output


def test_nothing_to_judge(tmp_path: Path) -> None:
    files.log(tmp_path, examples.decay(100))
    assert call(tmp_path).exit_code == 2
    missing = call(tmp_path / "nowhere")
    assert missing.exit_code == 2
    assert "no such file or folder" in missing.output


def test_the_contract(run: Path) -> None:
    files.write(
        run / "ckpt/step_800.safetensors", {**files.weights(800), "head.weight": np.full((6, 6), np.nan)}, step="800"
    )
    done = call(run, "--deep", "--format", "json")
    assert done.exit_code == 1
    told = json.loads(done.output)
    assert told["schema_version"] == 1
    assert told["trusted"]["step"] == 600
    assert set(told["trusted"]) == {"path", "step", "why"}
    by_path = {c["path"]: c for c in told["checkpoints"]}
    bad, good = by_path["ckpt/step_800.safetensors"], by_path["ckpt/step_600.safetensors"]
    assert good["finite"] is True
    assert good["usable"] is True
    assert good["tensors"] == 4
    assert good["parameters"] == 3 * 36 + 6
    assert good["groups"] == {"model": {"tensors": 4, "parameters": 114}}
    assert good["dtypes"] == {"float32": 4}
    assert good["changed"] == 1.0
    assert bad["finite"] is False
    assert bad["usable"] is False
    assert [p["rule"] for p in bad["problems"]] == ["CKPT104"]
    assert [f["rule"] for f in told["findings"]] == ["CKPT104"]


@pytest.mark.parametrize("form", ["concise", "markdown", "sarif", "junit", "github", "html"])
def test_the_other_formats_tell_the_findings(run: Path, form: str) -> None:
    files.write(run / "ckpt/step_800.safetensors", {})
    done = call(run, "--format", form)
    assert done.exit_code == 1
    assert "CKPT101" in done.output


def test_output_goes_to_a_file(run: Path, tmp_path: Path) -> None:
    place = tmp_path / "out.json"
    assert call(run, "--format", "json", "--output", place).exit_code == 0
    assert len(json.loads(place.read_text())["checkpoints"]) == 3


def test_a_single_file(run: Path) -> None:
    done = call(run / "ckpt/step_200.safetensors", "--format", "json")
    assert done.exit_code == 0
    assert [c["path"] for c in json.loads(done.output)["checkpoints"]] == ["step_200.safetensors"]


def test_difference_by_module(run: Path) -> None:
    done = call(run, "--diff", "200", "ckpt/step_600.safetensors", "--format", "json")
    assert done.exit_code == 0
    told = {m["name"]: m for m in json.loads(done.output)["modules"]}
    a, b = files.weights(200), files.weights(600)
    for module in ("encoder.0", "decoder.0", "head"):
        names = [n for n in a if n.startswith(module)]
        apart = np.sqrt(sum(((b[n] - a[n]).astype(float) ** 2).sum() for n in names))
        size = np.sqrt(sum((a[n].astype(float) ** 2).sum() for n in names))
        assert told[module]["relative"] == pytest.approx(apart / size)
        assert told[module]["tensors"] == len(names)
    text = call(run, "--diff", "200", "600")
    assert "encoder.0" in text.output


def test_difference_tells_what_only_one_has(run: Path) -> None:
    files.write(run / "ckpt/step_800.safetensors", {"extra.weight": np.ones((2, 2)), **files.weights(800)})
    told = json.loads(call(run, "--diff", "600", "800", "--format", "json").output)
    assert told["only_after"] == ["extra.weight"]
    assert told["only_before"] == []


@pytest.mark.parametrize("names", [("200", "999"), ("200", "step")])
def test_difference_of_what_is_not_there(run: Path, names: tuple[str, str]) -> None:
    done = call(run, "--diff", *names)
    assert done.exit_code == 2
    assert "no checkpoint" in done.output


def test_manifests(run: Path) -> None:
    absent = call(run, "--verify")
    assert absent.exit_code == 1
    assert "no manifest" in absent.output
    for file in sorted((run / "ckpt").glob("*.safetensors")):
        manifest.sidecar(file).write_bytes(
            manifest.Manifest((manifest.entry(file.parent, file.name),), writer="runvet").to_json()
        )
    fine = call(run, "--verify")
    assert fine.exit_code == 0
    assert "every file is as it was written" in fine.output
    broken = run / "ckpt/step_400.safetensors"
    data = bytearray(broken.read_bytes())
    data[-1] ^= 1
    broken.write_bytes(data)
    os.utime(broken, (1e9, 1e9))
    done = call(run, "--verify", "--format", "json")
    assert done.exit_code == 1
    assert any("step_400" in p["message"] and "SHA-256" in p["message"] for p in json.loads(done.output)["verified"])


def test_the_cache_can_be_left_alone(run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RUNVET_CACHE", str(tmp_path / "cache"))
    call(run, "--no-cache")
    assert not (tmp_path / "cache").exists()
    call(run)
    assert (tmp_path / "cache").exists()
