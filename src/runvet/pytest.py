"""The pytest plugin: a fixture `assert_sound` (see `runvet.testing.assert_sound`). Nothing of runvet loads before its first use."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from runvet.report import Report


@pytest.fixture(scope="session")
def assert_sound() -> Callable[..., Report]:
    """`assert_sound("runs/smoke")` fails the test with runvet's report unless the run is sound."""
    from runvet.testing import assert_sound as check

    return check
