"""Configuration of the worlds lab, with the healthy values as defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from runvet_lab.base.launch import Launch


@dataclass
class Data:
    """What is trained on. With `file` empty, an adventure is generated into the run folder."""

    file: str = ""
    frames: int = 20_000
    seed: int = 0
    guards: int = 1
    hold: int = 2  # steps that an action is held at most
    still: bool = False  # nobody ever moves
    across_cuts: bool = False  # windows run over room changes


@dataclass
class Loop:
    """The recipe that every stage has."""

    steps: int = 1000
    batch_size: int = 16
    gradient_accumulation_steps: int = 1
    lr: float = 2e-3
    schedule: str = "cosine"  # cosine, wsd (a linear end over the last fifth), linear_warmup (no decay)
    warmup_steps: int = 100
    beta2: float = 0.99  # of AdamW
    weight_decay: float = 0.01
    clip: float = 1.0  # of the gradient's norm; 0: none
    log_every: int = 10
    eval_every: int = 250  # 0: at the end only
    save_every: int = 1000  # and after the last step
    pictures: bool = True


@dataclass
class TokenizerStage(Loop):
    """Frames to codes, each frame alone."""

    steps: int = 1000
    batch_size: int = 32
    lr: float = 3e-3
    save_every: int = 500
    patch: int = 8
    width: int = 64
    depth: int = 2  # of the encoder, and of the decoder
    heads: int = 4
    levels: list[int] = field(default_factory=lambda: [5, 5, 5])
    codebook: int = 0  # size of a vector quantiser in place of the levels
    changed_weight: float = 10.0  # of pixels that differ from the frame before
    evenness_weight: float = 0.02  # of spreading the codes evenly
    squared: float = 5.0  # weight of the squared error beside the absolute one
    window: int = 1


@dataclass
class ActionsStage(Loop):
    """Pairs of frames to one of a few codes."""

    steps: int = 1500
    batch_size: int = 32
    lr: float = 2e-3
    save_every: int = 500
    n_actions: int = 8
    width: int = 32
    temperature: float = 1.0
    local: bool = True  # keeps local features before pooling
    changed_weight: float = 20.0
    evenness_weight: float = 0.1  # against codes that nobody uses
    indecision_weight: float = 0.02  # against choices left open
    variance_penalty: float = 0.0  # weight of the founding recipe's max(0, 0.01 - variance)


@dataclass
class DynamicsStage(Loop):
    """Codes of the frames before, and an action, to the codes of the next."""

    steps: int = 2500
    batch_size: int = 16
    lr: float = 3e-3
    eval_every: int = 500
    save_every: int = 500
    kind: str = "masked"  # masked prediction of codes (MaskGIT); flow: flow matching on their values
    context: int = 2  # frames before the predicted one
    width: int = 64
    depth: int = 3
    heads: int = 4
    changed_weight: float = 3.0  # of codes that differ from the frame before
    corruption: float = 0.1  # up to this share of the context's codes is replaced at random
    post_norm: bool = False
    final_norm: bool = True
    rounds: int = 4  # in which a frame is filled in
    rollouts: int = 64  # of four frames each, at an evaluation


@dataclass
class Faults:
    """What is broken on purpose in the dynamics stage; the defaults are sound."""

    save: str = "whole"  # whole; every_rank, torn: the founding case's code on all ranks; rank0_gather
    full_at: list[int] = field(default_factory=list)  # saves at which rank 0 comes last; empty: by the toss of a coin
    number_by: int = 1  # steps are counted in units of so many, to get the founding case's numbers in a short run
    divided_loss: bool = False  # logs the loss divided by the accumulation steps
    stop_after: int = 0  # steps after which the dynamics stage is ended and resumed
    restart_schedule: bool = False  # on resuming, warm-up and decay begin anew
    other_tokens: bool = False  # dynamics learns the codes of another tokenizer than the one that draws them
    timeout: float = 60.0  # seconds after which a rank that waits for another gives up


@dataclass
class Config:
    """All of a run."""

    seed: int = 0
    stages: list[str] = field(default_factory=lambda: ["video_tokenizer", "latent_actions", "dynamics"])
    logs: list[str] = field(default_factory=lambda: ["jsonl"])  # also csv, tensorboard, wandb
    layout: str = "one"  # of a checkpoint: one verified file; three: the founding case's, as safely written
    data: Data = field(default_factory=Data)
    tokenizer: TokenizerStage = field(default_factory=TokenizerStage)
    actions: ActionsStage = field(default_factory=ActionsStage)
    dynamics: DynamicsStage = field(default_factory=DynamicsStage)
    faults: Faults = field(default_factory=Faults)
    launch: Launch = field(default_factory=lambda: Launch(accelerator="cpu"))
