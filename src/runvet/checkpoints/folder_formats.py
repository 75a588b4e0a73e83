"""Checkpoints that are a folder as one unit: torch.distributed.checkpoint and Orbax."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from runvet.checkpoints.content import Content
from runvet.checkpoints.distributed import read_distributed
from runvet.checkpoints.formats import finished
from runvet.checkpoints.model import Checkpoint, Role, Values
from runvet.checkpoints.orbax import read_orbax
from runvet.checkpoints.problems import Damaged, Problem, Unread
from runvet.checkpoints.scan import scan
from runvet.checkpoints.window import Window


def read_distributed_folder(path: Path, relative: str, role: Role | None, *, deep: bool) -> Checkpoint:
    """A folder with `.metadata` and `*.distcp`. Never raises: what goes wrong is a problem of the result."""
    content, sizes, modified = Content("torch-distributed"), *_sizes(path)
    opened: dict[str, Window] = {}
    values: Values | None = None

    def window(name: str) -> Window:
        if name not in sizes:  # also keeps names such as ../../x inside the folder
            raise Damaged(f"{name[:80]} is not in the folder")
        if name not in opened:
            opened[name] = Window.of(path / name)
        return opened[name]

    try:
        if ".metadata" not in sizes:
            raise Damaged(
                f".metadata is missing: the save died before its last step ({len(sizes)} files of blocks are there)"
            )
        read_distributed(window(".metadata"), sizes, window, content)
        values = scan(content, sum(sizes.values())) if deep else None
    except Unread as error:
        content.problems.append(Problem("unread-checkpoint", str(error)))
    except Damaged as error:
        content.damaged(str(error))
    except OSError as error:
        content.problems.append(Problem("unread-checkpoint", f"cannot be opened: {error.strerror or error}"))
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        ArithmeticError,
        RecursionError,
        MemoryError,
    ) as error:
        content.damaged(f"not what its format promises ({type(error).__name__}: {str(error)[:120]})")
    finally:
        for each in opened.values():
            each.close()
    made = finished(content, Checkpoint(relative, content.format, sum(sizes.values()), modified), role, values)
    if role is not None:
        made = replace(
            made, tensors=tuple(replace(t, role=role if t.role == "model" else t.role) for t in made.tensors)
        )
    parts = tuple(
        Checkpoint(f"{relative}/{n}" if relative != "." else n, "distcp", sizes[n], modified)
        for n in sorted(sizes)
        if n.endswith(".distcp")
    )
    return replace(made, parts=parts)


def read_orbax_folder(path: Path, relative: str) -> Checkpoint:
    """An Orbax folder: what its JSON files say. Never raises."""
    content = Content("orbax")
    total, modified = 0, 0.0
    for place in path.rglob("*"):
        try:
            stat = place.stat()
        except OSError:
            continue
        total, modified = total + stat.st_size, max(modified, stat.st_mtime)
    try:
        read_orbax(path, content)
    except (OSError, ValueError, TypeError, AttributeError, Damaged) as error:
        content.damaged(f"Orbax: {str(error)[:160]}")
    return finished(content, Checkpoint(relative, "orbax", total, modified), None)


def _sizes(path: Path) -> tuple[dict[str, int], float]:
    sizes, modified = {}, 0.0
    for place in path.iterdir():
        try:
            stat = place.stat()
        except OSError:
            continue
        if place.is_file() and (place.name == ".metadata" or place.suffix in (".distcp", ".safetensors")):
            sizes[place.name], modified = stat.st_size, max(modified, stat.st_mtime)
    return sizes, modified
