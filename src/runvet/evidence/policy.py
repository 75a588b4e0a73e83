"""The curves by which a policy is judged: reward, entropy, divergence from the old policy, length of what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runvet.evidence import Missing, provides
from runvet.evidence.curves import Divergence, Reward, measured
from runvet.roles import words
from runvet.run import Series, Stage

_ASIDE = re.compile(
    r"(?:^|_)(?:std|var|min|max|frac|len|length|timing|time|penalty|coef|coeff|zero|scale|margins?|rejected|chosen|accuracies|baseline"
    r"|best|loss)(?:_|$)"
)
_FIRST = (r"ep_?rew|episode_rew|rewards?_mean_ep|mean_ep|episode_return", r"score", r"reward", r"return")
_LENGTH = re.compile(r"(?:response|completions?|generation|output)_(?:\w+_)?len(?:gths?)?(?:_|$)")


@dataclass(frozen=True, slots=True)
class Policy:
    """Finite series of a stage of reinforcement learning; None where the run does not log one.

    `entropy` is never negative; `sign` is -1 where the run logs it as a loss (minus the entropy), else 1. `kl` is the
    divergence between successive policies. `length` is the mean length of responses, in tokens.
    """

    reward: Series
    entropy: Series | None
    sign: float
    kl: Series | None
    length: Series | None


@provides
def policy(stage: Stage, reward: Reward, divergence: Divergence | None) -> Policy | Missing:
    lead = _reward(reward)
    if lead is None:
        return Missing("no mean reward", "log the mean reward of an update", applicable=False)
    entropy, sign = _entropy(stage)
    kl = None
    for one in divergence.series if divergence else ():
        if {"approx", "ppo", "policy"} & set(words(one.name)) and len(measured(one)):
            kl = measured(one)
            break
    lengths = [measured(s) for s in stage.series if _LENGTH.search("_".join(words(s.name))) and _is_mean(s)]
    return Policy(lead, entropy, sign, kl, max(lengths, key=len, default=None))


def _reward(reward: Reward) -> Series | None:
    named = [(measured(s), "_".join(words(s.name))) for s in reward.series]
    named = [(s, name) for s, name in named if len(s) and not _ASIDE.search(name) and s.split not in ("val", "test")]
    for pattern in _FIRST:
        found = [s for s, name in named if re.search(pattern, name)]
        if found:
            return max(found, key=len)
    return None


def _is_mean(series: Series) -> bool:
    name = "_".join(words(series.name))
    return len(measured(series)) > 0 and not re.search(r"(?:^|_)(?:min|max|std|ratio|clip\w*)(?:_|$)", name)


def _entropy(stage: Stage) -> tuple[Series | None, float]:
    for series in stage.series:
        parts = words(series.name)
        if "entropy" not in parts or {"coef", "coeff", "coefficient", "cross", "target"} & set(parts):
            continue
        one = measured(series)
        if not len(one):
            continue
        if one.minimum >= 0 and "loss" not in parts:
            return one, 1.0
        if one.maximum <= 0 and "loss" in parts:
            return one, -1.0
    return None, 1.0
