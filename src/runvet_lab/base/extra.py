"""Libraries that a lab needs and the core does not."""

from __future__ import annotations

import importlib
from types import ModuleType


class MissingExtra(ImportError):
    """A library of an extra is not installed; the message names the command that installs it."""


def need(module: str, extra: str = "lab") -> ModuleType:
    """Import a library of an extra. Raises MissingExtra."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise  # the library is there and lacks something of its own
        raise MissingExtra(f"{module} is missing; install it with: pip install 'runvet[{extra}]'") from None
