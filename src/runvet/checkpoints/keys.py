"""Keys of dictionaries that come from a file: none may be made to collide or to run anything."""

from __future__ import annotations

from typing import Any

_HUGE = 1 << 60  # larger integers may be made to collide as keys of a dictionary


def hashable(key: Any) -> Any:
    """A value as the key of a dictionary: itself where that is harmless, else a string."""
    if isinstance(key, (str, bytes, bool)) or key is None:
        return key
    if isinstance(key, (int, float)):
        return key if -_HUGE < key < _HUGE else str(float(key)) if isinstance(key, float) else f"int{key % 997}"
    if isinstance(key, (tuple, list, dict)):
        return ".".join(str(k)[:80] if isinstance(k, (str, int, float)) else type(k).__name__ for k in list(key)[:8])
    return key
