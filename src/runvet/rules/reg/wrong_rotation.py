"""REG125 wrong-rotation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.headings import Headed, Headings
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules.reg._paths import turned
from runvet.run import FloatArray, Run


@rule(
    "REG125",
    "wrong-rotation",
    level="critical",
    since="0.1",
    explains=("REG101", "REG102", "REG110", "REG121", "REG123"),
)
def wrong_rotation(headings: Headings, *, ahead: float = 0.7, gain: float = 0.3, turned: float = 0.6) -> Iterator[Sick]:
    """Targets are turned by their sample's heading the wrong way, or not at all, as their own headings prove.

    ## What it checks
    Paths of the data and the heading (yaw) kept beside each: the circular concentration of the directions at the end
    of the paths as stored, and after turning each by minus one, minus two and plus one times its heading. Told where
    the headings point all around (concentration below 0.6), and a turn reaches 0.7 and at least 0.3 more than as
    stored. Minus two or plus one: the sign was wrong (critical). Minus one: never turned (warning, since a model may
    be given the heading).
    ## Why it matters
    Such targets are smooth and plausible, and nothing in a picture tells them: the model gives their mean, and the
    blame falls on loss and learning rate.
    ## What to do
    Turn by minus the heading, once. Then the paths of most samples lead ahead.
    ## When to ignore it
    Headings of another frame, or in another convention than counter-clockwise.
    ## Known limits
    Needs 50 moving samples with their heading. A heading taken from the path itself proves nothing.
    ## References
    - Circular concentration: Mardia, Jupp 1999, doi 10.1002/9780470316979. Measured: 0.997 turned rightly, 0.060 with
      the wrong sign, 0.035 not turned.
    """
    for one in headings.all:
        stored, once, twice, more = (float(v) for v in one.concentration)
        best = max(once, twice, more)
        if one.spread < turned and best >= ahead and best >= stored + gain:
            yield _report(one, stored, best, sign=best > once)


def _report(one: Headed, stored: float, best: float, *, sign: bool) -> Sick:
    what = "turned by the heading with the wrong sign" if sign else "not turned by the heading"
    return Sick(
        f"the paths of {one.where} are {what}: their directions have a circular concentration of {stored:.2f}, and of {best:.2f} once each is turned back by its own heading{' twice' if sign else ''}",
        (
            Measure("circular concentration as stored", round(stored, 4), None, f"{one.where}, {one.n} paths that move"),
            Measure("the same after the turn", round(best, 4), None, "1 is all ahead"),
            Measure("circular concentration of the headings", round(one.spread, 4)),
        ),
        innocent="the heading is told in another frame or the other way round, or is among the inputs",
        actions=(Action("Build the targets again: subtract the position, turn by minus the heading once, and check that most paths lead ahead", "a restart", "repair"),),
        level=None if sign else "warning",
    )  # fmt: skip


def _paths(n: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    t = np.linspace(0.4, 4.5, 12)
    angle = rng.normal(0, 0.12, (n, 1)) * t
    far = rng.uniform(3, 14, (n, 1)) * t
    return np.stack([far * np.cos(angle), far * np.sin(angle)], -1), rng.uniform(-np.pi, np.pi, n)


def sick() -> Iterator[Run]:
    """Turned by plus the heading; never turned; one file a sample with a table beside."""
    paths, yaw = _paths(200)
    yield made.with_files({"data/train.npz": {"future": turned(paths, 2 * yaw), "yaw": yaw}})
    yield made.with_files({"data/train.npz": {"future": turned(paths, yaw), "heading": np.degrees(yaw)}})
    each = {f"data/trajectories/{i:04d}.npy": {"array": p} for i, p in enumerate(turned(paths, 2 * yaw))}
    yield made.with_files(
        {**each, "data/samples.jsonl": [{"id": f"{i:04d}", "yaw": float(y)} for i, y in enumerate(yaw)]}
    )


def healthy() -> Iterator[Run]:
    """Turned rightly; all headings alike; motion that goes anywhere."""
    paths, yaw = _paths(200)
    yield made.with_files({"data/train.npz": {"future": paths, "yaw": yaw}})
    yield made.with_files({"data/train.npz": {"future": turned(paths, 0.1 * yaw), "yaw": 0.1 * yaw}})
    anywhere = turned(paths, np.random.default_rng(9).uniform(-np.pi, np.pi, 200))
    yield made.with_files({"data/train.npz": {"future": anywhere, "yaw": yaw}})
