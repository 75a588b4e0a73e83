"""Checkpoints of many ranks: DeepSpeed's and Megatron's layouts, torch.distributed.checkpoint, and what changed in them."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import weight_files as files
from runvet.checkpoints import Checkpoint, list_checkpoints
from runvet.drift import Difference, difference

torch = pytest.importorskip("torch")


def put(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(value, path)


def weights(step: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    start = {"enc.0.weight": (6, 4), "enc.0.bias": (6,), "head.weight": (3, 6)}
    return {n: torch.randn(s, generator=generator) * (1 + 0.01 * step * n.startswith("enc")) for n, s in start.items()}


def zero(folder: Path, step: int, ranks: int, *, stage: int) -> None:
    """The files of DeepSpeed's engine: at stage 3 each rank has its part of the weights, flat, in the optimizer's file."""
    own = folder / f"global_step{step}"
    model = weights(step)
    about = {"param_shapes": [{n: w.shape for n, w in model.items()}], "global_steps": step, "dp_world_size": ranks,
             "mp_world_size": 1, "ds_version": "0.14.0", "ds_config": {"zero_optimization": {"stage": stage}}}  # fmt: skip
    flat = torch.cat([w.flatten() for w in model.values()])
    flat = torch.nn.functional.pad(flat, (0, -len(flat) % ranks)).chunk(ranks)
    for rank in range(ranks):
        if stage == 3 or rank == 0:
            name = f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt" if stage == 3 else "mp_rank_00_model_states.pt"
            put(own / name, {"module": {n: torch.empty(0) for n in model} if stage == 3 else model, **about})
        states = {"state": {0: {"step": step, "exp_avg": flat[rank].clone(), "exp_avg_sq": flat[rank] ** 2}}}
        parts = {"fp32_flat_groups" if stage == 3 else "single_partition_of_fp32_groups": [flat[rank].clone()]}
        put(
            own / f"{'' if stage == 3 else 'bf16_'}zero_pp_rank_{rank}_mp_rank_00_optim_states.pt",
            {
                "optimizer_state_dict": {
                    "base_optimizer_state": states,
                    "zero_stage": stage,
                    "partition_count": ranks,
                    **parts,
                }
            },
        )
    (folder / "latest").write_text(own.name)


def megatron(folder: Path, step: int, tensor: int, pipeline: int) -> None:
    """The files of megatron/training/checkpointing.py: a folder a rank, its stage in the name where there are several."""
    args = argparse.Namespace(tensor_model_parallel_size=tensor, pipeline_model_parallel_size=pipeline, lr=1e-4)
    for t in range(tensor):
        for p in range(pipeline):
            name = f"mp_rank_{t:02d}" + (f"_{p:03d}" if pipeline > 1 else "")
            model = {"language_model": {"encoder": weights(step)}}
            put(
                folder / f"iter_{step:07d}" / name / "model_optim_rng.pt",
                {"args": args, "checkpoint_version": 3.0, "iteration": step, "model": model, "rng_state": [{}],
                 "optimizer": {"optimizer": {"state": {0: {"exp_avg": torch.ones(6)}}, "param_groups": [{"lr": 1e-4}]}}},
            )  # fmt: skip
    (folder / "latest_checkpointed_iteration.txt").write_text(str(step))


def listed(path: Path) -> list[Checkpoint]:
    return list_checkpoints(path, deep=True, cache=False)


def apart(path: Path, before: str = "100", after: str = "200") -> Difference:
    return difference(path, list_checkpoints(path, cache=False), before, after)


@pytest.mark.parametrize("stage", [1, 3])
def test_deepspeed_misses_the_last_rank(tmp_path, stage):
    """No name says how many ranks there are: the model's file does."""
    zero(tmp_path, 100, 4, stage=stage)
    (found,) = listed(tmp_path)
    assert (found.kind, found.step, found.usable, found.finite) == ("deepspeed", 100, True, True)
    assert found.groups["optimizer"].tensors == 12
    last = next((tmp_path / "global_step100").glob("*zero_pp_rank_3_*_optim_states.pt"))
    last.unlink()
    (found,) = listed(tmp_path)
    assert [p.name for p in found.problems] == ["missing-shards"]
    assert last.name in found.problems[0].message


@pytest.mark.parametrize(("tensor", "pipeline", "last"), [(2, 1, "mp_rank_01"), (2, 2, "mp_rank_01_001")])
def test_megatron(tmp_path, tensor, pipeline, last):
    for step in (100, 200):
        megatron(tmp_path, step, tensor, pipeline)
    first, second = listed(tmp_path)
    assert (first.path, first.kind, first.step, first.usable) == ("iter_0000100", "megatron", 100, True)
    assert len(second.parts) == tensor * pipeline
    assert second.groups["model"].tensors == 3 * tensor * pipeline
    (alone,) = listed(tmp_path / "iter_0000200")
    assert (alone.kind, alone.step, len(alone.parts)) == ("megatron", 200, tensor * pipeline)
    made = {m.name: (m.tensors, round(m.relative, 6)) for m in apart(tmp_path).modules}
    assert made == {"language_model.encoder": (3 * tensor * pipeline, pytest.approx(made["language_model.encoder"][1]))}
    shutil.rmtree(tmp_path / "iter_0000200" / last)
    _, second = listed(tmp_path)
    assert [p.message for p in second.problems] == [f"1 of {tensor * pipeline} files are missing: {last}"]


@pytest.mark.parametrize(("stage", "module"), [(1, "enc.0"), (3, "optimizer_state_dict.fp32_flat_groups")])
def test_difference_of_deepspeed(tmp_path, stage, module):
    for step in (100, 200):
        zero(tmp_path, step, 2, stage=stage)
    made = {m.name: m.relative for m in apart(tmp_path).modules}
    assert made[module] == pytest.approx(0.5, rel=1e-5) if stage == 1 else 0 < made[module] < 0.5
    if stage == 1:
        assert made["head"] == 0


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_difference_of_distributed_folders(tmp_path):
    """torch.distributed.checkpoint, with tensors in one block and in several."""
    from torch.distributed import checkpoint as dcp

    for step in (100, 200):
        dcp.save({"model": weights(step), "step": step}, checkpoint_id=tmp_path / f"step_{step}", no_dist=True)
    made = {m.name: (m.tensors, m.relative) for m in apart(tmp_path).modules}
    assert made["enc.0"] == (2, pytest.approx(0.5, rel=1e-5))
    assert made["head"] == (1, 0.0)


def test_difference_of_shards_that_are_cut_in_other_ways(tmp_path):
    for step, cuts in ((100, 1), (200, 3)):
        arrays = {n: w.numpy() for n, w in weights(step).items()}
        groups = [list(arrays)[i::cuts] for i in range(cuts)]
        places = [f"model-{i + 1:05d}-of-{cuts:05d}.safetensors" for i in range(cuts)]
        for place, names in zip(places, groups, strict=True):
            files.write(tmp_path / f"checkpoint-{step}" / place, {n: arrays[n] for n in names})
        index = {"weight_map": {n: p for p, names in zip(places, groups, strict=True) for n in names}}
        (tmp_path / f"checkpoint-{step}" / "model.safetensors.index.json").write_text(json.dumps(index))
    made = {m.name: (m.tensors, m.relative) for m in apart(tmp_path).modules}
    assert made == {"enc.0": (2, pytest.approx(0.5, rel=1e-5)), "head": (1, 0.0)}
    assert apart(tmp_path).only_after == ()


def test_blocks_that_are_cut_in_other_ways():
    """The values of one tensor, in blocks of rows whose borders differ."""
    from runvet.checkpoints.content import Found, Piece, Store, contiguous
    from runvet.checkpoints.difference import _change, _comparable
    from runvet.checkpoints.model import Tensor
    from runvet.checkpoints.window import Window

    values = np.arange(60, dtype="<f4").reshape(10, 6)

    def found(array: np.ndarray, *rows: int) -> Found:
        parts = np.split(array, rows)
        stores = [Store(i, p.nbytes, lambda p=p: Window.memory(p.tobytes())) for i, p in enumerate(parts)]
        pieces = [Piece(s, "float32", 0, p.shape, contiguous(p.shape)) for s, p in zip(stores, parts, strict=True)]
        return Found(Tensor("w", array.shape, "float32"), tuple(pieces))

    old, new = found(values, 5), found(values + 1, 2, 7)
    assert _comparable(old, new)
    change = _change(old, new)
    assert change.largest == 1
    assert change.distance == pytest.approx(60**0.5)
    columns = Found(old.tensor, tuple(Piece(p.store, "float32", 0, (10, 3), (3, 1)) for p in old.pieces))
    assert not _comparable(old, columns)
