"""The corpora beside the checkout, for tests that are skipped (and say so) where they are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "shared"


def shared(name: str) -> Path:
    """A folder or file below ../shared, such as `shared("corpus/logs")`; the test is skipped where it is missing."""
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"../shared/{name} is not beside the checkout")
    return path
