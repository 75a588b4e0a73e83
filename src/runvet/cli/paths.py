"""Paths as arguments: never an empty one, which would mean the current folder."""

from __future__ import annotations

import os
from pathlib import Path

import click


class AnyPath(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.5 on only
    """A path, a glob or an address, as it was written."""

    name = "path"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text itself; an empty one is a usage error."""
        text = os.fsdecode(value) if isinstance(value, (bytes, os.PathLike)) else str(value)
        if not text:
            self.fail("a path is empty; the current folder is .", param, ctx)
        return text


class LocalPath(click.ParamType):  # type: ignore[type-arg]
    """A path of this machine."""

    name = "path"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path; an empty one or an address is a usage error."""
        from runvet.checkpoints.places import is_url

        text = AnyPath().convert(value, param, ctx)
        if is_url(text):
            self.fail(f"{text}: addresses are for `runvet check` and `runvet checkpoints`; copy it here", param, ctx)
        return Path(text)
