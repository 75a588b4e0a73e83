"""What a checkpoint is, once it has been read: frozen facts, no file handles, nothing executable."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from runvet.checkpoints.problems import Problem

Role: TypeAlias = Literal["model", "optimizer", "ema", "other"]
Scalar: TypeAlias = "str | int | float | bool | None"
ROLES: tuple[Role, ...] = ("model", "optimizer", "ema", "other")


@dataclass(frozen=True, slots=True)
class Tensor:
    """One stored tensor: its name with dots, its shape in elements, its dtype ('float32', 'bfloat16', 'int4x2' …).

    `layout` is 'dense', 'sparse' (shape is the dense one), 'quantized' (values are the stored integers), 'view'
    (a strided part of a larger storage) or 'unstored' (a placeholder on the meta device: no values anywhere).
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: Role = "model"
    layout: str = "dense"

    @property
    def elements(self) -> int:
        """The number of elements, of the dense shape for a sparse tensor."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Values:
    """What a scan of n tensors found, in columns of shape (n,) in the order of `Checkpoint.tensors`.

    `non_finite` and `zero` count elements (int64); `mean`, `std` (population), `minimum` and `maximum` are float64 over
    the finite elements, NaN where there is none. `digest` is 24 hex digits of the bytes, equal for equal values of
    the same dtype, shape and layout in memory; it finds changes, it does not protect against forgery. Where `scanned` is False
    (placeholders, damaged ranges) the other columns mean nothing.
    """

    scanned: npt.NDArray[np.bool_]
    non_finite: npt.NDArray[np.int64]
    zero: npt.NDArray[np.int64]
    mean: npt.NDArray[np.float64]
    std: npt.NDArray[np.float64]
    minimum: npt.NDArray[np.float64]
    maximum: npt.NDArray[np.float64]
    digest: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.digest)

    @staticmethod
    def empty() -> Values:
        """No tensors."""
        whole, real = np.zeros(0, np.int64), np.zeros(0)
        return Values(np.zeros(0, np.bool_), whole, whole, real, real, real, real, ())

    @staticmethod
    def joined(several: list[Values]) -> Values:
        """The columns of several scans, one after another."""
        if not several:
            return Values.empty()
        return Values(
            scanned=np.concatenate([v.scanned for v in several]),
            non_finite=np.concatenate([v.non_finite for v in several]),
            zero=np.concatenate([v.zero for v in several]),
            mean=np.concatenate([v.mean for v in several]),
            std=np.concatenate([v.std for v in several]),
            minimum=np.concatenate([v.minimum for v in several]),
            maximum=np.concatenate([v.maximum for v in several]),
            digest=tuple(d for v in several for d in v.digest),
        )


@dataclass(frozen=True, slots=True)
class Group:
    """How much of a checkpoint plays one role."""

    tensors: int
    parameters: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file, or a folder (or set of files) that belongs together; then its files are `parts`.

    `path` is relative to the listed path, with slashes. `step` and `epoch` are the best that is known; `file_step`
    stands inside, `name_step` in the name. `bytes` is the size on disk, `modified` unix seconds. `kind` is what
    the layout says ('huggingface', 'lightning', 'deepspeed', 'accelerate', 'peft', …), else ''. `plain` holds the
    scalars beside the tensors by dotted name, credentials masked. `foreign` are the callables which the file names
    and which no checkpoint needs; `dangerous` those of them that can run code. `empty_states` are the names of
    states that are there and hold nothing ('model', 'optimizer'). `values` is None unless scanned.
    """

    path: str
    format: str
    bytes: int = 0
    modified: float = 0.0
    kind: str = ""
    step: int | None = None
    epoch: float | None = None
    file_step: int | None = None
    name_step: int | None = None
    file_epoch: float | None = None
    name_epoch: float | None = None
    tensors: tuple[Tensor, ...] = ()
    values: Values | None = None
    plain: Mapping[str, Scalar] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    foreign: tuple[str, ...] = ()
    dangerous: tuple[str, ...] = ()
    empty_states: tuple[str, ...] = ()
    parts: tuple[Checkpoint, ...] = ()

    @property
    def parameters(self) -> int:
        """Elements of all tensors; tied tensors count every time they are named."""
        return sum(t.elements for t in self.tensors)

    @property
    def dtypes(self) -> dict[str, int]:
        """Tensors by dtype."""
        return dict(Counter(t.dtype for t in self.tensors))

    @property
    def groups(self) -> dict[Role, Group]:
        """Tensors and parameters by role; only roles that occur."""
        by_role = {role: [t.elements for t in self.tensors if t.role == role] for role in ROLES}
        return {role: Group(len(found), sum(found)) for role, found in by_role.items() if found}

    @property
    def finite(self) -> bool | None:
        """Whether every value of model, optimizer and averages is finite; None unless all values were scanned.

        The state of callbacks and random generators does not count: a best score starts as infinity.
        """
        if self.values is None:
            return None
        counted = np.array([t.role != "other" for t in self.tensors], dtype=np.bool_)
        if int(self.values.non_finite[self.values.scanned & counted].sum()):
            return False
        stored = np.array([t.layout != "unstored" for t in self.tensors], dtype=np.bool_)
        return True if bool(self.values.scanned[stored & counted].all()) else None

    @property
    def usable(self) -> bool | None:
        """False where a problem forbids its use, None where it could not be read, else True."""
        if any(p.unusable for p in self.problems):
            return False
        return None if any(p.name == "unread-checkpoint" for p in self.problems) else True
