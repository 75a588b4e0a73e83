"""What goes wrong while writing, each with the one thing to do about it."""

from __future__ import annotations

from typing import Any


class RefusedCheckpoint(ValueError):
    """A state that must not be saved: empty, cut off or not finite. What was saved before is untouched.

    `tensors` are the names of those at fault.
    """

    def __init__(self, message: str, tensors: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.tensors = tensors

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.tensors)  # it travels between ranks


class SaveFailed(OSError):
    """A save that could not be finished (disk full, no permission, wrong bytes read back). What was saved before is untouched."""


class MissingTorch(ImportError):
    """Writing and loading need torch, which is not installed."""


def need_torch() -> Any:
    """The torch module. Raises MissingTorch with the command that installs it."""
    try:
        import torch
    except ImportError:
        raise MissingTorch("writing checkpoints needs torch; install it with: pip install 'runvet[torch]'") from None
    return torch
