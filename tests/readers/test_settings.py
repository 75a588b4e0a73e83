"""Configuration files of every kind; nothing in them is ever executed."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given
from hypothesis import settings as fuzz
from hypothesis import strategies as st
from reading import claim, read, settings, write

from shared import shared

OPTIONS = """----------------- Options ---------------
               batch_size: 1
                    beta1: 0.9                           \t[default: 0.5]
                 dataroot: ./datasets/maps
                  gpu_ids: 0,1
                  isTrain: True
                epoch_iter: None
----------------- End -------------------
"""


def test_yaml_has_dotted_keys_and_lines(tmp_path: Path) -> None:
    text = "model:\n  type: unet3d\n  levels: [2, 3]\ntraining:\n  lr: 1e-4\n  min_lr: 1.0e-06\n  amp: true\n  resume: null\n"
    path = write(tmp_path, "config.yaml", text)
    assert claim("settings", path) > 0.8
    log = read("settings", path)
    assert settings(log) == {
        "model.type": "unet3d", "model.levels": [2, 3], "training.lr": 1e-4, "training.min_lr": 1e-6,
        "training.amp": True, "training.resume": None,
    }  # fmt: skip
    assert {s.key: s.line for s in log.settings}["training.lr"] == 5


def test_python_tags_stay_inert(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    text = f"""lr: 0.1
bad: !!python/object/apply:os.system ["touch {mark}"]
path: !!python/object/apply:pathlib.PosixPath [data, train]
args: !!python/object:argparse.Namespace
  epochs: 3
name: !!python/name:torch.optim.Adam ''
own: !mine {{a: 1}}
"""
    found = settings(read("settings", write(tmp_path, "hparams.yaml", text)))
    assert not mark.exists()
    assert found["args.epochs"] == 3
    assert found["path"] == ["data", "train"]
    assert found["own.a"] == 1


def test_what_pyyaml_dumps_of_a_namespace(tmp_path: Path) -> None:
    text = yaml.dump(argparse.Namespace(lr=0.5, layers=(1, 2), name="x"))
    assert settings(read("settings", write(tmp_path, "args.yaml", text))) == {"lr": 0.5, "layers": [1, 2], "name": "x"}


def test_aliases_cannot_blow_up(tmp_path: Path) -> None:
    bomb = "a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    merges = "b0: &b0 {x: 1}\n" + "".join(
        f"b{i}: &b{i}\n  <<: [{', '.join([f'*b{i - 1}'] * 9)}]\n" for i in range(1, 12)
    )
    for text in (bomb, merges, "a: &a\n  b: *a\n"):
        start = time.perf_counter()
        log = read("settings", write(tmp_path, "config.yaml", text))
        assert time.perf_counter() - start < 10
        assert len(log.settings) <= 5_000


def test_deep_nesting_is_named(tmp_path: Path) -> None:
    for text in ("[" * 100_000, "- " * 100_000, "{a: " * 50_000, "a: " + "[" * 300 + "]" * 300):
        assert read("settings", write(tmp_path, "config.yaml", text)).problems


def test_damaged_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    log = read("settings", write(tmp_path, "config.yaml", "lr: 1\nepochs: 3\nmodel: [1, 2\nname: x\n"))
    assert log.problems[0].line in (3, 4)


def test_json_toml_ini(tmp_path: Path) -> None:
    wanted = {"lr": 0.1, "net.depth": 3, "net.act": "relu"}
    path = write(tmp_path, "config.json", json.dumps({"lr": 0.1, "net": {"depth": 3, "act": "relu"}}))
    assert claim("settings", path) > 0.7
    assert settings(read("settings", path)) == wanted
    path = write(tmp_path, "config.toml", 'lr = 0.1\n[net]\ndepth = 3\nact = "relu"\n')
    assert claim("settings", path) > 0.7
    assert settings(read("settings", path)) == wanted
    path = write(tmp_path, "train.cfg", "[net]\ndepth = 3\nact = relu\n[opt]\nlr = 0.1\nbatch_size = 8\n")
    assert claim("settings", path) > 0.6
    assert settings(read("settings", path)) == {"net.depth": 3, "net.act": "relu", "opt.lr": 0.1, "opt.batch_size": 8}


def test_config_of_wandb_is_unwrapped(tmp_path: Path) -> None:
    text = "wandb_version: 1\n\n_wandb:\n  desc: null\n  value:\n    cli_version: 0.15\nlr:\n  desc: null\n  value: 0.003\nnet:\n  desc: null\n  value:\n    depth: 2\n"
    assert settings(read("settings", write(tmp_path, "config.yaml", text))) == {"lr": 0.003, "net.depth": 2}


def test_overrides_of_hydra(tmp_path: Path) -> None:
    path = write(tmp_path, ".hydra/overrides.yaml", "- optimizer.lr=0.1\n- +trainer.gpus=2\n")
    assert claim("settings", path) > 0.8
    assert settings(read("settings", path)) == {"overrides.optimizer.lr": "0.1", "overrides.trainer.gpus": "2"}


def test_namespace_as_argparse_prints_it(tmp_path: Path) -> None:
    text = str(
        argparse.Namespace(lr=-1e-3, name="it's (x)", sizes=[1, 2], device=None, fn=print, sub=argparse.Namespace(a=1))
    )
    path = write(tmp_path, "args.txt", text)
    assert claim("settings", path) > 0.8
    found = settings(read("settings", path))
    assert found["lr"] == -0.001
    assert found["name"] == "it's (x)"
    assert found["sizes"] == [1, 2]
    assert found["sub.a"] == 1


def test_a_namespace_is_never_evaluated(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    text = f"Namespace(a=__import__('os').system('touch {mark}'), b=3)"
    assert settings(read("settings", write(tmp_path, "args.txt", text)))["b"] == 3
    assert not mark.exists()


def test_dump_of_options(tmp_path: Path) -> None:
    path = write(tmp_path, "train_opt.txt", OPTIONS)
    assert claim("settings", path) > 0.8
    found = settings(read("settings", path))
    assert found["batch_size"] == 1
    assert found["beta1"] == 0.9
    assert found["isTrain"] is True
    assert found["epoch_iter"] is None


def test_results_are_a_summary(tmp_path: Path) -> None:
    path = write(tmp_path, "all_results.json", json.dumps({"epoch": 3.0, "eval_loss": 0.5}))
    assert claim("settings", path) > 0.5
    assert settings(read("settings", path)) == {"summary.epoch": 3.0, "summary.eval_loss": 0.5}


def test_a_recorded_environment(tmp_path: Path) -> None:
    value = {
        "cwd": "/run",
        "git_commit": "abc",
        "packages": {"torch": "2.5.1"},
        "world_size": 4,
        "command": "torchrun x.py",
    }
    path = write(tmp_path, "env_20251201.json", json.dumps(value))
    assert claim("settings", path) > 0.5
    assert settings(read("settings", path))["packages.torch"] == "2.5.1"


def test_credentials_are_masked(tmp_path: Path) -> None:
    log = read(
        "settings", write(tmp_path, "config.yaml", "wandb_api_key: 0123456789abcdef0123456789abcdef01234567\nlr: 1\n")
    )
    assert "0123456789abcdef" not in str(log.settings)
    assert [e.kind for e in log.events] == ["credential"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tokenizer.json", '{"version": "1.0", "model": {"vocab": {"a": 1}}}'),
        ("package-lock.json", '{"name": "x", "lockfileVersion": 2}'),
        ("palette.json", '{"0": "minecraft:air", "1": "minecraft:oak"}'),
        ("data.json", '{"structure_name": "tree", "size": [16, 16], "num_blocks": 55}'),
        ("captions.json", '{"oak_tree_000": "oak tree", "oak_tree_001": "oak tree"}'),
        ("val_idx0_summary_x.json", '{"checkpoint": "a.pth", "pose_rmse": 7.6}'),
        ("docker-compose.yml", "services:\n  a:\n    image: x\n"),
        ("runvet.toml", "[[expected]]\nepochs = [0, 20]\n"),
        ("pyproject.toml", "[project]\nname = 'x'\n"),
        ("README.txt", "batch size: the number of samples\n"),
        ("notebook.ipynb", '{"cells": []}'),
        ("model.safetensors.index.json", '{"metadata": {"total_size": 1}, "weight_map": {"a": "b"}}'),
    ],
)
def test_other_files_are_not_claimed(tmp_path: Path, name: str, text: str) -> None:
    assert claim("settings", write(tmp_path, name, text)) == 0


@fuzz(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=120) | st.text("abc:&*!?-[]{}<>|=(),'\"#\n 01.e\\", max_size=120).map(str.encode),
    name=st.sampled_from(["config.yaml", "config.json", "config.toml", "config.ini", "opt.txt", "args.txt"]),
)
@example(data=b"Namespace(a=1, b=[[[[", name="args.txt")
@example(data=b"? {? {}: 1}: &a *a", name="config.yaml")
def test_any_bytes_are_survived(tmp_path: Path, data: bytes, name: str) -> None:
    path = write(tmp_path, name, data)
    assert 0 <= claim("settings", path) <= 1
    read("settings", path)


@pytest.mark.shared
def test_cases() -> None:
    run = shared("cases/worlds-dynamics/run")
    found = [settings(read("settings", path)) for path in sorted(run.rglob("config.yaml"))]
    assert [f["n_updates"] for f in found] == [40_000, 10_000, 300_000]
