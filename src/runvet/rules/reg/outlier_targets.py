"""REG124 outlier-targets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.datasets import Paths
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num, percent
from runvet.run import FloatArray, Run


@rule("REG124", "outlier-targets", level="critical", since="0.1", explains=("LOSS107", "REG101", "REG102"))
def outlier_targets(
    paths: Paths, *, apart: float = 2.0, fewest: float = 4.0, rules_loss: float = 0.5, many: float = 0.05
) -> Iterator[Sick]:
    """Some paths of the data leap as all others never do, and rule the loss.

    ## What it checks
    The longest step of each path. Told where a gap parts a few of them from all others (twice the longest of the
    others and twice the 90 % quantile of all steps), there are at least four, and they hold more than half of the
    squared size of all steps. Critical from one path in twenty, a warning below.
    ## Why it matters
    A squared loss is then a loss of these few; gradients jump, and the mean moves towards them. A gentle slope hides
    it: each of these paths may be smooth in itself (a wrong unit, a tracker that lost its object).
    ## What to do
    Look at the named samples; drop or repair them, and check units. Do not clip or rescale them into plausible paths.
    ## When to ignore it
    Fast objects that are real, such as a plane among cars.
    ## Known limits
    Paths that are all implausible are told by `implausible-paths`.
    ## References
    - Huber 1964, doi 10.1214/aoms/1177703732. Targets of 3 km scaled to 200 m: CarpeDiemYanXiao/V2X.
    """
    for name, array in paths.arrays:
        steps = np.linalg.norm(np.diff(np.asarray(array, np.float64), axis=1), axis=-1)
        usual, longest = float(np.quantile(steps, 0.9)), steps.max(axis=1)
        bad = longest > _edge(longest, usual, apart)
        whole = float(np.sum(steps**2))
        if bad.sum() < fewest or np.sum(steps[bad] ** 2) < rules_loss * whole:
            continue
        first = int(np.flatnonzero(bad)[0])
        share = float(np.sum(steps[bad] ** 2) / whole)
        yield Sick(
            f"{int(bad.sum())} of {len(bad)} paths in {name} ({percent(float(bad.mean()))}) hold {percent(share)} of the squared size of all steps: their longest are above {num(float(np.median(steps[bad].max(axis=1))))}, 90 % of all steps below {usual:.3g}",
            (
                Measure("paths with such a step", int(bad.sum()), None, f"{name}, the first is number {first}"),
                Measure("share of the squared size of all steps", round(share, 4)),
                Measure("90 % quantile of all steps", float(f"{usual:.4g}")),
                Measure("longest step", float(f"{steps.max():.5g}")),
            ),
            innocent="fast objects that are real",
            level=None if bad.mean() >= many else "warning",
            actions=(Action(f"Look at the {int(bad.sum())} samples (the first is number {first}); drop or repair them before training", "minutes", "repair"),),
        )  # fmt: skip


def _edge(longest: FloatArray, usual: float, apart: float) -> float:
    """The lower side of the widest gap (as a factor) among the longest steps above `apart` times the usual; inf for none.

    At least half of the paths stay below it.
    """
    ordered = np.sort(longest)
    upper = ordered[len(ordered) // 2 :]
    with np.errstate(all="ignore"):
        gaps = np.where(upper[1:] > apart * usual, upper[1:] / upper[:-1], 0.0)
    at = int(gaps.argmax()) if len(gaps) else 0
    return float(upper[at]) if usual > 0 and len(gaps) and gaps[at] > apart else float("inf")


def _smooth(n: int, seed: int = 1) -> FloatArray:
    rng = np.random.default_rng(seed)
    t = np.linspace(0.1, 4.5, 20)[None, :, None]
    return np.asarray(rng.uniform(-12, 12, (n, 1, 2)) * t + 0.3 * rng.standard_normal((n, 1, 2)) * t**2)


def sick() -> Iterator[Run]:
    """Smooth paths of which 1.5 % are a hundred times too large; a tracker that jumps."""
    wide = _smooth(600)
    wide[:9] *= 100
    yield made.with_files({"data/trajectories.json": [{"id": i, "trajectory": p.tolist()} for i, p in enumerate(wide)]})
    torn = _smooth(600)
    torn[::60, 12:] += 3000.0
    yield made.with_files({"dataset/targets.npz": {"trajectories": torn}})


def healthy() -> Iterator[Run]:
    """Even speeds, slow and fast ones together, two broken paths."""
    paths = _smooth(600)
    yield made.with_files({"dataset/targets.npz": {"trajectories": paths}})
    speeds = np.exp(np.random.default_rng(4).normal(0, 0.7, (600, 1, 1)))
    yield made.with_files({"dataset/targets.npz": {"trajectories": paths * speeds}})
    broken = paths.copy()
    broken[:2, -1] += 150.0
    yield made.with_files({"dataset/targets.npz": {"trajectories": broken}})
