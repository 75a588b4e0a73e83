"""What a self-supervised loss chooses among, read from settings; and what a collapse there looks like in a log."""

from __future__ import annotations

import math

import numpy as np
import pytest

from runvet import engine, examples
from runvet.evidence.vocabulary import Vocabulary, vocabulary
from runvet.roles import meaning
from runvet.run import Stage

RULES = [r for r in engine.collect() if r.code in ("LOSS106", "LOSS126")]


def sizes(metric: str = "loss", **settings: object) -> set[tuple[int, str]]:
    found = vocabulary(examples.stage(settings=settings, **{metric: [1.0, 0.9]}))
    return {(a.size, a.what) for a in found.alphabets} if isinstance(found, Vocabulary) else set()


def found(stage: Stage) -> set[str]:
    return {o.rule.code for o in engine.judge(examples.run(stage), rules=RULES) if o.findings}


def test_prototypes_and_candidates() -> None:
    assert sizes("dino_loss", out_dim=4096) == {(4096, "prototypes")}
    assert sizes("dino_loss") == {(65_536, "prototypes")}
    assert sizes(**{"dino.head_n_prototypes": 131_072}) == {(131_072, "prototypes")}
    assert sizes(method="moco", moco_k=65_536) == {(65_537, "candidates")}
    assert sizes("contrastive_loss", batch_size=256) == {(256, "candidates"), (511, "candidates")}
    assert (4096, "candidates") in sizes(method="clip", batch_size=512, world_size=8)


def test_other_trainings_have_none() -> None:
    assert not sizes(out_dim=128, batch_size=64)
    assert not sizes("clip_fraction", batch_size=64, clip_grad="norm")
    assert not sizes(model_path="weights/clip.pt", batch_size=64)


LEVEL = math.log(256)
SIMCLR = {"method": "simclr", "batch_size": 256}


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (examples.level(2000, LEVEL, noise=0.003), {"LOSS106"}),
        (examples.decay(2000, start=LEVEL, end=0.93 * LEVEL, noise=0.003), set()),
        (examples.decay(2000, start=LEVEL, end=1.0, noise=0.003), set()),
        (examples.level(300, LEVEL, noise=0.003), set()),
    ],
    ids=["collapsed", "slow", "learns", "too short to tell"],
)
def test_contrastive_loss_at_the_candidates(curve: np.ndarray, expected: set[str]) -> None:
    assert found(examples.stage(loss=curve, settings=SIMCLR)) == expected


def test_a_probe_that_still_gains_excuses_the_level() -> None:
    curve = examples.level(2000, LEVEL, noise=0.003)
    probe = np.linspace(0.1, 0.6, 2000)
    assert not found(examples.stage(loss=curve, knn_acc=probe, settings=SIMCLR))


def test_what_fell_and_came_back() -> None:
    fall, rise = np.linspace(LEVEL, 3.0, 500), np.linspace(3.0, LEVEL, 300)
    dead = np.concatenate([fall, rise, examples.level(400, LEVEL, noise=0.002)])
    assert "LOSS126" in found(examples.stage(loss=dead, settings=SIMCLR))
    assert not found(examples.stage(loss=dead - 0.2, settings=SIMCLR))  # worse than it was, yet no uniform guess
    assert not found(examples.stage(loss=np.concatenate([dead, np.linspace(LEVEL, 3.0, 500)]), settings=SIMCLR))


def test_names_of_contrastive_losses_and_retrieval_scores() -> None:
    assert meaning("train/infonce")[:2] == ("train_loss", "down")
    assert meaning("loss_nt_xent")[0] == "loss_term"
    assert meaning("val/R@1") == ("val_metric", "up", "val")
    assert meaning("image_to_text_R@5")[1] == "up"
    assert meaning("r_value")[0] is None
