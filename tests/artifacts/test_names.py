"""What names of files tell: role, step, class, split; which arrays belong together."""

from __future__ import annotations

import pytest

from runvet.artifacts.grouping import groups, label_of, role, split_of, step_of
from runvet.artifacts.model import Contents, Item, evenly
from runvet.artifacts.pairs import files, matched, side


def items(*names: str) -> list[Item]:
    return [Item(name, 1, lambda: Contents({})) for name in names]


@pytest.mark.parametrize(
    ("name", "what", "step"),
    [
        ("outputs/samples/step_001300/sample_0.npz", "samples", 1300),
        ("samples/epoch=199/oak_tree_0.npz", "samples", 199),
        ("results/2026/dynamics/visualizations/dynamics_prediction_step_10000.png", "samples", 10000),
        ("out/generated/iter_500_class_3.png", "samples", 500),
        ("training-runs/00001/fakes000200.png", "samples", 200),
        ("training-runs/00001/reals.png", "data", None),
        ("dataset/sample_0000/voxels.npz", "data", None),
        ("data/structures/oak_tree_000.npz", "data", None),
        ("eval_step_100/gt/000.png", "data", 100),
        ("plots/loss_step_100.png", None, 100),
        ("checkpoints/step_100/optim.npz", None, 100),
        ("parity/train_preds.npz", None, None),
        ("readme.png", None, None),
    ],
)
def test_role_and_step(name: str, what: str | None, step: float | None) -> None:
    assert role(name) == what
    assert step_of(name)[0] == step


def test_labels_and_splits() -> None:
    assert label_of("oak_tree_003.npz") == "oak tree"
    assert label_of("sample_0.npz") == label_of("img_12.png") == label_of("train.npz") == ""
    assert split_of("data/validation/cats/1.png") == "val"
    assert split_of("data/train_64x64/1.png") == "train"
    assert split_of("data/strain/1.png") == ""


def test_groups_go_by_folder_and_bare_numbers_may_be_steps() -> None:
    (group,) = groups(items("samples/100/a.npz", "samples/200/a.npz", "samples/200/b.npz"), (".npz",))
    assert group.steps == (100, 200)
    assert [e.item.name for e in group.last] == ["samples/200/a.npz", "samples/200/b.npz"]
    (numbered,) = groups(items("samples/0.npz", "samples/1.npz", "samples/2.npz"), (".npz",))
    assert numbered.steps == ()
    assert len(numbered.last) == 3


def test_evenly_is_the_same_every_time_and_keeps_both_ends() -> None:
    assert evenly(range(1000), 4) == [0, 333, 666, 999]
    assert evenly([1, 2], 4) == [1, 2]


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["pred", "gt"], [("pred", "gt", "")]),
        (["y_pred", "y_true", "ids"], [("y_pred", "y_true", "")]),
        (["predictions", "targets"], [("predictions", "targets", "")]),
        (
            ["pred_mask", "gt_depth", "gt_mask", "pred_depth"],
            [("pred_mask", "gt_mask", "mask"), ("pred_depth", "gt_depth", "depth")],
        ),
        (["traj_pred", "traj_gt"], [("traj_pred", "traj_gt", "traj")]),
        (["pred_traj", "labels"], [("pred_traj", "labels", "")]),
        (["loss", "step"], []),
        (["pred", "step"], []),
    ],
)
def test_pairs(names: list[str], pairs: list[tuple[str, str, str]]) -> None:
    assert matched(names) == pairs


def test_files_of_one_folder_pair_up() -> None:
    assert files(["a/preds.npy", "a/targets.npy", "b/preds.npy"]) == [("a/preds.npy", "a/targets.npy")]
    assert side("GT") == ("true", ())
    assert side("ground_truth_xy") == ("true", ("xy",))
