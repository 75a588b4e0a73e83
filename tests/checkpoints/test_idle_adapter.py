"""Low-rank adapters whose product is zero, in files as their tools write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import runvet
import weight_files as files
from runvet import examples

NAMES = {
    "peft": "base_model.model.model.layers.{i}.self_attn.q_proj.lora_{f}.weight",
    "diffusers": "unet.down_blocks.{i}.attentions.0.to_q.lora.{g}.weight",
    "kohya": "lora_unet_down_blocks_{i}_attentions_0_proj_in.lora_{g}.weight",
}


def _write(folder: Path, step: int | None, second: float, *, tool: str = "peft", only: int = 4) -> None:
    """An adapter of four modules; `second` is the scale of the factor that starts as zero, in the first `only` of them."""
    rng = np.random.default_rng(step or 0)
    arrays = {}
    for i in range(4):
        for f, g, shape in (("A", "down", (4, 12)), ("B", "up", (12, 4))):
            scale = 0.1 if f == "A" else second * (i < only)
            arrays[NAMES[tool].format(i=i, f=f, g=g)] = (scale * rng.standard_normal(shape)).astype(np.float32)
    name = "adapter" if step is None else f"checkpoint-{step}"
    files.write(folder / name / "adapter_model.safetensors", arrays)


def _codes(folder: Path) -> dict[str, str]:
    return {f.rule: f.severity for f in runvet.check(folder).findings if f.rule == "CKPT123"}


@pytest.mark.parametrize("tool", NAMES)
def test_a_factor_that_is_zero_everywhere(tmp_path: Path, tool: str) -> None:
    files.log(tmp_path, examples.decay(300))
    for step in (100, 200, 300):
        _write(tmp_path, step, 0.0, tool=tool)
    assert _codes(tmp_path) == {"CKPT123": "critical"}


@pytest.mark.parametrize("tool", NAMES)
def test_adapters_that_learnt(tmp_path: Path, tool: str) -> None:
    """One module of four is enough: experts that no token reached stay as they were."""
    files.log(tmp_path, examples.decay(300))
    for step, only in ((100, 1), (200, 4)):
        _write(tmp_path, step, 0.01, tool=tool, only=only)
    assert _codes(tmp_path) == {}


@pytest.mark.parametrize("losses", [0, 300])
def test_without_a_step_only_a_log_tells_that_training_took_place(tmp_path: Path, losses: int) -> None:
    """A freshly made adapter is no failure of any training."""
    if losses:
        files.log(tmp_path, examples.decay(losses))
    _write(tmp_path, None, 0.0)
    assert _codes(tmp_path) == ({"CKPT123": "critical"} if losses else {})
