"""GEN104 blank-samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from runvet import examples
from runvet import examples_artifacts as made
from runvet.evidence.pictures import Picture, PictureSamples, PictureSeries
from runvet.rules import BACK, Action, Measure, Sick, Unsure, rule
from runvet.run import Run


@rule("GEN104", "blank-samples", level="critical", since="0.1", explains=("GEN105", "GEN109"))
def blank_samples(samples: PictureSamples, *, share: float = 0.75) -> Sick | Unsure | None:
    """Generated pictures, or the model's panels in them, are of one colour or in stripes.

    ## What it checks
    Pictures of the last step, whole and cut into rows or columns of panels: a panel is plain where 95 % of its blocks
    vary in one direction at most (one colour, or stripes). Critical where plain panels stand beside rich ones of the
    same picture (the truth above, the model below), or where whole pictures are plain and the data's or earlier ones
    are not, in three quarters of the pictures of the last step.
    ## Why it matters
    Such a model has collapsed to a constant, whatever its loss says.
    ## What to do
    Go back to the last step whose pictures hold something; look at the loss before it, and at the range, NaNs and
    decoding of what is drawn.
    ## When to ignore it
    Masks, depth or inputs that are drawn as an empty panel on purpose.
    ## Known limits
    Panels of unequal sizes are not taken apart. Plain data (drawings, digits) are compared with the data beside them.
    ## References
    - Failure report: pictures of a world model in single colours, logic-three-body/tinyworlds.
    """
    found: list[Sick] = []
    unsure = ""
    for series in samples.series:
        last = series.last
        plain = [p for p in last if p.panels is not None]
        if len(plain) < share * len(last):
            continue
        beside = [p for p in plain if p.panels is not None and p.panels.strips > 1]
        if len(beside) == len(plain):
            if not _drawn_so(series) and not any(p.panels for p in samples.data):
                found.append(_report(series, plain))
            continue
        rich_before = any(p.panels is None for p in series.pictures if p not in last)
        rich_data = bool(samples.data) and sum(p.panels is None for p in samples.data) >= 0.9 * len(samples.data)
        if rich_before or rich_data:
            found.append(_report(series, plain))
        else:
            unsure = f"{len(plain)} pictures of {series.name} are plain, and nothing shows what they should look like"
    if found:
        return found[0]
    return Unsure(unsure, "keep pictures of the data beside the samples") if unsure else None


def _report(series: PictureSeries, plain: Sequence[Picture]) -> Sick:
    shown = [p.panels for p in plain if p.panels is not None]
    first = shown[-1]
    tiles, single = sum(p.tiles for p in shown), sum(p.single for p in shown)
    all_plain = [p for p in series.pictures if p.panels is not None]
    since = _since(series)
    steps = sorted({p.step for p in all_plain if p.step is not None})
    place = f"{series.axis} {steps[-1]:,.0f}" if steps else "the last pictures"
    rich = first.entropy[1]
    beside = f" against {rich:.1f} in the other panels of the same pictures" if np.isfinite(rich) else ""
    return Sick(
        f"{'the model’s panels' if first.strips > 1 else 'pictures'} of {series.name.rpartition('/')[2] or series.name} at {place} hold no information: {tiles} of {tiles} tiles"
        f" are of a single colour ({single}) or striped ({tiles - single}), {first.entropy[0]:.1f} bits a pixel{beside}; so in {len(all_plain)} of {len(series.pictures)} pictures looked at",
        evidence=(
            Measure("tiles of one colour", single, f"of {tiles}", plain[-1].name),
            Measure("striped tiles", tiles - single, f"of {tiles}", plain[-1].name),
            Measure("entropy of the plain panels", round(first.entropy[0], 3), "bits a pixel"),
            *((Measure("entropy of the other panels", round(rich, 3), "bits a pixel", plain[-1].name),) if np.isfinite(rich) else ()),
            Measure("pictures with plain panels", len(all_plain), f"of {len(series.pictures)}", all_plain[0].name),
        ),
        since_step=since if series.axis == "step" else None,
        innocent="the panel is an empty mask or input that is drawn on purpose",
        actions=(
            Action(f"Stop: nothing that this model draws at {place} can be used; go back to the last checkpoint whose pictures hold something", BACK, "stop"),
            Action("Check what is drawn for NaN, range and decoding, with one batch of real data through the same drawing code", "minutes", "repair"),
        ),
    )  # fmt: skip


def _drawn_so(series: PictureSeries) -> bool:
    """Whether the plain panel looks the same in every picture: an empty margin, sky or mask, drawn on purpose."""
    if any(p.panels is None for p in series.pictures):
        return False
    shown = {c for p in series.pictures if p.panels is not None for c in p.panels.colours}
    return len(shown) == 1 and all(p.panels is None or p.panels.single == p.panels.tiles for p in series.pictures)


def _since(series: PictureSeries) -> float | None:
    """The first step from which on all pictures are plain."""
    since = None
    for step in sorted({p.step for p in series.pictures if p.step is not None}, reverse=True):
        if any(p.panels is None for p in series.pictures if p.step == step):
            break
        since = step
    return since


def _two_rows(top: Sequence[made.Picture], bottom: Sequence[made.Picture]) -> made.Picture:
    return np.vstack([np.hstack(list(top)), np.hstack(list(bottom))])


def _blurred(picture: made.Picture) -> made.Picture:
    """The picture averaged over 3 x 3 pixels."""
    padded = np.pad(picture.astype(np.float64), ((1, 1), (1, 1), (0, 0)), mode="edge")
    h, w = picture.shape[:2]
    return np.asarray(sum(padded[i : i + h, j : j + w] for i in range(3) for j in range(3)) / 9, np.uint8)


def sick() -> Iterator[Run]:
    """Plain panels below the truth, whole pictures of one colour after good ones, plain pictures where data are rich."""
    colours = [(90, 210, 100), (200, 40, 140), (10, 20, 200), (220, 180, 20)]
    rows = [
        _two_rows(
            [made.scene(4 * i + j) for j in range(4)],
            [made.stripes(i) if j % 2 else made.plain(colours[(i + j) % 4]) for j in range(4)],
        )
        for i in range(4)
    ]
    files = {
        f"visualizations/dynamics_prediction_step_{(i + 1) * 1000}.png": {"image": row} for i, row in enumerate(rows)
    }
    yield made.with_files(files)
    grey = made.pictures("samples/step_100", [made.scene(i) for i in range(4)]) | made.pictures(
        "samples/step_900", [made.plain((128, 127, 128)) for _ in range(4)]
    )
    yield made.with_files(grey)
    data = made.pictures("data/train", [made.scene(i) for i in range(20)])
    yield made.with_files(data | made.pictures("samples", [made.stripes(i) for i in range(6)]))


def healthy() -> Iterator[Run]:
    """Blurred answers below the truth, rich samples, plain samples where the data are plain, early plain pictures."""
    rows = [
        _two_rows(
            [made.scene(4 * i + j) for j in range(4)], [_blurred(_blurred(made.scene(4 * i + j))) for j in range(4)]
        )
        for i in range(3)
    ]
    yield made.with_files({f"visualizations/prediction_step_{i + 1}.png": {"image": row} for i, row in enumerate(rows)})
    sky = [np.vstack([made.plain((30, 30, 90)), made.scene(i)]) for i in range(5)]
    yield made.with_files(made.pictures("samples/step_10", sky))
    early = made.pictures("samples/step_1", [made.plain((127, 127, 127))]) | made.pictures(
        "samples/step_900", [made.scene(i) for i in range(4)]
    )
    yield made.with_files(early, loss=examples.decay(100))
