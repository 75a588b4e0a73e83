"""Words for examples of checkpoints, made in memory and judged as read ones are.

examples.run(stage, checkpoints=examples.training((200, 400, 600)))
examples.run(stage, checkpoints=[examples.checkpoint(200), examples.checkpoint(400, {})])
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from runvet.checkpoints.judge import own_problems
from runvet.checkpoints.model import Checkpoint, Role, Scalar, Tensor, Values
from runvet.checkpoints.names import counted, epoch_of, step_of
from runvet.checkpoints.problems import Problem

Arrays = Mapping[str, npt.NDArray[Any]]
LAYERS = ("encoder.0", "encoder.1", "head")


def weights(
    seed: int = 0, *, prefix: str = "model.", layers: Sequence[str] = LAYERS, width: int = 8
) -> dict[str, npt.NDArray[Any]]:
    """Random float32 weights (width, width) and biases (width,) of some layers."""
    rng = np.random.default_rng(seed)
    shapes = {
        f"{prefix}{name}.{kind}": shape
        for name in layers
        for kind, shape in (("weight", (width, width)), ("bias", (width,)))
    }
    return {name: (0.1 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}


def adam(model: Arrays, step: int, *, seed: int = 0) -> dict[str, npt.NDArray[Any]]:
    """The state that Adam keeps for these weights after so many steps."""
    rng, out = np.random.default_rng(seed + step), {}
    for i, array in enumerate(model.values()):
        out[f"optimizer.state.{i}.step"] = np.float32(step).reshape(())
        out[f"optimizer.state.{i}.exp_avg"] = (1e-3 * rng.standard_normal(array.shape)).astype(np.float32)
        out[f"optimizer.state.{i}.exp_avg_sq"] = (1e-6 * rng.random(array.shape) + 1e-9).astype(np.float32)
    return out


def trained(step: int, *, prefix: str = "model.", width: int = 8) -> dict[str, npt.NDArray[Any]]:
    """Weights that start equal and drift apart with the step."""
    start, drift = weights(0, prefix=prefix, width=width), weights(1, prefix=prefix, width=width)
    return {name: (start[name] + drift[name] * np.float32(0.01 * step**0.5)) for name in start}


def checkpoint(
    step: int | None = None,
    arrays: Arrays | None = None,
    *,
    path: str = "checkpoints/step_{step}.pt",
    scanned: bool = True,
    size: int | None = None,
    problems: Sequence[str] = (),
    parts: Mapping[str, Arrays] | None = None,
    dangerous: Sequence[str] = (),
    inside: Mapping[str, Scalar] | None = None,
    kind: str = "",
) -> Checkpoint:
    """A checkpoint as the readers give it.

    Without `arrays` it holds trained weights and Adam's state for `step`. The role of a tensor is the first part of
    its name (`optimizer`, `ema`, else the model's). `inside` are the plain values, {'step': step} by default.
    `problems` are names such as 'damaged-checkpoint'; `parts` are files by name whose arrays make up the whole.
    """
    if arrays is None and parts is None:
        model = trained(step or 0)
        arrays = model | adam(model, step or 0)
    place = path.format(step=step)
    pieces = tuple(_one(f"{place}/{name}", several, scanned) for name, several in (parts or {}).items())
    whole = _one(place, arrays or {}, scanned) if parts is None else replace(
        pieces[0],
        path=place,
        tensors=tuple(t for p in pieces for t in p.tensors),
        values=Values.joined([p.values for p in pieces if p.values is not None]) if scanned else None,
        parts=pieces,
    )  # fmt: skip
    plain: Mapping[str, Scalar] = inside if inside is not None else {} if step is None else {"step": step}
    file_step, file_epoch = counted(plain)
    name = place.rpartition("/")[2]
    made = replace(
        whole,
        plain=plain,
        kind=kind,
        file_step=file_step,
        name_step=step_of(name),
        file_epoch=file_epoch,
        name_epoch=epoch_of(name),
        step=file_step if file_step is not None else step_of(name),
        epoch=file_epoch if file_epoch is not None else epoch_of(name),
        dangerous=tuple(dangerous),
        problems=(
            *(Problem(p, "cut off: the directory at the file's end is missing") for p in problems),
            *(Problem("code-in-checkpoint", f"loading it with pickle would run {d}") for d in dangerous),
        ),
        bytes=size if size is not None else whole.bytes,
    )
    return replace(made, problems=(*made.problems, *own_problems(made, "dict" if made.tensors else "empty", None)))


def training(steps: Sequence[int], *, path: str = "checkpoints/step_{step}.pt", **more: Any) -> list[Checkpoint]:
    """Healthy checkpoints of one training at these steps."""
    return [checkpoint(step, path=path, **more) for step in steps]


def _one(path: str, arrays: Arrays, scanned: bool) -> Checkpoint:
    tensors = tuple(Tensor(name, a.shape, str(a.dtype), _role(name)) for name, a in arrays.items())
    size = 1_000 + sum(a.nbytes for a in arrays.values())
    return Checkpoint(path, "torch-zip", bytes=size, tensors=tensors, values=_values(arrays) if scanned else None)


def _role(name: str) -> Role:
    first = name.partition(".")[0]
    return "optimizer" if first == "optimizer" else "ema" if first == "ema" else "other" if first == "rng" else "model"


def _values(arrays: Arrays) -> Values:
    flat = [a.astype(np.float64).ravel() for a in arrays.values()]
    finite = [f[np.isfinite(f)] for f in flat]

    def column(of: Any) -> npt.NDArray[np.float64]:
        return np.array([of(f) if len(f) else np.nan for f in finite], dtype=np.float64)

    return Values(
        scanned=np.ones(len(flat), np.bool_),
        non_finite=np.array([len(f) - len(g) for f, g in zip(flat, finite, strict=True)], np.int64),
        zero=np.array([int((f == 0).sum()) for f in flat], np.int64),
        mean=column(np.mean),
        std=column(np.std),
        minimum=column(np.min),
        maximum=column(np.max),
        digest=tuple(hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()[:24] for a in arrays.values()),
    )
