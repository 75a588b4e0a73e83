"""Which files are one checkpoint, which step they are, and what is missing from them."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runvet.checkpoints import list_checkpoints
from runvet.checkpoints.names import epoch_of, role_of_file, step_of

torch = pytest.importorskip("torch")


def put(path: Path, value=None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"w": torch.ones(2)} if value is None else value, path)


def listed(path: Path, **options):
    return {c.path: c for c in list_checkpoints(path, cache=False, **options)}


@pytest.mark.parametrize(
    ("name", "step", "epoch"),
    [
        ("step_000900.pt", 900, None), ("dynamics_step_44000", 44000, None), ("checkpoint-80", 80, None), ("epoch=100.ckpt", None, 100), ("epoch=3-step=2500.ckpt", 2500, 3),
        ("global_step123", 123, None), ("iter_0000500", 500, None), ("model_650.pt", 650, None), ("ckpt_000010.pt", 10, None), ("weights_04.weights.h5", 4, None), ("epoch_12.pth", None, 12),
        ("checkpoint_epoch_7.pth.tar", None, 7), ("rl_model_5000_steps.zip", 5000, None), ("last.ckpt", None, None), ("best.pt", None, None), ("model-00001-of-00003.safetensors", None, None),
        ("resnet50.pth", None, None), ("llama2_7b.pt", None, None), ("2026_02_06_00_44_31", None, None), ("version_3", None, None), ("0001000.pt", 1000, None), ("vit_b_16.pth", None, None),
        ("ep3.pt", None, 3), ("G_20000.pth", 20000, None), ("network-snapshot-002000.pkl", 2000, None), ("model_step_10_rank_3.pt", 10, None), ("20261121", None, None), ("val_loss=0.123-step=77.ckpt", 77, None),
        ("step=1200-val_loss=0.5.ckpt", 1200, None), ("checkpoint-best.pth", None, None), ("iter-002000-ckpt.pth", 2000, None), ("ema_0.9999_010000.pt", 10000, None), ("model010000.pt", 10000, None),
    ],
)  # fmt: skip
def test_steps_in_names(name, step, epoch):
    assert (step_of(name), epoch_of(name)) == (step, epoch)


@given(st.text(max_size=60))
def test_any_name(name):
    assert step_of(name) is None or step_of(name) >= 0
    assert epoch_of(name) is None or epoch_of(name) >= 0
    assert role_of_file(name) in (None, "optimizer", "ema", "other")


def test_folder_of_model_and_optimizer(tmp_path):
    for step in (100, 200):
        put(tmp_path / f"run/ckpts/dyn_step_{step}/model_state_dict.pt", {} if step == 100 else None)
        put(
            tmp_path / f"run/ckpts/dyn_step_{step}/optim_state_dict.pt",
            {} if step == 100 else {"state": {0: {"exp_avg": torch.ones(3)}}},
        )
    found = listed(tmp_path)
    assert list(found) == ["run/ckpts/dyn_step_100", "run/ckpts/dyn_step_200"]
    first, second = found.values()
    assert (first.step, first.usable, [p.name for p in first.problems]) == (100, False, ["empty-checkpoint"])
    assert (second.step, second.usable, len(second.parts)) == (200, True, 2)
    assert second.groups["optimizer"].parameters == 3
    assert [p.path for p in second.parts] == [f"run/ckpts/dyn_step_200/{n}_state_dict.pt" for n in ("model", "optim")]
    assert [p.step for p in second.parts] == [200, 200]


def test_files_side_by_side_stay_apart(tmp_path):
    for name in ("step_1.pt", "step_2.pt", "latest.pt", "best.pt"):
        put(tmp_path / "epoch_checkpoints" / name)
    assert len(listed(tmp_path)) == 4


def test_model_and_optimizer_with_one_number(tmp_path):
    for step in (650, 700):
        put(tmp_path / f"model_{step:06d}.pt")
        put(tmp_path / f"optim_{step:06d}.pt", {"state": {0: {"m": torch.ones(2)}}})
    found = listed(tmp_path)
    assert [(c.path, c.step, len(c.parts)) for c in found.values()] == [
        ("model_000650.pt", 650, 2),
        ("model_000700.pt", 700, 2),
    ]


def test_huggingface(tmp_path):
    save = pytest.importorskip("safetensors.numpy").save_file
    folder = tmp_path / "out" / "checkpoint-80"
    folder.mkdir(parents=True)
    for i in (1, 2, 3):
        save({f"l{i}": np.ones(3, np.float32)}, folder / f"model-0000{i}-of-00003.safetensors")
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {f"l{i}": f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)}})
    )
    put(folder / "optimizer.pt", {"state": {0: {"exp_avg": torch.ones(2)}}})
    put(folder / "scheduler.pt", {"last_epoch": 3, "_step_count": 4})
    put(folder / "rng_state.pth", {"cpu": torch.get_rng_state()})
    (folder / "trainer_state.json").write_text(
        '{"global_step": 81, "epoch": 1.5, "best_metric": NaN, "log_history": []}'
    )
    save({"w": np.ones(2)}, tmp_path / "out" / "model.safetensors")
    (tmp_path / "out" / "config.json").write_text("{}")
    found = listed(tmp_path)
    assert list(found) == ["out", "out/checkpoint-80"]
    checkpoint = found["out/checkpoint-80"]
    assert (checkpoint.step, checkpoint.name_step, checkpoint.file_step, checkpoint.epoch, checkpoint.kind) == (
        81,
        80,
        81,
        1.5,
        "huggingface",
    )
    assert checkpoint.groups["model"].tensors == 3
    assert checkpoint.usable
    (folder / "model-00002-of-00003.safetensors").unlink()
    checkpoint = listed(tmp_path)["out/checkpoint-80"]
    assert [p.code for p in checkpoint.problems] == ["CKPT103"]
    assert "model-00002-of-00003.safetensors" in checkpoint.problems[0].message
    assert listed(folder)["."].step == 81


def test_index_that_points_outside(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"w": "../../../../etc/passwd"}})
    )
    put(tmp_path / "m" / "model.pt")
    (checkpoint,) = listed(tmp_path, deep=True).values()
    assert [p.name for p in checkpoint.problems] == ["missing-shards"]
    assert [p.path for p in checkpoint.parts] == ["m/model.pt"]


def test_deepspeed(tmp_path):
    folder = tmp_path / "ckpt" / "global_step500"
    put(
        folder / "mp_rank_00_model_states.pt",
        {
            "module": {"w": torch.empty(0), "v": torch.empty(0)},
            "dp_world_size": 4,
            "global_steps": 500,
            "ds_version": "0.14",
        },
    )
    for rank in (0, 1, 3):
        put(
            folder / f"zero_pp_rank_{rank}_mp_rank_00_optim_states.pt",
            {"optimizer_state_dict": {"fp32_flat_groups": [torch.ones(5)]}},
        )
    (tmp_path / "ckpt" / "latest").write_text("global_step500")
    (checkpoint,) = listed(tmp_path).values()
    assert (checkpoint.path, checkpoint.step, checkpoint.kind) == ("ckpt/global_step500", 500, "deepspeed")
    assert [p.code for p in checkpoint.problems] == ["CKPT103"]
    put(
        folder / "zero_pp_rank_2_mp_rank_00_optim_states.pt",
        {"optimizer_state_dict": {"fp32_flat_groups": [torch.ones(5)]}},
    )
    assert listed(tmp_path)["ckpt/global_step500"].usable


def test_ranks_by_name(tmp_path):
    for rank in range(7):
        put(tmp_path / "global_step_20" / "actor" / f"model_world_size_8_rank_{rank}.pt")
    (checkpoint,) = listed(tmp_path).values()
    assert checkpoint.step == 20
    assert "1 of 8 files" in checkpoint.problems[0].message


def test_accelerate_counts_saves(tmp_path):
    folder = tmp_path / "checkpoint_3"
    put(folder / "pytorch_model.bin")
    put(folder / "random_states_0.pkl", {"step": 0})
    (checkpoint,) = listed(tmp_path).values()
    assert (checkpoint.step, checkpoint.kind) == (None, "accelerate")
    put(folder / "custom_checkpoint_0.pkl", {"step": 90})
    assert listed(tmp_path)["checkpoint_3"].step == 90


def test_what_is_no_checkpoint(tmp_path):
    put(tmp_path / "data" / "train.pt", torch.ones(4))
    put(tmp_path / "results.pt", {"accuracy": 0.5, "loss": [1.0, 2.0]})
    (tmp_path / "samples").mkdir()
    np.savez(tmp_path / "samples" / "step_100.npz", x=np.ones(3))
    np.savez(tmp_path / "predictions.npz", x=np.ones(3))
    np.save(tmp_path / "latents.npy", np.ones(3))
    (tmp_path / "vocab.pkl").write_bytes(b"\x80\x02}.")
    (tmp_path / "random.bin").write_bytes(b"abc" * 100)
    assert listed(tmp_path) == {}


def test_code_hidden_in_any_pickle_is_listed(tmp_path):
    (tmp_path / "vocab.pkl").write_bytes(b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.")
    assert listed(tmp_path)["vocab.pkl"].dangerous == ("os.system",)


def test_links(tmp_path):
    put(tmp_path / "step_5.pt")
    (tmp_path / "last.pt").symlink_to("step_5.pt")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "broken.pt").symlink_to("nowhere")
    assert list(listed(tmp_path)) == ["step_5.pt"]


def test_one_file_and_no_file(tmp_path):
    put(tmp_path / "step_5.pt")
    assert listed(tmp_path / "step_5.pt")["step_5.pt"].step == 5
    with pytest.raises(FileNotFoundError):
        list_checkpoints(tmp_path / "none")


def test_order_is_by_step(tmp_path):
    for step in (1000, 20, 300):
        put(tmp_path / f"step_{step}.pt")
    assert [c.step for c in listed(tmp_path).values()] == [20, 300, 1000]


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_executors_give_the_same(tmp_path, pool):
    for step in range(5):
        put(tmp_path / f"step_{step}.pt", {"w": torch.full((3,), float(step))})
    alone = listed(tmp_path, deep=True)
    with pool(2) as executor:
        together = listed(tmp_path, deep=True, executor=executor)
    assert [c.values.digest for c in alone.values()] == [c.values.digest for c in together.values()]
    assert [c.tensors for c in alone.values()] == [c.tensors for c in together.values()]
