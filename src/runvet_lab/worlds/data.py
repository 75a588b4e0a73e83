"""Video frames on disk, `<name>_frames.h5` with `frames` uint8 (n, h, w, 3), and windows of them for training.

Generated files carry further data sets (`actions`, `rooms`, `hero`, `visible`) that other readers ignore; real ones train too,
and what needs true actions is then not measured. A window never crosses a cut, and the last part in time is held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from runvet_lab.base.extra import need
from runvet_lab.worlds.adventure import ACTIONS, Walk

Frames: TypeAlias = npt.NDArray[np.uint8]
Rows: TypeAlias = npt.NDArray[np.int64]

CUT = 0.12  # share of the pixels' range by which two frames differ on average where a real file has a cut
HELD_OUT, GAP = (
    0.1,
    64,
)  # share of the frames at the end that is never trained on, and frames before it that nobody uses


class DataProblem(ValueError):
    """A file that can't be used; the message names it and what to do."""


@dataclass(frozen=True, slots=True)
class Video:
    """`frames` (n, h, w, 3) uint8; `actions` (n,) and `visible` (n,) or None; `cuts`: rows that begin a new shot."""

    frames: Frames
    cuts: Rows
    actions: npt.NDArray[np.uint8] | None = None
    visible: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.frames)


def write(path: Path, walk: Walk, *, fps: int = 15, seed: int = 0) -> None:
    """Write a walk. Raises OSError, MissingExtra."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with need("h5py").File(path, "w") as file:
        file.create_dataset("frames", data=walk.frames, chunks=(64, *walk.frames.shape[1:]), compression="lzf")
        for name in ("actions", "rooms", "hero", "visible"):
            file.create_dataset(name, data=getattr(walk, name))
        file.attrs.update(fps=fps, seed=seed, action_names=list(ACTIONS))


def read(path: Path, *, first: int = 0, last: int | None = None) -> Video:
    """The frames of a file, or some of them. Raises DataProblem."""
    try:
        with need("h5py").File(path, "r") as file:
            if "frames" not in file:
                raise DataProblem(f"{path}: no data set 'frames', only {', '.join(file) or 'nothing'}")
            held = file["frames"]
            if held.ndim != 4 or held.shape[-1] != 3 or held.dtype != np.uint8:
                raise DataProblem(f"{path}: frames are {held.dtype} {held.shape}; uint8 (n, h, w, 3) is expected")
            part = slice(first, last)
            frames = held[part]
            more = {name: file[name][part] for name in ("actions", "rooms", "visible") if name in file}
    except (OSError, KeyError) as error:
        raise DataProblem(f"{path}: not a readable HDF5 file: {error}") from None
    if any(len(values) != len(frames) for values in more.values()):
        raise DataProblem(f"{path}: actions or rooms are not as many as the {len(frames)} frames")
    rooms = more.get("rooms")
    cuts = np.flatnonzero(np.diff(rooms)) + 1 if rooms is not None else cuts_of(frames)
    visible = more.get("visible")
    return Video(frames, cuts, more.get("actions"), None if visible is None else visible.astype(bool))


def cuts_of(frames: Frames, threshold: float = CUT) -> Rows:
    """Rows at which a new shot begins, by the mean difference of neighbours at a quarter of the resolution."""
    found, before = [], None
    for begin in range(0, len(frames), 1024):
        small = frames[begin : begin + 1024, ::4, ::4].astype(np.int16)
        whole = small if before is None else np.concatenate([before[None], small])
        change = np.abs(np.diff(whole, axis=0)).mean(axis=(1, 2, 3)) / 255
        found.append(np.flatnonzero(change > threshold) + begin + (1 if before is None else 0))
        before = small[-1]
    return np.concatenate(found) if found else np.empty(0, np.int64)


def split(video: Video) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows (first, last) to train on and held out: the end in time, after a gap. Raises DataProblem for too few frames."""
    border = round(len(video) * (1 - HELD_OUT))
    if border - GAP < GAP:
        raise DataProblem(f"{len(video)} frames are too few; some {3 * GAP // HELD_OUT:.0f} are needed")
    return (0, border - GAP), (border, len(video))


def windows(video: Video, length: int, rows: tuple[int, int], *, across_cuts: bool = False) -> Rows:
    """First rows of all windows of `length` frames within `rows`; none with a cut inside, unless `across_cuts`."""
    starts = np.arange(rows[0], rows[1] - length + 1)
    if across_cuts or not len(video.cuts):
        return starts
    following = np.searchsorted(video.cuts, starts, side="right")
    next_cut = np.append(video.cuts, np.iinfo(np.int64).max)[following]
    return starts[starts + length <= next_cut]


def counts(video: Video, starts: Rows, length: int) -> dict[str, int]:
    """What of a video is trained on: frames, windows of `length` frames, and cuts among these frames."""
    first, last = split(video)[0]
    cuts = int(((video.cuts > first) & (video.cuts < last)).sum())
    return {"train_frames": last - first, "window_frames": length, "train_windows": len(starts), "train_cuts": cuts}


def take(video: Video, starts: Rows, length: int) -> Frames:
    """Frames (k, length, h, w, 3) of windows."""
    out: Frames = video.frames[starts[:, None] + np.arange(length)]
    return out


def from_video(source: Path, path: Path, *, size: int = 64, fps: float = 15.0) -> int:
    """Frames of a video file as HDF5, `fps` a second, cropped to a square in the middle; returns how many.

    Through imageio with PyAV. Raises DataProblem, MissingExtra.
    """
    reader: Any = need("imageio.v3", "video")
    image = need("PIL.Image")
    try:
        rate = float(reader.immeta(source, plugin="pyav").get("fps") or fps)
        kept: list[Frames] = []
        step = max(rate / fps, 1.0)
        for number, frame in enumerate(reader.imiter(source, plugin="pyav")):
            if number >= len(kept) * step:
                kept.append(_square(image, frame, size))
    except (OSError, ValueError) as error:
        raise DataProblem(f"{source}: not a readable video: {error}") from None
    if not kept:
        raise DataProblem(f"{source}: no frames")
    path.parent.mkdir(parents=True, exist_ok=True)
    with need("h5py").File(path, "w") as file:
        file.create_dataset("frames", data=np.stack(kept), compression="lzf")
        file.attrs.update(fps=fps)
    return len(kept)


def _square(image: Any, frame: Frames, size: int) -> Frames:
    side = min(frame.shape[:2])
    top, left = (frame.shape[0] - side) // 2, (frame.shape[1] - side) // 2
    cut = image.fromarray(frame[top : top + side, left : left + side])
    return np.asarray(cut.resize((size, size), image.Resampling.BOX))
