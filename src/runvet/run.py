"""What a run is, once it has been read: frozen columns of numbers, events and settings.

Readers fill a `Log` per file (see `sink.py`), `stages.py` joins logs into stages, rules read the result.
Nothing here does input or output, and nothing here knows a file format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from runvet.artifacts.model import Artifacts

if TYPE_CHECKING:  # its package reads files with readers, which fill what is defined here
    from runvet.checkpoints.model import Checkpoint

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
Direction: TypeAlias = Literal["down", "up"]
Split: TypeAlias = Literal["train", "val", "test"]
Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one stage, as columns of equal length n.

    `value`, `step`, `epoch` and `time` are float64 of shape (n,); an unknown coordinate is NaN, a non-finite
    value is kept. `time` is in seconds (unix time or seconds since the start: only differences mean anything).
    `line` is int64 (n,): the 1-based line (or record) of each point in its file, 0 where unknown. `file` is
    int64 (n,): an index into `files`. `segment` is int64 (n,): 0 for the first uninterrupted part, then 1, 2, …

    Huge logs are thinned while they are read: every `stride`-th point is kept, while `total`, `minimum`,
    `maximum`, `non_finite`, `first` and `last` are exact over all points.
    """

    name: str
    value: FloatArray
    step: FloatArray
    epoch: FloatArray
    time: FloatArray
    line: IntArray
    file: IntArray
    segment: IntArray
    files: tuple[str, ...]
    total: int
    non_finite: int
    minimum: float
    maximum: float
    stride: int = 1
    role: str | None = None
    direction: Direction | None = None
    split: Split | None = None

    def __len__(self) -> int:
        return len(self.value)

    @property
    def first(self) -> float:
        """The first value."""
        return float(self.value[0])

    @property
    def last(self) -> float:
        """The last value."""
        return float(self.value[-1])

    def x(self) -> FloatArray:
        """The best axis this series has, shape (n,): steps, else epochs, else the index of the point."""
        for axis in (self.step, self.epoch):
            if len(axis) and np.isfinite(axis).all():
                return axis
        return np.arange(len(self.value), dtype=np.float64)

    @property
    def axis(self) -> Literal["step", "epoch", "point"]:
        """What `x` counts."""
        if len(self.step) and np.isfinite(self.step).all():
            return "step"
        return "epoch" if len(self.epoch) and np.isfinite(self.epoch).all() else "point"

    def where(self, index: int) -> str:
        """The place of one point for a person: `train.log:120`, or the file alone where the line is unknown."""
        name, line = self.files[int(self.file[index])], int(self.line[index])
        return f"{name}:{line}" if line > 0 else name

    def pick(self, keep: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Series:
        """The same series with only the points of a mask (n,) or of an index array."""
        value = self.value[keep]
        finite = value[np.isfinite(value)]
        return replace(
            self,
            value=value,
            step=self.step[keep],
            epoch=self.epoch[keep],
            time=self.time[keep],
            line=self.line[keep],
            file=self.file[keep],
            segment=self.segment[keep],
            total=len(value),
            non_finite=len(value) - len(finite),
            minimum=float(finite.min()) if len(finite) else np.nan,
            maximum=float(finite.max()) if len(finite) else np.nan,
        )

    def finite(self) -> Series:
        """The finite points alone; the same object when all are."""
        mask = np.isfinite(self.value)
        return self if mask.all() else self.pick(mask)

    def segments(self) -> Iterator[Series]:
        """The uninterrupted parts, in order; a series without seams gives itself."""
        if not len(self) or (self.segment[0] == self.segment[-1] and not np.diff(self.segment).any()):
            yield self
            return
        order = np.argsort(self.segment, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(self.segment[order])) + 1):
            yield self.pick(part)


@dataclass(frozen=True, slots=True)
class Event:
    """Something a log says that is not a number in a series.

    `kind` is one of `EVENT_KINDS`; `text` is the line as it stands (credentials already masked, at most 400
    characters); `value` is the number or word that the kind carries, if any; `count` folds repeats.
    """

    kind: str
    text: str
    source: str
    line: int = 0
    step: float | None = None
    epoch: float | None = None
    value: float | str | None = None
    count: int = 1
    segment: int = 0

    @property
    def where(self) -> str:
        """`train.log:120`, or the file alone where the line is unknown."""
        return f"{self.source}:{self.line}" if self.line > 0 else self.source


EVENT_KINDS: Mapping[str, str] = {
    "traceback": "an exception; value = its type, text = `Type: message`",
    "killed": "the process was killed, out of memory on the host, or segfaulted",
    "out-of-memory": "the accelerator ran out of memory",
    "warning": "a warning line of any logger",
    "error": "an error line of any logger that is not a traceback",
    "start": "a process started: banner, echoed configuration, `nohup: ignoring input`, `distributed init`",
    "resume": "a checkpoint was loaded to go on from; value = its path or step",
    "from-scratch": "no checkpoint was found, or training begins from scratch",
    "weights-loaded": "how many parameters a checkpoint gave; value = the number",
    "weights-missing": "missing, unexpected or newly initialised parameters; value = how many, where said",
    "epoch-length": "steps in one epoch as the log counts them; value = steps; only where it changes",
    "planned-steps": "the planned number of steps; value = steps",
    "planned-epochs": "the planned number of epochs; value = epochs",
    "world-size": "number of processes or GPUs; value = the number",
    "import-path": "file of an imported project module; value = the path",
    "work-dir": "working directory or job directory; value = the path",
    "loss-scale": "a gradient scaler changed its scale; value = the new scale",
    "tracker-dropped": "the tracker ignored points; value = the step, where said",
    "checkpoint-saved": "a checkpoint was written; value = its path, where said",
    "best": "a new best model was declared; value = the metric's value, where said",
    "finished": "the program says that training is complete",
    "range": "a debug line with ranges; text = the line (see `evidence/ranges.py`)",
    "credential": "a line held a credential; the text is not kept",
}


def number(value: object) -> float | None:
    """A value as a number; None for whatever is none, True and False among it, and for what overflows a double."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of a configuration, with the place it was read from."""

    key: str
    value: Plain
    source: str
    line: int = 0

    @property
    def where(self) -> str:
        """`config.yaml:12`, or the file alone where the line is unknown."""
        return f"{self.source}:{self.line}" if self.line > 0 else self.source

    @property
    def number(self) -> float | None:
        """The value as a number; None for texts, lists, True, False, and whole numbers beyond the range of a double."""
        return number(self.value)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be read: which file, where, why, and what would help."""

    source: str
    why: str
    line: int = 0
    offset: int | None = None
    remedy: str = ""

    @property
    def where(self) -> str:
        """The file with line or byte, whichever is known."""
        if self.line > 0:
            return f"{self.source}:{self.line}"
        return self.source if self.offset is None else f"{self.source} at byte {self.offset}"


@dataclass(frozen=True, slots=True)
class Seam:
    """A place where one process ended and another began: everything from `line` of `source` on is later."""

    source: str
    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Log:
    """All that one file (or one run within a file) told. `scope` names a run or stage within the file, or ''."""

    source: str
    reader: str
    scope: str = ""
    series: tuple[Series, ...] = ()
    events: tuple[Event, ...] = ()
    settings: tuple[Setting, ...] = ()
    problems: tuple[Problem, ...] = ()
    seams: tuple[Seam, ...] = ()
    modified: float = 0.0  # unix time of the file's last change
    size: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """One training: its series (logs joined, duplicates dropped), events and settings.

    `series` are in the order of the log. A stage of a run with a single training is named after the run.
    """

    name: str
    run: str
    series: tuple[Series, ...]
    events: tuple[Event, ...] = ()
    settings: tuple[Setting, ...] = ()
    logs: tuple[Log, ...] = ()
    seams: tuple[Seam, ...] = ()

    def role(self, *roles: str) -> tuple[Series, ...]:
        """The series that have one of these roles (see `roles.py`), in the order of the roles asked for."""
        return tuple(s for role in roles for s in self.series if s.role == role)

    def setting(self, *names: str) -> Setting | None:
        """The first setting whose last key part (compared without case, `-` as `_`) is one of the names."""
        for name in names:
            for setting in self.settings:
                if setting.key.rsplit(".", 1)[-1].lower().replace("-", "_") == name:
                    return setting
        return None


LINKED = "a link to a folder elsewhere; give that folder as well"


@dataclass(frozen=True, slots=True)
class Ignored:
    """A file that was not read as a log, and why."""

    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Run:
    """Everything below one path: the stages, what could not be read and what was ignored."""

    path: str
    stages: tuple[Stage, ...]
    problems: tuple[Problem, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    settings: tuple[Setting, ...] = ()
    readers: Mapping[str, str] = field(default_factory=dict)  # file -> reader that took it
    artifacts: Artifacts | None = field(default=None, compare=False, repr=False)  # samples, data, predictions
    checkpoints: tuple[Checkpoint, ...] = field(default=(), compare=False, repr=False)
