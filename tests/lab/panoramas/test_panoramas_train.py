"""Sampler, model, losses, and a small training with its resumes, evaluation and pages."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from runvet_lab.base import config as configs
from runvet_lab.panoramas import dataset, infer, loading, losses, metrics, provenance, render, train
from runvet_lab.panoramas.config import Config, Model
from runvet_lab.panoramas.model import Around, Codes, Panoramas, turned
from runvet_lab.panoramas.sampler import Plan, seam
from runvet_lab.panoramas.train import WorldChanged

SMALL = ["data.drives=6", "data.val_drives=3", "data.steps=21", "train.epochs=2", "train.batch_size=4", "train.print_every=4",
         "model.width=8", "model.pose_width=8"]  # fmt: skip


def small(*pairs):
    return configs.load(Config, [], [*SMALL, *pairs])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    train.train(small(), folder)
    infer.evaluate(folder)
    return folder


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("world", "steps"), [(1, 20_000), (2, 10_000), (4, 5_000), (5, 4_000), (8, 2_500), (10, 2_000)]
)
def test_the_length_of_an_epoch_follows_the_world_size(world, steps):
    plan = Plan(40_000, 2, world, 30)
    assert (plan.steps, plan.total) == (steps, 30 * steps)
    assert Plan(40_000, 2, world, 30, fixed=5_000).steps == 5_000


@given(st.integers(1, 5), st.integers(1, 4), st.integers(20, 60), st.sampled_from([0, 3, 7]))
@settings(max_examples=25, deadline=None)
def test_ranks_share_no_sample_within_a_pass(world, batch, samples, fixed):
    plan = Plan(samples, batch, world, 4, fixed)
    dealt = [[list(plan.batches(rank, epoch, 3)) for rank in range(world)] for epoch in range(4)]
    assert all(len(part) == plan.steps for epoch in dealt for part in epoch)
    whole = torch.stack([dealt[e][r][s] for e in range(4) for s in range(plan.steps) for r in range(world)])
    if fixed:  # passes go on over the ends of epochs
        for begin in range(0, len(whole) - samples // batch + 1, samples // batch):
            assert len(whole[begin : begin + samples // batch].unique()) == samples // batch * batch
    else:
        first = whole[: plan.steps * world]
        assert len(first.unique()) == first.numel()


def test_a_seam_is_told_with_its_numbers():
    assert seam(Plan(40_000, 2, 4, 30), Plan(40_000, 2, 4, 30)) == ""
    words = seam(Plan(40_000, 2, 4, 30), Plan(40_000, 2, 5, 30))
    assert "5000 -> 4000" in words
    assert "150000 -> 120000" in words
    with pytest.raises(ValueError, match="make no step"):
        _ = Plan(10, 4, 8, 1).steps


def test_panoramas_have_no_seam():
    torch.manual_seed(0)
    layer, picture = Around(3, 5), torch.randn(2, 3, 7, 12)
    torch.testing.assert_close(layer(picture.roll(5, -1)), layer(picture).roll(5, -1))


def test_turning_by_the_compass():
    picture = torch.randn(3, 3, 4, 36)
    heading = torch.tensor([0.0, math.pi / 2, math.radians(-43.0)])
    north, rest = turned(picture, heading)
    torch.testing.assert_close(north[0], picture[0])
    torch.testing.assert_close(north[1], picture[1].roll(-9, -1))
    torch.testing.assert_close(rest, torch.tensor([0.0, 0.0, math.radians(-3.0)]), atol=1e-5, rtol=0)


def test_what_two_cars_see_of_one_place_is_the_same_after_turning():
    views = dataset.generate([3], drives=1, agents=1, steps=1, columns=360, rows=20)
    other = replace(views, pose=views.pose @ np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    heading = [math.atan2(one.pose[0, 1, 0], one.pose[0, 0, 0]) for one in (views, other)]
    picture = torch.from_numpy(views.colour).permute(0, 3, 1, 2).float()
    seen = picture.roll(
        90, -1
    )  # a car that is turned by 90 degrees to the left has everything 90 degrees further right
    norths = [turned(one, torch.tensor([h]))[0] for one, h in zip((picture, seen), heading, strict=True)]
    torch.testing.assert_close(norths[0], norths[1])


def test_relative_pose_against_matrices():
    views = dataset.generate([1], drives=2, agents=3, steps=3)
    held = loading.held(views, 3, 0)
    move, turn = loading.relative(held.place[held.rows], held.heading[held.rows])
    for sample, which in enumerate(held.rows.tolist()):
        for i in range(3):
            for j in range(3):
                between = np.linalg.inv(views.pose[which[i]]) @ views.pose[which[j]]
                np.testing.assert_allclose(move[sample, i, j], between[:2, 3], atol=1e-3)
                heading = math.atan2(between[1, 0], between[0, 0])
                assert math.remainder(float(turn[sample, i, j]) - heading, 2 * math.pi) == pytest.approx(0, abs=1e-5)


def test_codes_give_poses_that_fit_together():
    torch.manual_seed(0)
    head = Codes(Model(pose_width=8), 21, 84)
    move, turn = head(torch.randn(2, 3, 3, 21, 84), torch.tensor([[0.0, 0.4, -2.0], [0.0, 3.0, 1.0]]))
    torch.testing.assert_close(turn, losses.wrapped(-turn.transpose(1, 2)))
    cos, sin = turn[:, 0, 1].cos(), turn[:, 0, 1].sin()
    onward = torch.stack(
        [cos * move[:, 1, 2, 0] - sin * move[:, 1, 2, 1], sin * move[:, 1, 2, 0] + cos * move[:, 1, 2, 1]], -1
    )
    torch.testing.assert_close(move[:, 0, 1] + onward, move[:, 0, 2], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("share", "weight"), [(0.33, 1.0), (0.03, 1.0), (0.03, 4.0), (0.005, 20.0)])
def test_the_best_constant_of_a_mask(share, weight):
    levels = np.linspace(1e-4, 1 - 1e-4, 200_001)
    each = -(weight * share * np.log(levels) + (1 - share) * np.log(1 - levels))
    assert losses.entropy(share, weight) == pytest.approx(each.min(), abs=1e-6)
    assert losses.entropy(0.0) == 0.0


def test_a_perfect_prediction_has_no_error_and_the_mean_no_skill():
    held = loading.held(dataset.generate([0], drives=4, steps=11, every=5), 2, 0)
    from runvet_lab.panoramas.predict import truth_of

    truth = truth_of(held)
    prior = metrics.prior(truth, 10.0)
    perfect = metrics.errors(truth, truth, prior)
    assert perfect["depth_absrel"] == perfect["trans_rmse_m"] == 0
    assert perfect["mask_iou"] == perfect["scale_ratio"] == perfect["trans_skill"] == 1
    mean = replace(
        truth,
        move=np.broadcast_to(truth.move.mean((0, 1)), truth.move.shape),
        depth=np.broadcast_to(prior.depth, truth.depth.shape),
        mask=np.full_like(truth.mask, truth.mask.mean()),
    )
    flat = metrics.errors(mean, truth, prior)
    assert flat["trans_skill"] == pytest.approx(0, abs=1e-6)
    assert flat["depth_absrel"] == pytest.approx(flat["depth_absrel_baseline"])
    assert flat["mask_bce"] == pytest.approx(flat["mask_bce_constant"], rel=1e-4)


def test_a_run_holds_what_runvet_reads(run):
    held = [row for row in rows(run) if "val/loss" in row]
    assert [row["epoch"] for row in held] == [1, 2]
    for name in ("val/depth_absrel", "val/trans_skill", "val/mask_iou", "val/scale_ratio", "newtown/depth_absrel"):
        assert np.isfinite(held[-1][name])
    steps = [row for row in rows(run) if "train/loss" in row]
    assert {
        "lr",
        "grad_norm",
        "train/pred_mask_mean",
        "train/gt_mask_mean",
        "train/depth_fill",
        "loader_length",
    } <= set(steps[0])
    log = (run / "train.log").read_text()
    assert "Train dataset length: 9" in log
    assert (
        len(re.findall(r"\] Epoch: \[1\]  \[[\d ]+/9\]  eta: \d+:\d\d:\d\d  lr: \d\.\d+  epoch: 1\.\d+ \(", log)) == 3
    )
    assert len(re.findall(r"Test Epoch: \[\d\]  \[\d/\d\] .*GeometryLoss_pose_trans_avg: ", log)) == 2
    (record,) = (run / "environment").iterdir()
    assert json.loads(record.read_text())["world_size"] == 1


def test_an_evaluation_names_its_weights_and_its_baselines(run):
    told = json.loads((run / "eval" / "val_summary.json").read_text())
    assert told["checkpoint_sha256"] == provenance.digest(run / told["checkpoint"])
    assert (told["step"], told["epoch"], told["loader_length"]) in {(9, 1, 9), (18, 2, 9)}
    for name in ("depth_absrel", "trans_rmse_m", "rot_mean_deg", "mask_iou"):
        assert told[name] >= 0
        assert told[f"{name}_baseline"] > 0
    beside = json.loads((run / "eval" / f"val_predictions.npz{provenance.SUFFIX}").read_text())
    assert beside["sha256"] == provenance.digest(run / "eval" / "val_predictions.npz")
    assert beside["config_hash"] == provenance.config_hash(configs.load(Config, [run / "config.yaml"]))


def test_inference_agrees_with_training(run):
    with np.load(run / "parity" / "train_preds.npz") as one, np.load(run / "parity" / "inference_preds.npz") as two:
        assert set(one) == set(two) == {"depth", "mask", "pose_trans", "pose_turn", "scale"}
        for name in one:
            np.testing.assert_allclose(one[name], two[name], rtol=1e-3, atol=1e-5)
    with np.load(run / "parity" / "train_batch.npz") as one, np.load(run / "parity" / "inference_batch.npz") as two:
        assert set(one) == set(two)
        np.testing.assert_allclose(one["img"], two["img"], atol=1e-5)


@pytest.mark.parametrize("how", ["no_norm", "raw", "bgr", "roll"])
def test_every_other_preparation_shows(how):
    colour = np.random.default_rng(0).integers(0, 255, (1, 2, 21, 84, 3)).astype(np.uint8)
    right = infer.pictures(colour, "train")
    assert not torch.allclose(infer.pictures(colour, how), right, atol=0.05)
    with pytest.raises(ValueError, match="no_norm"):
        infer.pictures(colour, "gray")


def test_resuming_is_exact(run, tmp_path):
    folder = tmp_path / "two"
    train.train(small("train.stop_after=1"), folder)
    train.train(small(), folder, resume=True)
    states = [infer.load(one, checkpoint="last").setup.model.state_dict() for one in (run, folder)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_another_world_size_is_refused_or_planned_anew(tmp_path):
    first = ["train.world_size_sim=2", "train.stop_after=1", "train.epochs=3"]
    train.train(small(*first), tmp_path)
    later = ["train.world_size_sim=4", "train.epochs=3"]
    with pytest.raises(WorldChanged, match=r"steps per epoch 4 -> 2"):
        train.train(small(*later), tmp_path, resume=True)
    train.train(small(*later, "train.on_world_change=replan"), tmp_path, resume=True)
    assert "Replanned: world size 2 -> 4, steps per epoch 4 -> 4" in (tmp_path / "train.log").read_text()
    saved = json.loads(max((tmp_path / "checkpoints").glob("step-*/manifest.json")).read_text())
    assert saved["step"] == 12


def test_pages_of_a_sample(run, tmp_path):
    made = render.render(run, tmp_path, "best", "val", 0)
    assert all(path.with_name(path.name + provenance.SUFFIX).exists() for path in made)
    for name in ("panorama", "pointcloud"):
        html = (tmp_path / f"{name}.html").read_text()
        assert "http://" not in html.replace("https://", "http://")
        content = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL).group(1))
        assert len(content["views"]) == 2
        assert (content["rows"], content["columns"]) == (21, 84)
    told = json.loads((tmp_path / "summary.json").read_text())
    assert told["views"][1]["pose_error_m"] >= 0
    assert len(list((tmp_path / "views").glob("*.png"))) == 12
    assert json.loads((tmp_path / "cache" / "index.json").read_text())["0_depth.npy"]["shape"] == [21, 84]
    with pytest.raises(ValueError, match="there is no number 999"):
        render.render(run, tmp_path, "best", "val", 999)
    with pytest.raises(infer.NotARun, match=r"config\.yaml"):
        render.render(tmp_path, tmp_path, "best", "val", 0)
    render.preview(run, "train", 1, tmp_path / "preview.html")
    assert "pred_depth" not in re.search(
        r'id="data">(.*?)</script>', (tmp_path / "preview.html").read_text(), re.DOTALL
    ).group(1)


def test_a_page_has_at_most_so_many_points():
    maps = np.ones((252, 1008), np.float32)
    pose, colour = np.zeros(3, np.float32), np.zeros((252, 1008, 3), np.uint8)
    views = [render.Shown(f"car {k}", colour, maps, maps, maps, maps, pose, pose, 1.0, 1.0) for k in range(4)]
    html = render.cloud_page(views, "", [], "</script>", "pred", "pred")
    content = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL).group(1))
    assert 100_000 < len(content["views"]) * content["rows"] * content["columns"] <= render.POINTS
    assert content["origin"] == "</script>"


def test_frozen_features_by_path(tmp_path):
    config = transformers.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
                                    image_size=32, patch_size=8)  # fmt: skip
    transformers.ViTModel(config).save_pretrained(tmp_path)
    model = Panoramas(Model(backbone=str(tmp_path), width=8, pose_width=8), 21, 84).train()
    pictures, compass = torch.randn(1, 2, 3, 21, 84), torch.zeros(1, 2)
    model(pictures, compass).metres.sum().backward()
    given = model.dense.given
    assert not any(parameter.requires_grad for parameter in given.model.parameters())
    assert not given.model.training
    assert given.project.weight.grad.any()
    with pytest.raises(ValueError, match=r"config\.json"):
        Panoramas(Model(backbone="nowhere"), 21, 84)
