"""The report as JSON, by the contract."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from runvet.report import Report, to_dict


def render(reports: Sequence[Report]) -> str:
    """One object for one run, a list for several."""
    plain = [to_dict(r) for r in reports]
    return orjson.dumps(plain[0] if len(plain) == 1 else plain, option=orjson.OPT_INDENT_2).decode() + "\n"
