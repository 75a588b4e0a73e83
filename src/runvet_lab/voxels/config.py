"""The configuration of a voxel training: names, types and defaults. Sick configurations change a few of these keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from runvet_lab.base.launch import Launch
from runvet_lab.voxels.diffusion.process import Sampling
from runvet_lab.voxels.nets import NetConfig
from runvet_lab.voxels.text import TextConfig

CONFIGS = Path(__file__).parent / "configs"


@dataclass
class Data:
    """Where the structures lie. Without `val` beside `train`, one in ten is held out."""

    folder: str = "data"
    limit: int = 0  # train on so many structures only; 0: all
    keep_beside: int = 256  # structures copied below the run, so that it can be judged alone
    verify: bool = True  # refuse data whose air code contradicts what is declared


@dataclass
class EarlyStopping:
    """Stop after `patience` evaluations (0: never) without a better `metric`; the best checkpoint is kept by it."""

    metric: str = "sample/score"
    direction: str = "up"
    patience: int = 0


@dataclass
class Milestone:
    """By `step`, `metric` is expected at `at_least`; otherwise the log says that it was missed."""

    step: int = 0
    metric: str = "sample/score"
    at_least: float = 0.0


@dataclass
class Train:
    """What is learnt, and how."""

    objective: str = "masked"  # masked, uniform, continuous
    target: str = "onehot"  # continuous: onehot, bits, ids
    prediction_type: str = "x0"  # continuous: x0, eps
    noise_schedule: str = "linear"  # continuous: linear, beta, cosine; uniform: cosine
    soft_inputs: bool = False  # uniform: the network sees the mixture instead of a state drawn from it
    in_channels: int = 1  # of each voxel: the block id, and metadata where the data have them
    use_prompt: bool = True
    coarse: int = 0  # 2: first a grid of half the size, then the fine one given it
    fine_share: float = 1.0  # of the steps, in which the fine stage is trained as well; it learns faster and costs more
    air_id: int = 0
    learning_rate: float = 1e-3
    final_learning_rate: float = 2e-5
    weight_decay: float = 0.01
    warmup_steps: int = 100
    num_epochs: int = 0  # instead of max_steps
    max_steps: int = 5000
    batch_size: int = 16
    balance: bool = True  # every class equally often, however many structures it has
    grad_clip: float = 1.0
    ema_decay: float = 0.999
    cond_drop_prob: float = 0.1
    seed: int = 0
    log_every: int = 20
    val_every: int = 500
    sample_every: int = 1000
    sample_per_class: int = 2
    final_per_class: int = 8
    keep_checkpoints: int = 2
    keep_every: int = 0  # also keep those of these steps, for `sweep`; 0: none
    early_stopping: EarlyStopping = field(default_factory=EarlyStopping)
    milestones: list[Milestone] = field(default_factory=list)
    formats: list[str] = field(default_factory=lambda: ["jsonl"])


@dataclass
class Config:
    """One training with its sampling."""

    data: Data = field(default_factory=Data)
    net: NetConfig = field(default_factory=NetConfig)
    text: TextConfig = field(default_factory=TextConfig)
    train: Train = field(default_factory=Train)
    sampling: Sampling = field(default_factory=Sampling)
    launch: Launch = field(default_factory=lambda: Launch(precision="auto"))


def named(name: str) -> Path:
    """The file of a configuration: a path, or the name of one that comes with the lab. Raises FileNotFoundError."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    found = next((p for p in (CONFIGS / f"{name}.yaml", CONFIGS / "sick" / f"{name}.yaml") if p.is_file()), None)
    if found is None:
        known = sorted(p.stem for p in CONFIGS.rglob("*.yaml"))
        raise FileNotFoundError(f"no configuration {name!r}; known are {', '.join(known)}, or give a .yaml file")
    return found
