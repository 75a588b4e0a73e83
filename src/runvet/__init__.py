"""runvet vets a machine-learning training run from what it left behind.

report = runvet.check("runs/a")      judge a run: report.verdict, report.findings, report.actions
runvet.check_many(paths)             judge many, in parallel
runvet.read("runs/a")                only read it
runvet.profile("data/")              what a data set holds
runvet.compare("samples/", "data/")  samples against data
runvet.connectivity(grid)            connected parts of a voxel grid
runvet.assert_sound("runs/a")        fail a test where a run cannot be trusted
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runvet.api import check, read
    from runvet.artifacts.api import compare, connectivity, profile
    from runvet.many import check_many
    from runvet.testing import assert_sound

__version__ = "0.1.0"
__all__ = ["__version__", "assert_sound", "check", "check_many", "compare", "connectivity", "profile", "read"]
_PLACES = {
    "assert_sound": "runvet.testing",
    "check": "runvet.api",
    "check_many": "runvet.many",
    "compare": "runvet.artifacts.api",
    "connectivity": "runvet.artifacts.api",
    "profile": "runvet.artifacts.api",
    "read": "runvet.api",
}


def __getattr__(name: str) -> Any:
    """Load the interface on first use, so that `import runvet` costs next to nothing."""
    if name not in _PLACES:
        raise AttributeError(f"module 'runvet' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
