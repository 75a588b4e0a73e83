"""DATA107 implausible-paths."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.artifacts.model import Array
from runvet.artifacts.paths import jump_ratios
from runvet.evidence.datasets import Paths
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import percent
from runvet.run import Run


@rule(
    "DATA107", "implausible-paths", level="critical", since="0.1", explains=("REG101", "REG102", "LOSS104", "LOSS108")
)
def implausible_paths(paths: Paths, *, torn: float = 1.2, some: float = 0.05, many: float = 0.3) -> Iterator[Sick]:
    """Trajectories of the data jump: their points do not belong to one motion.

    ## What it checks
    Each path's change of its steps (second differences) against its steps (first differences), medians over time:
    smooth motion is far below 1, unrelated points give 1.7. Critical where three paths in ten are above 1.2; a
    warning from one in twenty.
    ## Why it matters
    Points of different objects, recordings or frames joined into one path cannot be predicted: the best answer is the
    mean, and no learning rate, loss or normalisation changes that.
    ## What to do
    Draw ten paths. Check that points are grouped by recording and identity, sorted by time, in one frame.
    ## When to ignore it
    The paths are random by nature (diffusing particles, prices).
    ## Known limits
    Single outliers within a path are not told. Changes below a tenth of the quickest paths' steps are the noise of
    paths that stand or creep; where all do, noise is not told from jumps. A wrong rotation is smooth and is not seen.
    ## References
    - Targets built from the first object of each frame: CarpeDiemYanXiao/V2X.
    """
    for name, array in paths.arrays:
        ratio = jump_ratios(array)
        share = float(np.mean(ratio > torn))
        if share < some:
            continue
        steps = np.linalg.norm(np.diff(array, axis=1), axis=-1)
        yield Sick(
            f"{percent(share)} of {len(array)} paths in {name} jump from point to point: steps change by a median of {np.median(ratio):.2f} of their own length (smooth motion: below 0.5)",
            evidence=(
                Measure("paths that jump", round(share, 4), "share", name),
                Measure("change of a step over its length, median", round(float(np.median(ratio)), 4)),
                Measure("length of a step, median", float(f"{np.median(steps):.4g}")),
                Measure("length of a step, 99 %", float(f"{np.quantile(steps, 0.99):.4g}")),
            ),
            innocent="the paths are random by nature",
            actions=(
                Action("Check the data before the model: draw ten target paths, and check that points are grouped by recording and identity and sorted by time", "minutes", "repair"),
            ),
            level=None if share >= many else "warning",
        )  # fmt: skip


def _smooth(n: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 4.5, 20)[None, :, None]
    return np.asarray(
        rng.uniform(-60, 60, (n, 1, 2))
        + rng.uniform(-12, 12, (n, 1, 2)) * t
        + 0.3 * rng.standard_normal((n, 1, 2)) * t**2
    )


def sick() -> Iterator[Run]:
    """Points of different cars, and a tenth of such paths."""
    mixed = np.random.default_rng(0).uniform(-60, 60, (200, 20, 2))
    yield made.with_files(
        {"data/trajectories.json": [{"id": i, "trajectory": p.tolist()} for i, p in enumerate(mixed)]}
    )
    yield made.with_files({"dataset/targets.npz": {"trajectories": np.concatenate([_smooth(180, 1), mixed[:20]])}})


def healthy() -> Iterator[Run]:
    """Smooth paths; most of them parked, with a centimetre of noise; one broken path of two hundred."""
    smooth = _smooth(200, 1)
    yield made.with_files(
        {"data/trajectories.json": [{"id": i, "trajectory": p.tolist()} for i, p in enumerate(smooth)]}
    )
    parked = np.repeat(smooth[:, :1], 20, axis=1) + np.random.default_rng(2).normal(0, 0.01, smooth.shape)
    yield made.with_files({"dataset/targets.npz": {"trajectories": np.concatenate([smooth[:60], parked[60:]])}})
    broken = smooth.copy()
    broken[0, -1] = 500.0
    yield made.with_files({"dataset/targets.npz": {"trajectories": broken}})
