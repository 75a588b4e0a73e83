"""How samples are drawn, as the configuration says it: guidance, and keys that training and sampling both set."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from runvet.evidence import Missing, provides
from runvet.evidence.settings import name_of, place_of, same
from runvet.run import Run, Setting, Stage

SCALE = (
    "guidance_scale",
    "cfg_scale",
    "cfg",
    "guidance",
    "guidance_weight",
    "classifier_free_guidance_scale",
    "unconditional_guidance_scale",
)
DROP = ("cond_drop_prob", "uncond_prob", "p_uncond", "cfg_dropout", "class_dropout_prob", "text_drop_prob", "label_dropout", "caption_dropout",
        "cond_dropout", "context_dropout", "drop_cond_prob", "unconditional_prob", "cfg_prob", "condition_dropout_prob", "conditioning_dropout_prob")  # fmt: skip
# What has to be the same where a model is trained and where it is used.
SHARED = frozenset(
    "prediction_type parameterization beta_schedule noise_schedule schedule_type beta_start beta_end num_train_timesteps num_timesteps diffusion_steps"
    " rescale_betas_zero_snr zero_snr v_prediction image_size img_size resolution input_size image_mean image_std pixel_mean pixel_std mean std"
    " normalize normalise normalization norm_mean norm_std scale_factor vae_scale tokenizer vocab_size num_classes class_names classes nclasses"
    " sample_rate sampling_rate n_mels num_mels hop_length n_fft win_length fmin fmax color_mode channel_order bgr rgb to_rgb interpolation"
    " patch_size embed_dim hidden_size n_layers num_layers in_channels context_length air_id air_block_id".split()
)
TRAINING = frozenset("train training trainer".split())
USE = frozenset(
    "infer inference sample sampling sampler generate generation predict prediction deploy serving export test eval evaluation val validation".split()
)
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True)
class Guidance:
    """Guidance scale of sampling and the probability with which training drops the condition, with their places."""

    scale: float
    scale_from: str
    drop: float
    drop_from: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """One key with two values: in training and in use."""

    key: str
    train: Setting
    use: Setting


@dataclass(frozen=True, slots=True)
class UseConfig:
    """Keys that are set both for training and for use; `compared` is how many, `conflicts` those that differ."""

    compared: int
    conflicts: tuple[Conflict, ...]


@provides
def guidance(stage: Stage) -> Guidance | Missing:
    scale, drop = stage.setting(*SCALE), stage.setting(*DROP)
    if scale is None or drop is None or scale.number is None or drop.number is None:
        return Missing("guidance or the probability of dropping the condition is not configured", "", applicable=False)
    return Guidance(scale.number, place_of(scale), drop.number, place_of(drop))


@provides
def use_config(run: Run) -> UseConfig | Missing:
    settings = [*run.settings, *(s for stage in run.stages for s in stage.settings)]
    train, use = _sided(settings, TRAINING), _sided(settings, USE)
    # A file that belongs to neither side is the training's where another file is for use.
    plain = {name_of(s): s for s in reversed(settings) if name_of(s) in SHARED and not _words(s) & (TRAINING | USE)}
    base = {**plain, **train}
    both = sorted(set(base) & set(use))
    if not both:
        return Missing(
            "no key is set both for training and for use",
            "keep the configuration of inference beside that of training",
            applicable=False,
        )
    conflicts = tuple(Conflict(k, base[k], use[k]) for k in both if not same(base[k].value, use[k].value))
    return UseConfig(len(both), conflicts)


def _sided(settings: Iterable[Setting], side: frozenset[str]) -> dict[str, Setting]:
    other = USE if side is TRAINING else TRAINING
    return {
        name_of(s): s
        for s in reversed(list(settings))
        if name_of(s) in SHARED and _words(s) & side and not _words(s) & other
    }


def _words(setting: Setting) -> set[str]:
    """The words of the file's name and of the sections that hold the key."""
    return set(_WORD.findall(f"{setting.source} {setting.key.rpartition('.')[0]}".lower()))
