"""The operations of the ray caster in torch, on any device."""

from __future__ import annotations

from typing import Any

from runvet_lab.base.extra import need


class Tools:
    """What `with_numpy` does, for tensors."""

    def __init__(self, device: str) -> None:
        self.torch = need("torch")
        self.device = device
        self.larger, self.smaller, self.where = self.torch.maximum, self.torch.minimum, self.torch.where

    def of(self, array: Any) -> Any:
        """As float32."""
        return self.torch.as_tensor(array, dtype=self.torch.float32, device=self.device)

    def index(self, array: Any) -> Any:
        """As an index."""
        return self.torch.as_tensor(array, device=self.device)

    def full(self, size: int, value: int) -> Any:
        """`size` keys of one value."""
        return self.torch.full((size,), value, dtype=self.torch.int64, device=self.device)

    def nonzero(self, array: Any) -> Any:
        """Without zeros, which must not divide."""
        return self.torch.where(array.abs() < 1e-9, 1e-9, array)

    def keys(self, distance: Any, number: Any) -> Any:
        """Distance and number of the box as one sortable number."""
        return distance.contiguous().view(self.torch.int32).to(self.torch.int64) << 16 | number

    def lowest(self, have: Any, cells: Any, new: Any) -> None:
        """Keep the lower key of each cell, in place."""
        have.scatter_reduce_(0, cells, new, "amin")

    def split(self, have: Any, none: int) -> tuple[Any, Any]:
        """Distances and numbers of boxes; `none` (no box was met) is any number from there on."""
        return (have >> 16).to(self.torch.int32).view(self.torch.float32), (have & 0xFFFF).clamp(max=none)
