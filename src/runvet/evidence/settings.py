"""What evidence from settings has in common: the name of a setting, its place in words, and equal values."""

from __future__ import annotations

import math

from runvet.run import Plain, Setting, number

SAME = 1e-6  # of the larger of two numbers: one written with fewer digits is still the same


def name_of(setting: Setting) -> str:
    """The last part of the key, in lower case with underscores: `lr_scheduler` of `train.LR-Scheduler`."""
    return setting.key.rsplit(".", 1)[-1].lower().replace("-", "_")


def place_of(setting: Setting) -> str:
    """`train.lr in config.yaml:12`."""
    return f"{setting.key} in {setting.where}"


def same(a: Plain, b: Plain) -> bool:
    """Whether two values say the same: numbers nearly alike, lists item by item, anything else as text without case."""
    if a == b:
        return True
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    one, other = number(a), number(b)
    if one is not None and other is not None and math.isclose(one, other, rel_tol=SAME):
        return True
    return str(a).strip().lower() == str(b).strip().lower()
