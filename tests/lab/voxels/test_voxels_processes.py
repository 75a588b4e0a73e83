"""One training on two processes: every process takes its part, and one of them writes and speaks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import runvet
from runvet_lab.voxels import sets

SETTINGS = ["net.width=16", "net.depth=1", "net.heads=2", "text.width=16", "text.buckets=64", "train.max_steps=4", "train.warmup_steps=2",
            "train.batch_size=8", "train.log_every=1", "train.val_every=4", "train.sample_every=4", "train.final_per_class=2",
            "sampling.num_inference_steps=3", "launch.threads=1", "launch.accelerator=cpu", "launch.devices=2"]  # fmt: skip


@pytest.mark.slow
def test_two_processes_make_one_run(tmp_path: Path) -> None:
    sets.write(tmp_path / "data", 40, size=(12, 12, 12), classes=("house", "wall"), held_out=8)
    program = Path(sys.executable).with_name("runvet-lab")
    words = ["voxels", "train", "--config", "small", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [str(program), *words, *SETTINGS], capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("done at step 4") == 1
    assert done.stdout.count("step 4 of 4") == 1
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert len(list((tmp_path / "run" / "samples" / "step_000004").iterdir())) == 4
    trusted = runvet.check(tmp_path / "run").trusted_checkpoint
    assert trusted is not None
    assert trusted.step == 4
