"""Training, resuming, evaluating and the page, on a few scenes."""

import json
import re

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist

from runvet_lab.base import config as configs
from runvet_lab.trajectories import evaluate, losses, metrics, setup, train, view
from runvet_lab.trajectories.config import Config, Model, Train
from runvet_lab.trajectories.model import Regressor, Sentence, freeze, velocity_prior

SMALL = ["data.scenes=12", "train.epochs=3", "launch.threads=1", "model.width=32"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    train.train(configs.load(Config, [], SMALL), folder)
    return folder


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_run_holds_what_runvet_reads(run):
    found = rows(run)
    assert [row["epoch"] for row in found] == [1, 2, 3]
    assert found[-1]["train/loss"] < found[0]["train/loss"]
    for name in ("val/ade", "val/l2_at_4.5s", "val/l2_upto_4.5s", "val/ade_constant_velocity", "lr", "lr_backbone"):
        assert np.isfinite(found[-1][name])
    log = (run / "train.log").read_text()
    assert len(re.findall(r"\[Range\] GT: \[.*\] \| Pred: \[.*\] \| Loss: ", log)) == 3
    assert len(re.findall(r"- \[RegressionTrain\] - Val L2 Error: [\d.]+ meters", log)) == 3
    assert len(list((run / "checkpoints").glob("step-*"))) == 3


def test_resuming_is_exact(run, tmp_path):
    whole = configs.load(Config, [], [*SMALL, f"data.root={run / 'data'}"])
    train.train(whole, tmp_path / "one")
    first = tmp_path / "two"
    before = train._epoch

    def stops(fabric, setup, model, optimizer, schedule, epoch, teacher):
        if epoch == 1:
            raise KeyboardInterrupt
        return before(fabric, setup, model, optimizer, schedule, epoch, teacher)

    train._epoch = stops
    try:
        with pytest.raises(KeyboardInterrupt):
            train.train(whole, first)
    finally:
        train._epoch = before
    train.train(whole, first, resume=True)
    weights = [setup.load(folder, checkpoint="last")[1].state_dict() for folder in (tmp_path / "one", first)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert [row["train/loss"] for row in rows(first)] == [row["train/loss"] for row in rows(tmp_path / "one")]


def test_evaluation_and_page(run):
    found = evaluate.evaluate(run)
    saved = json.loads((run / "metrics.json").read_text())
    assert saved["val/ade"] == pytest.approx(found["val/ade"], abs=1e-5)
    with np.load(run / "predictions.npz") as file:
        assert file["pred"].shape == file["gt"].shape == (28, 45, 2)
        assert not np.array_equal(file["shuffled_roadside"], file["pred"])
        assert np.linalg.norm(file["pred"] - file["gt"], axis=-1).mean() == pytest.approx(found["val/ade"], rel=1e-4)
    html = view.page(run, 5)
    assert set(re.findall(r"https?://[^\"']*", html)) == {"http://www.w3.org/2000/svg"}
    content = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL).group(1))
    off = [sample["ade"] for sample in content["samples"]]
    assert len(off) == 5
    assert off == sorted(off, reverse=True)
    with pytest.raises(view.NotARun, match="not evaluated yet"):
        view.page(run / "data", 5)
    with pytest.raises(setup.NotARun, match=r"config\.yaml"):
        setup.load(run / "data")


@pytest.mark.parametrize("head", ["residual_cv", "tokens"])
def test_other_heads_train(run, tmp_path, head):
    pairs = [
        *SMALL[1:],
        f"data.root={run / 'data'}",
        f"model.head={head}",
        "train.epochs=2",
        "model.bins=32",
        "train.log_style=rewrite",
    ]
    found = train.train(configs.load(Config, [], pairs), tmp_path)
    assert np.isfinite(found["val/ade"])
    assert "  L2 Error  - @2.5s: " in (tmp_path / "train.log").read_text()


def test_distillation_and_frozen_pictures(run, tmp_path, monkeypatch):
    pairs = [*SMALL[1:], f"data.root={run / 'data'}", f"train.distil_from={run}", "train.epochs=1"]
    monkeypatch.setenv("FREEZE_BACKBONE", "1")
    config = configs.load(Config, [], pairs)
    before = {name: value.clone() for name, value in setup.prepare(config, tmp_path / "a").model.state_dict().items()}
    train.train(config, tmp_path / "b")
    after = setup.load(tmp_path / "b", checkpoint="last")[1].state_dict()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"head", "motion", "text"}


VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
}


def small_vit():
    return transformers.ViTModel(transformers.ViTConfig(**VISION, patch_size=16))


def small_florence():
    """Florence-2, the class that the published system builds on, with few and random weights."""
    vision = {"depths": [1, 1], "embed_dim": [16, 32], "num_heads": [2, 2], "num_groups": [2, 2], "window_size": 2,
              "patch_size": [3, 3], "patch_stride": [2, 2], "patch_padding": [1, 1], "patch_prenorm": [False, True],
              "projection_dim": 32}  # fmt: skip
    text = {"model_type": "bart", "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
            "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "vocab_size": 64,
            "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}  # fmt: skip
    return transformers.Florence2Model(transformers.Florence2Config(vision_config=vision, text_config=text))


@pytest.mark.parametrize("make", [small_vit, small_florence])
def test_a_backbone_by_path(tmp_path, make):
    make().save_pretrained(tmp_path)
    model = Regressor(Model(backbone=str(tmp_path), width=16), 5)
    pictures = torch.randint(0, 255, (2, 32, 64, 3), dtype=torch.uint8)
    out = model(pictures, pictures, torch.ones(2, 3, dtype=torch.long), torch.ones(2, 10))
    assert out.shape == (2, 45, 2)
    out.sum().backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in model.backbone.parameters())
    freeze(model)
    assert not any(parameter.requires_grad for parameter in model.backbone.parameters())


def test_a_folder_that_is_no_backbone_is_named():
    with pytest.raises(ValueError, match=r"config\.json"):
        Regressor(Model(backbone="nowhere"), 5)


def test_an_untrained_residual_head_is_near_constant_velocity():
    torch.manual_seed(0)
    mean, std = torch.full((45, 2), 3.0), torch.full((45, 2), 2.0)
    model = Regressor(Model(head="residual_cv", width=16, head_std=1e-6), 5, prior=velocity_prior(mean, std))
    pictures = torch.zeros(2, 32, 64, 3, dtype=torch.uint8)
    out = (
        model(pictures, pictures, torch.ones(2, 1, dtype=torch.long), torch.tensor([[4.0] * 10, [8.0] * 10])) * std
        + mean
    )
    expected = metrics.constant_velocity(np.array([4.0, 8.0]))
    np.testing.assert_allclose(out.detach().numpy(), expected, atol=1e-3)


PATHS = hnp.arrays(np.float64, (7, 45, 2), elements=st.floats(-50, 50))


@given(PATHS, PATHS)
@settings(max_examples=30, deadline=None)
def test_errors_agree_with_plain_loops(predicted, truth):
    found = metrics.errors(predicted, truth)
    each = np.array([[cdist(predicted[n, [t]], truth[n, [t]])[0, 0] for t in range(45)] for n in range(7)])
    assert found["ade"] == pytest.approx(each.mean())
    assert found["l2_at_2.5s"] == pytest.approx(each[:, 24].mean())
    assert found["l2_upto_3.5s"] == pytest.approx(each[:, :35].mean())


def test_spread_of_the_truth_of_the_mean_and_of_the_blind():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(400, 1, 2)).cumsum(1) + rng.normal(0, 5, (400, 45, 2)).cumsum(1)
    mean = truth.mean(axis=0)
    perfect, flat = metrics.spread(truth, truth, mean), metrics.spread(np.broadcast_to(mean, truth.shape), truth, mean)
    assert (perfect["r2"], perfect["range_ratio"], perfect["variance_ratio"]) == pytest.approx((1, 1, 1))
    assert flat["r2"] == pytest.approx(0, abs=1e-9)
    assert flat["permuted_ratio"] == pytest.approx(1, abs=0.02)
    assert metrics.spread(truth * 1e-4, truth * 1e-4, mean) == {}


@pytest.mark.parametrize("name", losses.LOSSES)
def test_losses_against_torch(name):
    torch.manual_seed(1)
    one, other = torch.randn(3, 45, 2) * 20, torch.randn(3, 45, 2)
    own = {"smooth_l1": "smooth_l1_loss", "huber": "huber_loss", "mse": "mse_loss", "l1": "l1_loss"}[name]
    options = {"huber": {"delta": 10.0}, "smooth_l1": {"beta": 0.1}}.get(name, {})
    expected = getattr(torch.nn.functional, own)(one, other, **options)
    assert losses.path_loss(one, other, Train(loss=name)).item() == pytest.approx(expected.item(), rel=1e-5)
    weighted = losses.path_loss(one, other, Train(loss=name, horizon_weight=5.0))
    assert weighted.item() != pytest.approx(expected.item(), rel=1e-5)


def test_a_word_counts_with_its_neighbours():
    torch.manual_seed(0)
    model = Sentence(9, 16)
    words = torch.tensor([[2, 3, 4, 5, 0, 0], [4, 3, 2, 5, 0, 0], [2, 3, 4, 5, 0, 0]])
    out = model(words)
    assert torch.allclose(out[0], out[2])
    assert not torch.allclose(out[0], out[1])  # "30 of 50" is not "50 of 30"
    assert torch.isfinite(model(torch.zeros(1, 3, dtype=torch.long))).all()


def test_unknown_words_are_named():
    with pytest.raises(ValueError, match="smooth_l1"):
        losses.path_loss(torch.zeros(1, 45, 2), torch.zeros(1, 45, 2), Train(loss="hinge"))
