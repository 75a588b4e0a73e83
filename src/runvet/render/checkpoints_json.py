"""Checkpoints as JSON."""

from __future__ import annotations

import orjson

from runvet.audit import Audit, to_dict
from runvet.drift import Difference, difference_dict
from runvet.report import plain


def render(made: Audit) -> str:
    """The object of the contract: checkpoints, the trusted one, findings."""
    return orjson.dumps(plain(to_dict(made)), option=orjson.OPT_INDENT_2).decode() + "\n"


def render_difference(made: Difference) -> str:
    """Two checkpoints by modules."""
    return orjson.dumps(plain(difference_dict(made)), option=orjson.OPT_INDENT_2).decode() + "\n"
