"""What must not be saved: states that are empty, cut off, or not finite. Names first, so that the cause is found at once."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runvet.checkpoints.judge import infinite_on_purpose
from runvet.checkpoints.writing.errors import RefusedCheckpoint, need_torch
from runvet.checkpoints.writing.inert_state import tensors

if TYPE_CHECKING:
    import torch

_SHOWN = 6
_JUDGED = ("model", "ema", "optimizer", "extra")  # generators and scalers may hold anything


def refuse_empty(state: Mapping[str, Any], expected: Mapping[str, Mapping[str, tuple[int, ...]]]) -> None:
    """Raise RefusedCheckpoint where a part holds no tensors, or not those that its module has.

    `expected` maps a part ('model', 'ema') to its parameters' names and global shapes; a part that was given as a
    plain state is expected to hold something.
    """
    if not any(True for _ in tensors(state)):
        raise RefusedCheckpoint("the state holds no tensors at all; nothing was written")
    for part, shapes in expected.items():
        held = dict(tensors(state.get(part, {})))
        if not held:
            raise RefusedCheckpoint(
                f"the {part} state is empty{_of(shapes)}: was it gathered on every rank, and written by rank 0?",
                tuple(shapes),
            )
        lost = [n for n in shapes if n not in held]
        if lost:
            raise RefusedCheckpoint(
                f"the {part} state lacks {len(lost)} of {len(shapes)} parameters: {named(lost)}", tuple(lost)
            )
        wrong = [n for n, shape in shapes.items() if tuple(held[n].shape) != shape]
        if wrong:
            first = wrong[0]
            raise RefusedCheckpoint(
                f"the {part} state is cut off: {named(wrong)} (shape {tuple(held[first].shape)}"
                f" where the parameter has {shapes[first]})",
                tuple(wrong),
            )
        hollow = [n for n, t in held.items() if t.numel() == 0 and (not shapes or n in shapes)]
        if hollow and (shapes or 2 * len(hollow) > len(held)):
            raise RefusedCheckpoint(
                f"{len(hollow)} tensors of the {part} state have size 0, weights that were gathered nowhere: {named(hollow)}",
                tuple(hollow),
            )


def refuse_lost(now: Mapping[str, tuple[int, ...]], before: Mapping[str, tuple[int, ...]]) -> None:
    """Raise RefusedCheckpoint where tensors of the checkpoint before (names to shapes) are gone or have shrunk to nothing."""
    lost = [n for n in before if n not in now or (0 in now[n] and 0 not in before[n])]
    if lost:
        raise RefusedCheckpoint(
            f"{len(lost)} of the {len(before)} tensors of the checkpoint before are missing: {named(lost)}."
            " Where that is meant, save with allow_changes=True",
            tuple(lost),
        )


def refuse_non_finite(state: Mapping[str, Any], allowed: Sequence[str] = ()) -> None:
    """Raise RefusedCheckpoint where a weight, average or optimizer value is NaN or infinite.

    Names that are infinite on purpose (masks, running extremes) and those that match a pattern of `allowed` pass.
    """
    bad: dict[str, int] = {}
    for part in _JUDGED:
        for name, tensor in tensors(state.get(part, {}), part):
            count = non_finite(tensor)
            if count and not infinite_on_purpose(name) and not any(fnmatch.fnmatch(name, p) for p in allowed):
                bad[name] = count
    if bad:
        raise RefusedCheckpoint(
            f"{sum(bad.values()):,} values are NaN or infinite, in {len(bad)} tensors: {named(bad)}", tuple(bad)
        )


def non_finite(tensor: torch.Tensor) -> int:
    """How many values of a tensor are NaN or infinite. One pass at the speed of memory where there are none."""
    torch = need_torch()
    if tensor.layout is not torch.strided:
        tensor = tensor.coalesce().values() if tensor.layout is torch.sparse_coo else tensor.values()
    if not tensor.numel() or not (tensor.is_floating_point() or tensor.is_complex()) or tensor.is_quantized:
        return 0
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    if tensor.element_size() == 1:
        if tensor.dtype not in (torch.float8_e4m3fn, torch.float8_e5m2):
            return 0
        tensor = tensor.to(torch.float32)
    total = tensor.sum(dtype=torch.float32 if tensor.element_size() < 4 else tensor.dtype)
    if bool(torch.isfinite(total)):  # one value that is not finite makes the sum so
        return 0
    return int(tensor.numel() - int(torch.isfinite(tensor).sum()))


def named(names: Iterable[str]) -> str:
    """A few names and how many more there are."""
    every = list(names)
    rest = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(n[:100] for n in every[:_SHOWN]) + rest


def _of(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return f" while the module has {len(shapes)} parameters ({named(shapes)})" if shapes else ""
