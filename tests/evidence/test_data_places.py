"""Where settings say that the data of each split lie: the same place for two splits, in the words of many tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import runvet
from runvet import api, examples

TRAIN = [2.0 / (1 + i / 20) for i in range(200)]

SAME: dict[str, dict[str, Any]] = {
    "sections": {"data.train.path": "data/train.csv", "data.val.path": "./data/train.csv", "data.val.batch_size": 8, "data.train.batch_size": 32},
    "flat": {"train_data": "corpus/train", "dev_data": "corpus/train"},
    "hugging face": {"train_file": "train.json", "validation_file": "train.json"},
    "splits": {"dataset_train_split": "train", "dataset_test_split": "train"},
    "mmengine": {
        "train_dataloader.dataset.ann_file": "annotations/instances_train2017.json",
        "train_dataloader.dataset.data_prefix.img": "train2017/",
        "train_dataloader.batch_size": 2,
        "train_dataloader.sampler.shuffle": True,
        "train_dataloader.dataset.pipeline": "train_pipeline",
        "val_dataloader.dataset.ann_file": "annotations/instances_train2017.json",
        "val_dataloader.dataset.data_prefix.img": "train2017/",
        "val_dataloader.sampler.shuffle": False,
        "val_dataloader.dataset.pipeline": "test_pipeline",
    },
    "bare": {"train": "images/train", "val": "images/train"},
    "lists": {"data.train_files": ["shards/train_1.tar", "shards/train_0.tar"], "data.valid_files": ["shards/train_0.tar", "shards/train_1.tar"]},
    "trainer": {"trainer.train_data_dir": "/scratch/set/training", "trainer.eval_data_dir": "/scratch/set/training"},
    "detectron": {"DATASETS.TRAIN": ["coco_2017_train"], "DATASETS.TEST": ["coco_2017_train"], "SOLVER.BASE_LR": 0.02},
    "fairseq": {"task.data": "data-bin/wmt", "dataset.train_subset": "train", "dataset.valid_subset": "train"},
    "test": {"data.train_csv": "folds/train.csv", "data.test_csv": "folds/train.csv"},
}  # fmt: skip

APART: dict[str, dict[str, Any]] = {
    "one folder": {"data_dir": "data/imagenet", "epochs": 3},
    "a folder with both": {"train_dir": "data/coco", "val_dir": "data/coco"},
    "splits": {"dataset_name": "squad", "train_split": "train", "eval_split": "validation"},
    "slices": {"train_split": "train[:90%]", "eval_split": "train[90%:]"},
    "a fraction": {"train_path": "data/train.csv", "val_path": "data/train.csv", "val_fraction": 0.1},
    "validation_split": {"train_path": "data/train.csv", "val_path": "data/train.csv", "trainer.validation_split": 0.2},
    "folds": {"train_csv": "train.csv", "val_csv": "train.csv", "fold": 3},
    "the first fold": {"data.train_csv": "train.csv", "data.val_csv": "train.csv", "data.fold": 0},
    "ids": {"data.train.root": "data/train", "data.train.ids": "a.txt", "data.val.root": "data/train", "data.val.ids": "b.txt"},
    "is_train": {"data.train.root": "data/train", "data.train.train": True, "data.val.root": "data/train", "data.val.train": False},
    "a range": {"data.train.path": "train.bin", "data.val.path": "train.bin", "data.val.start": 900_000},
    "an archive": {"train_file": "data/all.h5", "val_file": "data/all.h5"},
    "a table of splits": {"train_csv": "data/metadata.csv", "val_csv": "data/metadata.csv"},
    "overfit": {"train_data": "data/train", "val_data": "data/train", "overfit_batches": 4},
    "a named trial": {"train_data": "data/train", "val_data": "data/train", "experiment_name": "sanity check of the loader"},
    "no data": {"train_transform": "resize", "val_transform": "resize", "train_log_dir": "runs/train", "val_log_dir": "runs/train"},
    "outputs": {"train.output_dir": "out/train", "eval.output_dir": "out/train"},
    "images and labels": {"train_images": "images/train", "val_images": "images/train", "train_ann": "train.json", "val_ann": "val.json"},
    "training too": {"train_data": "data/train", "train_eval_data": "data/train", "val_data": "data/val"},
    "tutorial": {"train": "../coco128/images/train2017", "val": "../coco128/images/train2017"},
    "detectron": {"DATASETS.TRAIN": ["coco_2017_train"], "DATASETS.TEST": ["coco_2017_val"]},
    "fairseq": {"task.data": "data-bin/wmt", "dataset.train_subset": "train", "dataset.valid_subset": "valid"},
    "one data set of a library": {"data.train": "cifar10", "data.val": "cifar10"},
    "environments": {"env.train": "envs/maze.xml", "env.eval": "envs/maze.xml"},
    "checkpoints": {"train.checkpoint": "train/best.pt", "eval.checkpoint": "train/best.pt"},
}  # fmt: skip


def _codes(settings: dict[str, Any], above: float = 0.01) -> dict[str, str]:
    stage = examples.stage(loss=TRAIN, val_loss=[v + above for v in TRAIN[9::10]], settings=settings)
    found = api.judge(examples.run(stage)).findings
    return {f.rule: f.severity for f in found if f.rule == "DATA112"}


@pytest.mark.parametrize("name", SAME)
def test_the_same_place_twice(name: str) -> None:
    assert _codes(SAME[name]) == {"DATA112": "critical"}


@pytest.mark.parametrize("name", APART)
def test_places_that_may_hold_two_parts(name: str) -> None:
    assert _codes(APART[name]) == {}


def test_a_table_of_no_telling_name_is_a_warning() -> None:
    assert _codes({"train_csv": "houses.csv", "val_csv": "houses.csv"}) == {"DATA112": "warning"}


def test_a_held_out_loss_far_above_contradicts() -> None:
    assert _codes(SAME["flat"], above=0.5) == {}


def test_nothing_is_held_out() -> None:
    stage = examples.stage(loss=TRAIN, settings=SAME["flat"])
    assert not [f for f in api.judge(examples.run(stage)).findings if f.rule == "DATA112"]


FORMS = {
    "config.json": json.dumps({"data": {"train": {"path": "d/train.csv"}, "val": {"path": "d/train.csv"}}, "lr": 0.1}),
    "hparams.yaml": "lr: 0.1\nepochs: 3\ndata:\n  train: {path: d/train.csv}\n  val:\n    path: d/train.csv\n",
    "config.toml": 'lr = 0.1\n[data.train]\npath = "d/train.csv"\n[data.val]\npath = "d/train.csv"\n',
    "args.txt": "Namespace(lr=0.1, epochs=3, train_path='d/train.csv', val_path='d/train.csv')\n",
    "config.ini": "[data]\ntrain_path = d/train.csv\nval_path = d/train.csv\n[optim]\nlr = 0.1\nepochs = 3\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_configuration(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FORMS[name])
    rows = [{"epoch": e, "train_loss": TRAIN[e * 5], "val_loss": TRAIN[e * 5] + 0.01} for e in range(40)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert "DATA112" in {f.rule for f in runvet.check(tmp_path).findings}
