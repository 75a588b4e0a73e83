"""A copy of a state in memory that is used again for the next save: no page of it is asked from the system twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from runvet.checkpoints.writing.errors import need_torch
from runvet.checkpoints.writing.inert_state import mapped

if TYPE_CHECKING:
    import torch


class Snapshot:
    """Buffers on the CPU, pinned where the tensors come from a GPU: as much memory as one state."""

    def __init__(self) -> None:
        self._buffers: dict[str, Any] = {}

    def take(self, state: Mapping[str, Any], live: frozenset[int] | None = None) -> Any:
        """The same tree with copies of its tensors, valid until the next call. Tensors of GPUs are copied together.

        With `live`, tensors in other memory than this are copies already.
        """
        torch = need_torch()
        seen: dict[Any, Any] = {}
        devices = set()

        def copy(name: str, tensor: Any) -> Any:
            if tensor.layout is not torch.strided or tensor.is_quantized:
                return tensor.cpu().clone()
            if live is not None and tensor.untyped_storage().data_ptr() not in live:
                return tensor
            key = (tensor.device, tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())
            if tensor.numel() and key in seen:  # tied weights
                return seen[key]
            buffer = self._buffers.get(name)
            gpu = tensor.device.type == "cuda"
            if buffer is None or buffer.shape != tensor.shape or buffer.dtype != tensor.dtype:
                buffer = _buffer(tensor, gpu)
                self._buffers[name] = buffer
            buffer.copy_(tensor, non_blocking=gpu)
            if gpu:
                devices.add(tensor.device)
            seen[key] = buffer
            return buffer

        made = mapped(state, copy)
        for device in devices:
            torch.cuda.synchronize(device)
        return made


def _buffer(tensor: torch.Tensor, pinned: bool) -> Any:
    """Memory for a copy. numpy asks the system for large pages, which makes the first copy several times faster."""
    torch = need_torch()
    if pinned or not tensor.numel():
        made = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=pinned)
    else:
        raw = np.empty(tensor.numel() * tensor.element_size(), np.uint8)
        made = torch.from_numpy(raw).view(tensor.dtype).reshape(tensor.shape)
    return made
