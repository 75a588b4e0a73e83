"""GEN113 policy-collapse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss
from runvet.evidence.policy import Policy
from runvet.rules import BACK, Action, Level, Measure, Sick, Window, rule
from runvet.run import FloatArray, Series, Stage


@dataclass(frozen=True, slots=True)
class Collapse:
    """One sign of collapse: what it says, its numbers, and the index of `series` from which it is seen."""

    level: Level
    text: str
    evidence: tuple[Measure, ...]
    series: Series
    index: int


@rule("GEN113", "policy-collapse", level="critical", since="0.1", explains=("LOSS105", "LOSS119", "LOSS131", "LOSS102"))
def policy_collapse(
    policy: Policy,
    loss: TrainLoss | None,
    *,
    blow_up: float = 20,
    lost: float = 0.5,
    entropy: float = 0.05,
    fewest: float = 20,
) -> Sick | None:
    """The policy has collapsed: it says one thing, or lost what it had learnt in one update.

    ## What it checks
    Four signs in runs that log a reward. The mean response shrinks to at most two tokens. The divergence from the old
    policy jumps by a factor of 20 to above 1, and the reward then stays below half of what it had. The entropy falls
    below a twentieth of its early level while the reward is no better than early on. The reward has one and the same
    value throughout, with losses or divergences of 0 (critical), or without (warning).
    ## Why it matters
    A collapsed policy explores no more, so it cannot recover by itself: every further update is wasted.
    ## What to do
    Go back to before the jump. Bound the update (smaller learning rate or clip range, a target KL), keep an entropy
    bonus, check the reward for a way to be cheated.
    ## When to ignore it
    The best policy is truly deterministic, and the reward shows that it is reached.
    ## Known limits
    A sparse reward that was never met looks like a constant one.
    ## References
    - Schulman et al. 2017, Proximal policy optimization algorithms, arXiv 1707.06347.
    - PRIME-RL/Entropy-Mechanism-of-RL#13.
    """
    signs = [_short(policy), _jump(policy, blow_up, lost), _entropy(policy, entropy), _constant(policy, loss, fewest)]
    found = sorted((s for s in signs if s is not None), key=lambda s: s.level)
    if not found:
        return None
    first = found[0]
    x, axis = first.series.x(), first.series.axis
    at = float(x[first.index])
    return Sick(
        "; ".join(s.text for s in found),
        evidence=tuple(m for s in found for m in s.evidence),
        since_step=at if axis == "step" else None,
        innocent="the best policy is deterministic, or the reward is so sparse that it was not met yet",
        actions=(
            Action(f"Stop; go back to a policy from before {axis} {at:,.0f}", BACK, "stop"),
            Action(
                "Bound the update: lower learning rate, smaller clip range, a target KL, an entropy bonus", "config"
            ),
        ),
        window=Window(first.series.name, at, float(x[-1]), axis),
        level=first.level,
    )


def _early(values: FloatArray) -> float:
    return float(np.median(values[: max(3, len(values) // 50)]))


def _last_third(values: FloatArray) -> FloatArray:
    return values[-max(3, len(values) // 3) :]


def _short(policy: Policy) -> Collapse | None:
    """Responses of one or two tokens."""
    one = policy.length
    if one is None or len(one) < 10:
        return None
    tail, early = _last_third(one.value), float(one.value[: max(3, len(one) // 20)].max())
    if not (float(np.median(tail)) <= 2.0 and early >= 10.0):
        return None
    long = np.flatnonzero(one.value > 2.0)
    index = min(int(long[-1]) + 1 if len(long) else 0, len(one) - len(tail))
    return Collapse(
        "critical",
        f"{one.name} falls from {early:.4g} to {np.median(tail):.3g} tokens from {one.axis} {one.x()[index]:,.0f} on",
        (Measure(f"last {one.name}", one.last, "tokens", one.where(len(one) - 1)),),
        one,
        index,
    )


def _jump(policy: Policy, blow_up: float, lost: float) -> Collapse | None:
    """One update far from the old policy, and a reward that does not come back."""
    kl, reward = policy.kl, policy.reward
    if kl is None or kl.axis != reward.axis or len(kl) < 6 or len(reward) < 6:
        return None
    peak = int(np.argmax(kl.value))
    usual = float(np.median(np.abs(kl.value)))
    if peak < 2 or kl.value[peak] < 1.0 or kl.value[peak] < blow_up * usual:
        return None
    at = kl.x()[peak]
    before, after = reward.value[reward.x() <= at], reward.value[reward.x() > at]
    if len(before) < 3 or len(after) < 3:
        return None
    had = float(np.median(before[-max(2, min(10, len(before) // 4)) :]))
    has, span = float(np.median(after)), float(np.ptp(reward.value))
    if not (had - has > lost * span and float(_last_third(after).max()) < had - 0.6 * lost * span):
        return None
    return Collapse(
        "critical",
        f"{kl.name} jumps to {kl.value[peak]:,.4g} at {kl.axis} {at:,.0f} (median {usual:.3g}),"
        f" and {reward.name} goes from {had:,.4g} to {has:,.4g} and stays",
        (
            Measure(f"highest {kl.name}", float(kl.value[peak]), "nats", kl.where(peak)),
            Measure(f"{reward.name} before", had),
            Measure(f"{reward.name} after", has, None, reward.where(len(reward) - 1)),
        ),
        kl,
        peak,
    )


def _entropy(policy: Policy, share: float) -> Collapse | None:
    """No entropy left, and nothing gained for it."""
    one, reward = policy.entropy, policy.reward
    if one is None or len(one) < 10 or len(reward) < 10:
        return None
    values = one.value * policy.sign
    early, tail = _early(values), _last_third(values)
    if not (early > 0 and float(np.quantile(tail, 0.9)) < share * early):
        return None
    was, now = _early(reward.value), float(np.median(_last_third(reward.value)))
    # Better by a tenth of all that the reward ever moved: the certainty may have been earned.
    if now > was + 0.1 * float(np.ptp(reward.value)) or np.ptp(reward.value) == 0:
        return None
    above = np.flatnonzero(values >= share * early)
    index = min(int(above[-1]) + 1, len(values) - 1)
    return Collapse(
        "critical" if float(np.median(tail)) < 0.01 * early else "warning",
        f"{one.name} falls from {early * policy.sign:.4g} to {np.median(tail) * policy.sign:.3g} by {one.axis}"
        f" {one.x()[index]:,.0f} while {reward.name} stands at {now:,.4g} ({was:,.4g} at first)",
        (
            Measure(f"last {one.name}", one.last, "nats", one.where(len(one) - 1)),
            Measure(f"{reward.name}, last third", now, None, reward.where(len(reward) - 1)),
        ),
        one,
        index,
    )


def _constant(policy: Policy, loss: TrainLoss | None, fewest: float) -> Collapse | None:
    """A reward that never moves."""
    reward = policy.reward
    if len(reward) < fewest or np.ptp(reward.value) > 0:
        return None
    still = [s for s in (policy.kl, loss.lead.finite() if loss else None) if s is not None and len(s) >= 5]
    frozen = [s for s in still if not s.value.any()]
    beside = (
        f" while {' and '.join(s.name for s in frozen)} {'is' if len(frozen) == 1 else 'are'} exactly 0"
        if frozen
        else ""
    )
    return Collapse(
        "critical" if frozen else "warning",
        f"{reward.name} is {reward.first:g} at every one of {len(reward)} points{beside}",
        (
            Measure(f"{reward.name}, all points", reward.first, None, reward.where(0)),
            *(Measure(f"{s.name}, all points", 0.0, None, s.where(0)) for s in frozen),
        ),
        reward,
        0,
    )


def sick() -> Iterator[Stage]:
    """Responses of one token, one giant update, no entropy left, and a policy that never moves."""
    late = np.arange(250) >= 14
    yield examples.stage(
        reward=np.where(late, -1.337, -5.0) + examples.level(250, 0.001, noise=1.0),
        response_length__mean=np.where(late, 1.0, 900.0),
        entropy=np.where(late, 2e-4, 0.35),
    )
    update = np.arange(48)
    yield examples.stage(
        rollout__ep_rew_mean=np.where(update < 27, 5.0 + 1.6 * update, -9.5) + examples.level(48, 1.0, noise=1.0),
        train__approx_kl=np.where(update == 27, 87_400.0, 0.1),
        train__loss=examples.level(48),
    )
    yield examples.stage(
        ep_rew_mean=examples.level(200, 10.0, noise=0.3), train__entropy_loss=-2.0 * np.exp(-np.linspace(0, 9, 200))
    )
    yield examples.stage(ep_rew_mean=np.full(131, -100.0), approx_kl=np.zeros(131), train__loss=np.zeros(131))


def healthy() -> Iterator[Stage]:
    """Noisy learning, a policy that earns its certainty, a bold update that pays, and a reward that begins sparse."""
    rng = np.random.default_rng(3)
    noisy = np.linspace(-100, 340, 300) + 120 * rng.standard_normal(300)
    yield examples.stage(
        ep_rew_mean=noisy, approx_kl=examples.level(300, 0.01, noise=0.5), train__loss=examples.level(300, 900)
    )
    sure = np.linspace(0, 1, 300)
    yield examples.stage(reward=100 * sure + rng.standard_normal(300), entropy=2.2 * np.exp(-6 * sure))
    bold = np.where(np.arange(60) == 10, 5.0, 0.02)
    yield examples.stage(ep_rew_mean=np.linspace(0, 50, 60) + rng.standard_normal(60), approx_kl=bold)
    sparse = np.where(np.arange(300) < 200, 0.0, np.linspace(-100, 60, 300))
    yield examples.stage(ep_rew_mean=sparse, train__loss=examples.level(300))
