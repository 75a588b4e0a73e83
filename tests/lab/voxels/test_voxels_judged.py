"""The table's short form: trainings of seconds whose fault shows in what the run kept, judged by `runvet check`.

The full form, with faults that show in samples only, is `make lab-voxels`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from runvet_lab.base.judged import expected
from runvet_lab.voxels import judged
from runvet_lab.voxels.config import CONFIGS

SHORT = ["net.width=16", "net.depth=1", "net.heads=2", "train.max_steps=12", "train.warmup_steps=2", "train.log_every=1", "train.val_every=6",
         "train.sample_every=6", "train.sample_per_class=1", "train.final_per_class=1", "sampling.num_inference_steps=8", "launch.threads=1",
         "launch.accelerator=cpu", "launch.precision=32-true"]  # fmt: skip


def test_short_form(tmp_path: Path) -> None:
    said: list[str] = []
    rows = judged.run(
        tmp_path, ("small", "ids_mismatch", "air255", "soft_leak", "temp_twice"), pairs=SHORT, say=said.append
    )
    assert [row.name for row in rows] == ["small", "air255", "ids_mismatch", "soft_leak", "temp_twice"]
    assert all(row.met for row in rows), "\n".join(said)


def test_every_sick_configuration_says_what_it_expects() -> None:
    for path in (CONFIGS / "sick").glob("*.yaml"):
        want = expected(path)
        assert want.first, path.stem
        assert want.why, path.stem
        assert want.tempting, path.stem


def test_unknown_names_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no configuration nothing; known are small, uniform"):
        judged.run(tmp_path, ("nothing",))
