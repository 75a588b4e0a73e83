"""What kind of training a stage is, as far as its log and settings tell: this decides which curves may rise."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runvet.evidence import provides
from runvet.evidence.settings import name_of
from runvet.run import Plain, Stage
from runvet.statistics import finite_values


@dataclass(frozen=True, slots=True)
class Nature:
    """What a stage tells of itself.

    `reinforcement`: rewards or returns are logged. `preference`: the rewards are those of preference optimisation
    (chosen, rejected, margins). `adversarial`: a discriminator and a generator, or a critic against a generator.
    `contrastive`: a self-supervised objective. `continued` says why the run does not start from scratch (a resumed
    run, finished weights, a first step far from 0), or is empty; `ramps` names logged weights that grow.
    """

    reinforcement: bool
    preference: bool
    adversarial: bool
    contrastive: bool
    continued: str
    ramps: tuple[str, ...]


CONTRASTIVE = re.compile(
    r"(?<![a-z])(?:info_?nce|nt_?xent|simclr|moco|byol|simsiam|dino|ibot|vicreg|barlow|swav|contrastive|supcon|clip_loss|triplet)"
)
# The role alone is not enough: a `3D` in a name is no discriminator.
ADVERSARY = re.compile(
    r"discr|(?<![a-z])(?:w?gan|adv)|generator|(?:^|[^a-z0-9])[dg]_?(?:a|b|loss|real|fake)\b|loss_?[dg]\b|dis_?(?:loss|real|fake|vid)|net_?[dg]\b",
    re.IGNORECASE,
)
CONTINUED = frozenset(
    [
        "pretrained",
        "resume",
        "resume_from",
        "resume_from_checkpoint",
        "resume_path",
        "resume_checkpoint",
        "model_name_or_path",
        "pretrained_model_name_or_path",
        "_name_or_path",
        "base_model",
        "base_model_name_or_path",
        "load_from",
        "finetune",
        "fine_tune",
        "finetune_from",
        "checkpoint_path",
        "ckpt_path",
        "init_checkpoint",
        "pretrained_path",
        "pretrained_weights",
        "load_checkpoint",
        "restore_from",
        "init_from",
        "lora_r",
        "lora_rank",
        "use_lora",
        "peft_type",
    ]
)
RAMPS = re.compile(
    r"(?:^|_)(?:weight|beta|lambda|coeff?|anneal\w*|curriculum|seq_?len(?:gth)?|mask_ratio|difficulty|noise_level|horizon|temperature|num_\w*tokens_per)(?:_|$)"
)
EMPTY = ("", "none", "null", "false", "no", "0", "scratch", "false.", "{}", "[]")


def given(value: Plain) -> bool:
    """Whether a setting says something other than no: a path, a name, true, a positive number."""
    return not (value is None or value is False or str(value).strip().lower() in EMPTY)


def _continued(stage: Stage) -> str:
    begin = min((int(s.line[0]) for s in stage.series if len(s) and s.line[0] > 0), default=0)
    for event in stage.events:
        early = event.segment == 0 and (event.line <= begin or not begin)  # a later resume is a seam, not a warm start
        if early and event.kind in ("resume", "weights-loaded") and event.value not in (0, 0.0, "0"):
            return f"{event.where}: {event.text[:80].strip()}"
    for setting in stage.settings:
        key = name_of(setting)
        if key in CONTINUED and given(setting.value):
            return f"{setting.key} = {setting.value} in {setting.source}"
    for one in stage.role("train_loss", "loss_term", "val_loss", "reward")[:1]:
        steps = one.step[one.segment == one.segment[0]]
        if one.axis == "step" and len(steps) > 3 and steps[0] > 0.2 * steps[-1]:
            return f"the first step is {steps[0]:,.0f}"
    return ""


def _ramps(stage: Stage) -> tuple[str, ...]:
    """Names of logged weights or difficulties that end at least half as large again as they began."""
    out = []
    for one in stage.series:
        name = re.sub(r"[^a-z0-9]+", "_", one.name.lower())
        if one.role in (None, "kl") and RAMPS.search(name) and len(one) > 3 and "decay" not in name:
            v = finite_values(one.value)
            if len(v) > 3 and abs(v[-1]) > 1.5 * abs(v[0]) and abs(v[-1]) > 0:
                out.append(one.name)
    return tuple(out)


@provides
def nature(stage: Stage) -> Nature:
    names = " ".join(s.name.lower() for s in stage.series)
    told = " ".join(
        f"{s.key}={s.value}".lower()
        for s in stage.settings
        if "loss" in s.key.lower() or "method" in s.key.lower() or "objective" in s.key.lower()
    )
    preference = "margins" in names and ("chosen" in names or "rejected" in names)
    rewards = stage.role("reward")
    return Nature(
        reinforcement=(bool(rewards) and not preference)
        or bool(re.search(r"mean_q\b|q_values?\b|td_loss|policy_gradient_loss|critic_loss|value_loss", names)),
        preference=preference,
        adversarial=any(
            ADVERSARY.search(s.name)
            for s in stage.role("discriminator_loss", "generator_loss", "loss_term", "train_loss")
        ),
        contrastive=bool(CONTRASTIVE.search(names) or CONTRASTIVE.search(told)),
        continued=_continued(stage),
        ramps=_ramps(stage),
    )
