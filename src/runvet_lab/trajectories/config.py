"""Configuration of the trajectory lab, with the healthy values as defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from runvet_lab.base.launch import Launch


@dataclass
class Data:
    """What is trained on. With `root` empty, scenes are generated into the run folder."""

    root: str = ""
    scenes: int = 240
    place: str = "junction"  # junction, queue, highway
    targets: str = "ego"  # ego, world, wrong_yaw, heading_from_step, first_car, cross_batch
    split: str = "scene"  # scene, frame
    outliers: float = 0.0  # share of generated training paths that are 20 times too long
    leak_end: bool = False  # writes the end point into the generated text
    blank: str = "none"  # none, vehicle, roadside, both: pictures that are set to zero
    swap_roadside: bool = False  # takes the roadside picture of another sample
    width: int = 96  # pixels of generated pictures; half as high
    skip_broken: bool = False


@dataclass
class Model:
    """The network. `backbone`: `tiny`, or a folder with config.json and weights of a transformers model."""

    backbone: str = "tiny"
    freeze_backbone: bool = False  # also by the environment variable FREEZE_BACKBONE=1
    width: int = 256
    head: str = "regress"  # regress, residual_cv, tokens
    head_std: float = 0.0  # of the last layer's first weights; 0: torch's own
    layer_norms: bool = False  # between the layers of the head
    bins: int = 256  # of the token head
    reach: float = 80.0  # metres that the bins span to both sides


@dataclass
class Train:
    """The recipe."""

    epochs: int = 20
    batch_size: int = 32
    lr: float = 1e-3
    backbone_lr: float = 0.0  # 0: the same
    weight_decay: float = 1e-4
    loss: str = "smooth_l1"  # smooth_l1, huber, mse, l1
    beta: float = 0.1  # of smooth_l1: where it turns from squares to absolute values; torch's own is 1
    huber_delta: float = 10.0
    horizon_weight: float = 1.0  # weight of the last position, of the first one 1
    normalise: bool = True  # targets by mean and standard deviation of each position
    evaluate_normalised: bool = False  # forgets to undo it
    distil_from: str = ""  # a run whose predictions are learnt beside the truth
    distil_weight: float = 0.5
    select: str = "val/ade"  # metric that decides which checkpoint is best: the lower, the better
    best_is_first: bool = False  # also keeps a best.pt, by a selection that only the first epoch ever wins
    mixed_name: str = ""  # the mean error in the log and the point error of the evaluation, both under this name
    log_style: str = "seed"  # dialect of train.log: seed, rewrite
    save_every: int = 1  # epochs


@dataclass
class Config:
    """All of a run."""

    seed: int = 0
    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    train: Train = field(default_factory=Train)
    launch: Launch = field(default_factory=lambda: Launch(accelerator="cpu"))
