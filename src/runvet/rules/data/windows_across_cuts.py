"""DATA121 windows-across-cuts."""

from __future__ import annotations

from collections.abc import Iterator

from runvet import examples
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import percent
from runvet.run import Stage

COUNTS = (("train_frames",), ("train_cuts", "num_cuts"), ("window_frames",), ("train_windows",))


@rule("DATA121", "windows-across-cuts", level="warning", since="0.1")
def windows_across_cuts(stage: Stage, *, least: float = 0.005) -> Sick | Unsure | None:
    """Training windows run over cuts of the video.

    ## What it checks
    Settings that count what is trained on: frames, cuts among them, frames of a window, windows (`train_frames`,
    `train_cuts`, `window_frames`, `train_windows`). A finding where there are more windows than fit between the cuts, and
    half a per cent of all windows or more holds one.
    ## Why it matters
    What follows a cut cannot be told from what went before: the loss gets a floor and spikes, and actions are learnt that
    mean "another room".
    ## What to do
    Take no window that holds the beginning of another shot or episode.
    ## When to ignore it
    Cuts that the model shall learn, as with changes of a room that follow from an action.
    ## Known limits
    The counts must be kept beside the log. Shots shorter than a window are counted as if all windows fitted.
    ## References
    - Denton, Fergus 2018, arXiv 1802.07687 (windows drawn within episodes).
    """
    told = [stage.setting(*names) for names in COUNTS]
    counts = [s.number if s is not None else None for s in told]
    if any(c is None for c in counts):
        return Unsure(
            "frames, cuts and windows are not counted",
            "keep train_frames, train_cuts, window_frames, train_windows in the settings",
            applicable=any(c is not None for c in counts),
        )
    frames, cuts, length, windows = (c for c in counts if c is not None)
    whole = frames - length + 1
    lost = min(cuts * (length - 1), whole)  # windows that hold a cut
    if length < 2 or not lost or lost < least * whole or windows < whole - 0.5 * lost:
        return None
    return Sick(
        f"{windows:,.0f} windows of {length:.0f} frames are taken from {frames:,.0f} frames with {cuts:,.0f} cuts: {lost:,.0f} of them"
        f" ({percent(lost / whole)}) run over one",
        (
            Measure("windows", windows),
            Measure("cuts", cuts),
            Measure("windows that hold a cut, at most", lost, f"of {whole:.0f}"),
        ),
        None,
        "the cuts follow from what the model is told, and shall be learnt",
        (Action("Draw windows within shots or episodes only", "a few lines", "repair"),),
    )


def sick() -> Iterator[Stage]:
    """Every possible window, among them those that hold a cut."""
    settings = {"train_frames": 10_000, "train_cuts": 200, "window_frames": 4, "train_windows": 9_997}
    yield examples.stage(train_loss=examples.decay(400), settings=settings)


def healthy() -> Iterator[Stage]:
    """Windows within shots; a video without cuts; hardly any."""
    for cuts, windows in ((200, 9_397), (0, 9_997), (3, 9_997)):
        settings = {"train_frames": 10_000, "train_cuts": cuts, "window_frames": 4, "train_windows": windows}
        yield examples.stage(train_loss=examples.decay(400), settings=settings)
