"""Settings that a run was started with more than once: which of them changed from one process to the next."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runvet.evidence import Missing, provides
from runvet.evidence.samplers import TRAINING, USE
from runvet.evidence.seams import Joint, Seams
from runvet.evidence.settings import name_of, same
from runvet.run import Setting, Stage

# What makes another training of it, by the last part of the key.
MATTERS = frozenset(
    "lr learning_rate base_lr max_lr min_lr batch_size train_batch_size per_device_train_batch_size micro_batch_size weight_decay"
    " optimizer optim optimizer_name scheduler lr_scheduler lr_scheduler_type loss loss_fn criterion loss_type dataset dataset_name"
    " data_path data_dir train_data resolution image_size img_size precision mixed_precision fp16 bf16 amp dtype dropout"
    " gradient_accumulation_steps accumulate_grad_batches grad_clip clip_grad max_grad_norm gradient_clip_val hidden_size n_layers"
    " num_layers n_layer n_head num_heads patch_size in_channels num_classes num_views vocab_size betas beta1 beta2 warmup_steps"
    " warmup_epochs momentum label_smoothing ema_decay num_train_timesteps beta_schedule prediction_type".split()
)
_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Changed:
    """One key with its setting before and after."""

    key: str
    before: Setting
    after: Setting


@dataclass(frozen=True, slots=True)
class ConfigChanges:
    """Keys that two processes of one training both tell: how many, and those that differ. `joint` is the seam."""

    compared: int
    changed: tuple[Changed, ...]
    joint: Joint


@provides
def config_changes(stage: Stage, seams: Seams) -> ConfigChanges | Missing:
    resumed = seams.resumed
    if not resumed:
        return Missing("the run was not resumed", applicable=False)
    pairs = list(_pairs(stage.settings))
    if not pairs:
        return Missing(
            "no configuration is told on both sides of the restart", "write the resolved configuration at every start"
        )
    changed = tuple(Changed(name_of(a), a, b) for a, b in pairs if not same(a.value, b.value))
    return ConfigChanges(len(pairs), changed, resumed[0])


def _pairs(settings: Sequence[Setting]) -> Iterator[tuple[Setting, Setting]]:
    """Settings of the same full key from two files whose names differ in numbers only."""
    told: dict[tuple[str, str], dict[str, Setting]] = {}
    for setting in settings:
        words = set(re.findall(r"[a-z]+", f"{setting.source} {setting.key}".lower()))
        if name_of(setting) in MATTERS and not (words & USE and not words & TRAINING):
            told.setdefault((_NUMBERS.sub("#", setting.source), setting.key), {}).setdefault(setting.source, setting)
    for found in told.values():
        if len(found) == 2:
            first, second = sorted(found)
            yield found[first], found[second]
