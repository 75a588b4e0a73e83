"""Configuration of the panorama lab, with the healthy values as defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from runvet_lab.base.launch import Launch


@dataclass
class Data:
    """What is trained on. With `root` empty, exact panoramas are generated into the run folder.

    With `root`, an OPV2V tree is fused. Towns are numbers; validation drives through known towns, `new_towns` are apart.
    """

    root: str = ""
    depth_root: str = ""  # of the parallel depth tree; empty: the same as root
    towns: list[int] = field(default_factory=lambda: [0])
    new_towns: list[int] = field(default_factory=lambda: [100])
    drives: int = 300  # through each town
    val_towns: list[int] = field(default_factory=list)  # empty: the known ones
    val_drives: int = 24
    agents: int = 2
    steps: int = 31  # moments of a drive, 0.1 s apart
    every: int = 10
    columns: int = 84
    rows: int = 21
    mask: str = "objects"  # objects, rare, rig
    slope: float = 0.0  # degrees of roll and pitch
    backend: str = "numpy"  # of the ray caster: numpy, torch
    device: str = "cpu"
    euler_order: str = "carla"  # by which a tree's angles are read: carla, zyx (scipy's extrinsic), ZYX
    crop: bool = False  # cuts a tree's pictures to the panorama's shape before the warp, which loses rows
    parallax: bool = True  # moves a tree's rays to each camera; without, they are only turned
    bilinear: bool = False  # samples a tree's depth between pixels, holes included
    pairs: int = 0  # samples that are trained on, 0 for all
    val_inverted: float = 0.0  # share of the validation views, the last ones, whose masks are inverted: broken labels
    val_is_train: bool = False  # reads the training drives again as validation


@dataclass
class Model:
    """The network. `backbone`: `tiny`, or a folder with config.json and weights of a transformers picture encoder."""

    backbone: str = "tiny"
    width: int = 32  # channels of the first stage
    blocks: int = 1  # of the transformer over azimuths
    pose_head: str = "difference"  # difference of codes after the compass, or pooled tokens without it
    pose_width: int = 48
    pos_weight: float = 4.0  # of the mask's positive pixels


@dataclass
class Train:
    """The recipe."""

    epochs: int = 6
    batch_size: int = 16  # samples a rank
    views: int = 2  # a sample in training
    val_views: int = 2
    lr: float = 2e-3
    weight_decay: float = 1e-3
    warmup: float = 0.05  # share of the steps
    steps_per_epoch: int = 0  # a fixed number, whatever the world size; 0: as many as the data give
    schedule_by: str = "epoch"  # epoch: learning rate by the fraction of epochs, as in MapAnything; step
    pairwise: bool = True  # pose loss over all pairs of views, not only against the first
    reduce: str = "mean"  # parts of the loss over views: mean, or sum, which grows with their number
    confidence: bool = False  # weighs the dense loss by a learnt confidence in training only
    confidence_alpha: float = 0.2  # weight of the log confidence, as in DUSt3R
    depth_weight: float = 1.0
    scale_weight: float = 1.0
    pose_weight: float = 1.0
    mask_weight: float = 0.3
    compass_noise: float = 10.0  # degrees of the relative heading that is known beforehand
    print_every: int = 20
    save_every: int = 1  # epochs
    evaluate: str = "all"  # at the end: all, summaries, parity (of inputs and outputs only), none
    log_formats: list[str] = field(default_factory=lambda: ["jsonl"])  # jsonl, csv, tensorboard
    select_by: str = "mean"  # mean, median: of the held-out batches' losses, which decides the best checkpoint
    world_size_sim: int = 0  # the sampler's arithmetic of so many ranks, on one process
    on_world_change: str = "refuse"  # refuse, replan, ignore: what resuming does when the world size is another
    stop_after: int = 0  # epochs after which this process ends, as a job's time limit does


@dataclass
class Infer:
    """How the model is used after training; the sick values differ from training."""

    preprocess: str = "train"  # train, no_norm, raw, bgr, roll: what inference does to pictures
    pose_source: str = "pred"  # pred, gt
    depth_source: str = "pred"  # pred, gt
    feed_truth: bool = False  # gives the true pose and depth to the model, as leaked inputs
    unattributed: list[str] = field(default_factory=list)  # splits whose evaluation names no weights and no code


@dataclass
class Tree:
    """An OPV2V tree to write and to check, for what goes wrong before any training."""

    scenarios: int = 2  # of each split
    agents: int = 2
    steps: int = 9
    every: int = 4
    width: int = 200
    height: int = 150
    slope: float = 4.0  # degrees
    kind: str = "z"  # what the depth files hold: ray, z
    declared: str = ""  # what depth.json says, empty: the truth
    axes: str = "opencv"  # of the exported poses: opencv, or carla (one side only, which mirrors)
    fill: float = 1.0  # share of pixels with depth


@dataclass
class Config:
    """All of a run."""

    seed: int = 0
    story: str = "train"  # what is done: train, tree, resume, checkout
    then: list[str] = field(default_factory=list)  # pairs that change the configuration when the run is resumed
    processes: list[int] = field(default_factory=list)  # of a first and a resumed start under torchrun; empty: this one
    tree: Tree = field(default_factory=Tree)
    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    train: Train = field(default_factory=Train)
    infer: Infer = field(default_factory=Infer)
    launch: Launch = field(default_factory=lambda: Launch(accelerator="cpu", threads=1))
