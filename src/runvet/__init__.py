"""runvet vets a machine-learning training run from what it left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runvet.api import check, read
    from runvet.many import check_many

__version__ = "0.1.0"
__all__ = ["__version__", "check", "check_many", "read"]


def __getattr__(name: str) -> Any:
    """Load the interface on first use, so that `import runvet` costs next to nothing."""
    if name in ("check", "read"):
        from runvet import api

        return getattr(api, name)
    if name == "check_many":
        from runvet.many import check_many

        return check_many
    raise AttributeError(f"module 'runvet' has no attribute {name!r}")
