"""REG116 lost-coverage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runvet import examples
from runvet.evidence.coverage import Coverage
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import percent
from runvet.run import Run


@rule("REG116", "lost-coverage", level="critical", since="0.1")
def lost_coverage(coverage: Coverage, *, apart: float = 0.05, grave: float = 0.2, near: float = 0.03) -> Sick | None:
    """Panoramas show less of the surroundings than the rig's cameras see.

    ## What it checks
    The share of the panorama that the cameras of a calibration file see (field of view, size and mounting; no
    pictures needed), against the mean of the data's coverage masks (`valid…`, `non_ambiguous…`, `coverage…`). A
    warning where they are 0.05 apart, critical where the data lack 0.2 or more. Whether pictures cut to the
    panorama's shape before the warp would explain the number is told.
    ## Why it matters
    Rows that are cut off before the warp are lost to every head, and a mask of the rig is learnt at once, so that its
    low loss looks like success.
    ## What to do
    Warp the whole pictures; resize only afterwards. Compare the mask of one frame with the rig's.
    ## When to ignore it
    Parts of the pictures are masked on purpose (the vehicle's own body, the sky).
    ## Known limits
    Distances are taken as far. Needs a calibration with sizes and mountings, and the panorama's size.
    ## References
    - The rig and its files: DerrickXuNu/OpenCOOD; resizing before the warp: facebookresearch/map-anything forks.
    """
    worst = min(coverage.seen, key=lambda s: s.share)
    gap = coverage.expected - worst.share
    if abs(gap) <= apart:
        return None
    cut = abs(coverage.cropped - worst.share) <= near and coverage.expected - coverage.cropped > 2 * near
    why = f": what is left when each picture is cut to the panorama's shape before the warp ({percent(coverage.cropped)})" if cut else ""  # fmt: skip
    return Sick(
        f"{worst.name} covers {percent(worst.share)} of the panorama, but the rig's {coverage.cameras} cameras see {percent(coverage.expected)}{why}",
        (
            Measure(f"mean of {worst.name}", round(worst.share, 4), None, worst.where),
            Measure("share that the rig sees", round(coverage.expected, 4), None, coverage.where),
            Measure("share with pictures cut to the panorama's shape", round(coverage.cropped, 4)),
            Measure("fields of view added up", round(coverage.around, 1), "degrees"),
        ),
        innocent="parts of the pictures are masked on purpose",
        actions=(
            Action("Warp whole pictures into the panorama, and cut or resize only afterwards" if cut else "Compare the mask of one frame with what each camera sees", "a restart" if cut else "minutes", "repair"),
        ),
        level=None if gap >= grave else "warning",
    )  # fmt: skip


_RIG = ((2.5, 0.0, 1.0, 0.0), (0.0, 0.3, 1.8, 100.0), (0.0, -0.3, 1.8, -100.0), (-2.0, 0.0, 1.5, 180.0))


def _run(share: float, settings: Mapping[str, Any] | None = None) -> Run:
    rig = {
        f"camera{i}": {"cords": [x, y, z, 0, yaw, 0], "intrinsic": [[335.64, 0, 400], [0, 335.64, 300], [0, 0, 1]]}
        for i, (x, y, z, yaw) in enumerate(_RIG)
    }
    line = f"split=train panorama=1008x252 non_ambiguous_mask=[{share:.3f}, {share + 0.001:.3f}]"
    stage = examples.stage(loss=examples.decay(100), events=[examples.event("range", line)], console=True)
    return examples.run(stage, settings=settings, files={"data/train/641/000069.yaml": rig})


def sick() -> Iterator[Run]:
    """A third where the rig sees six sevenths; two thirds."""
    yield _run(0.331)
    yield _run(0.62, {"dataset.resolution": [1008, 252]})


def healthy() -> Iterator[Run]:
    """What the rig sees; a little less."""
    yield _run(0.857)
    yield _run(0.83)
