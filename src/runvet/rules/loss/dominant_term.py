"""LOSS111 dominant-term."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import LossTerms, TrainLoss
from runvet.evidence.nature import Nature
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import guilty, num, place
from runvet.run import FloatArray, Series, Stage

# Terms that are small on purpose.
SIDE = re.compile(r"reg|l2|decay|kl|commit|aux|balance|z_?loss|entropy|penalty|sparsity|smooth", re.IGNORECASE)


@rule("LOSS111", "dominant-term", level="warning", since="0.1", explains=("LOSS104",))
def dominant_term(
    loss: TrainLoss,
    terms: LossTerms,
    nature: Nature,
    *,
    share: float = 0.95,  # of the total, for the terms that do not move
    flat: float = 0.03,  # relative change of them over the last 70 % of the run
    lost: float = 100.0,  # times: a term that fell so far has been solved alone
    alone: float = 0.999,  # share of a single term from which on the others do not matter at all
) -> Sick | Unsure | None:
    """One part of the loss has been solved or outweighs all others, and the total no longer moves.

    ## What it checks
    Terms that add up to the total (a constant factor aside). Told where some term has fallen a hundredfold to less than 1 %
    of the total while the others, more than 95 % of it, have not moved for 70 % of the run; or where one of at least three
    terms is 99.9 % of a total that has stood still for half of the run.
    ## Why it matters
    The optimiser has found a trivial solution of one term (a constant satisfies a differential equation), or only sees one.
    ## What to do
    Weigh the terms by their gradients, not their values; start from a solution of the neglected terms.
    ## When to ignore it
    Regularisers that are small by design.
    ## Known limits
    Weights that change during the run, and terms that do not add up to the logged total, are not judged.
    ## References
    - Wang, Teng, Perdikaris, Understanding and Mitigating Gradient Flow Pathologies in PINNs, 2021.
    """
    if nature.reinforcement or nature.adversarial:
        return Unsure("terms of reinforcement learning and of adversaries do not balance")
    if not loss.is_total:
        return Unsure("no total loss", "log the total beside its terms")
    for total in (s for s in loss.series if s.role == "train_loss" and len(s) >= 40):
        parts = [
            t
            for t in terms.series
            if t.split in (None, "train") and len(t) == len(total) and np.array_equal(t.x(), total.x())
        ]
        if len(parts) < 2 or not _adds_up(total, parts):
            continue
        found = _solved(total, parts, share, flat, lost) or _alone(total, parts, alone)
        if found is not None:
            return found
    return None


def _adds_up(total: Series, parts: list[Series]) -> bool:
    """Whether the terms sum to the total, times a constant, in the last half of the run."""
    n = len(total)
    whole = np.sum([p.value[n // 2 :] for p in parts], axis=0)
    if not (np.isfinite(whole).all() and (whole > 0).all() and (total.value[n // 2 :] > 0).all()):
        return False
    ratio = total.value[n // 2 :] / whole
    middle = float(np.median(ratio))
    return bool(middle > 0 and np.median(np.abs(ratio - middle)) < 0.02 * middle)


def _level(v: FloatArray, start: float, end: float) -> float:
    n = len(v)
    return float(np.median(v[int(start * n) : max(int(end * n), int(start * n) + 1)]))


def _solved(total: Series, parts: list[Series], share: float, flat: float, lost: float) -> Sick | None:
    late = {p.name: _level(p.value, 0.8, 1.0) for p in parts}
    whole = sum(late.values())
    small = [
        p
        for p in parts
        if late[p.name] < 0.01 * whole and late[p.name] * lost < float(np.max(p.value[: max(3, len(p) // 20)]))
    ]
    big = [p for p in parts if late[p.name] > 0.05 * whole]
    if not small or not big or sum(late[p.name] for p in big) < share * whole:
        return None
    rest = np.sum([p.value for p in big], axis=0)
    before, after = _level(rest, 0.3, 0.4), _level(rest, 0.9, 1.0)
    moved = abs(_level(total.value, 0.3, 0.4) - _level(total.value, 0.9, 1.0)) / abs(_level(total.value, 0.9, 1.0))
    if abs(after - before) > flat * abs(after) or moved > flat:
        return None
    gone, x = min(small, key=lambda p: late[p.name]), total.x()
    at = float(x[int(0.3 * len(x))])
    names = " and ".join(f"{p.name} ({num(late[p.name])})" for p in big[:3])
    return Sick(
        f"{total.name} stands at {num(after)} since {place(total, at)} at the latest: {gone.name} fell from {num(float(np.max(gone.value[: max(3, len(gone) // 20)])))} to"
        f" {num(late[gone.name])} and is solved, while {names} dominate{'s' if len(big) == 1 else ''} the total and do{'es' if len(big) == 1 else ''} not improve",
        (
            Measure(f"share of {', '.join(p.name for p in big)}", round(sum(late[p.name] for p in big) / whole, 4)),
            Measure(
                f"{total.name} at 30 % and at the end",
                f"{num(_level(total.value, 0.3, 0.4))}, {num(_level(total.value, 0.9, 1.0))}",
            ),
            Measure(f"{gone.name} at the end", late[gone.name], None, gone.where(len(gone) - 1)),
        ),
        since(total, at),
        "a term that reaches its floor early, beside terms that are at theirs",
        _actions(),
        guilty(total, at),
    )


def _alone(total: Series, parts: list[Series], alone: float) -> Sick | None:
    if len(parts) < 3:
        return None
    late = {p.name: _level(p.value, 0.7, 1.0) for p in parts}
    lead = max(parts, key=lambda p: late[p.name])
    others = [p for p in parts if p is not lead]
    if (
        late[lead.name] < alone * sum(late.values())
        or all(SIDE.search(p.name) for p in others)
        or SIDE.search(lead.name)
    ):
        return None
    half, end = _level(total.value, 0.5, 0.6), _level(total.value, 0.9, 1.0)
    if abs(half - end) > 0.05 * abs(end):
        return None
    x = total.x()
    at = float(x[len(x) // 2])
    second = max(others, key=lambda p: late[p.name])
    return Sick(
        f"{lead.name} is {late[lead.name] / sum(late.values()):.2%} of the total ({num(late[lead.name])}; next is {second.name}, {num(late[second.name])}), and"
        f" {total.name} stands still since {place(total, at)} at the latest ({num(half)} to {num(end)})",
        (
            Measure(f"{lead.name} over the last 30 %", late[lead.name], None, lead.where(len(lead) - 1)),
            Measure(f"{second.name} over the last 30 %", late[second.name]),
            Measure(f"{total.name} at half and at the end", f"{num(half)}, {num(end)}"),
        ),
        since(total, at),
        "regularisers that are small by design",
        _actions(),
        guilty(total, at),
    )


def _actions() -> tuple[Action, ...]:
    return (
        Action("Log the gradient norm of each term: values say little about their pull", "a few lines", "measure"),
        Action(
            "Weigh the terms so that their gradients are of one size, or train the neglected ones first",
            "config",
            "change",
        ),
    )


def sick() -> Iterator[Stage]:
    """A differential equation solved by a constant, and one term that hides two others."""
    n = 400
    fast = 0.06 * np.exp(-np.arange(n) / 15) + 2e-5
    stuck = 0.154 + 0.16 * np.exp(-np.arange(n) / 12)
    yield examples.stage(train_loss=fast + 2 * stuck, dynamics_loss=fast, initial_loss=stuck, boundary_loss=stuck)
    huge = 51.4 + 1e6 * np.exp(-np.arange(n) / 8)
    tiny = 1e-6 + 1e3 * np.exp(-np.arange(n) / 6)
    yield examples.stage(mean_loss=(huge + 2 * tiny) / 3, copper_loss=huge, port1_loss=tiny, port2_loss=tiny)


def healthy() -> Iterator[Stage]:
    """A trade between terms while the total falls, a small KL, terms that fall together."""
    n = 400
    falls, grows = examples.decay(n, noise=0.02), 0.02 + examples.rise(n, at=0.0, size=0.1)
    yield examples.stage(train_loss=falls + grows, theta_loss=falls, dynamics_loss=grows)
    recon, kl = examples.decay(n, noise=0.01), np.full(n, 1e-3)
    yield examples.stage(train_loss=recon + kl, recon_loss=recon, kl_loss=kl)
    yield examples.stage(train_loss=2 * falls, box_loss=falls, cls_loss=falls)
