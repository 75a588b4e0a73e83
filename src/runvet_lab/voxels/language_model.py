"""A data set written by a language model: any endpoint that speaks OpenAI's protocol, through the `openai` package.

The model answers with boxes to fill, not with code. Every answer is audited as any data set is: known blocks, inside
the box, enough blocks, one connected part on the ground, not seen before. What fails is asked for again, with the reason.
The key is taken from the environment only (OPENAI_API_KEY), the address from OPENAI_BASE_URL or the argument.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runvet_lab.base.extra import need
from runvet_lab.voxels import data
from runvet_lab.voxels.blocks import BLOCKS, BY_NAME
from runvet_lab.voxels.post import state
from runvet_lab.voxels.shapes import Box, Grid
from runvet_lab.voxels.structure import DataProblem, Structure

KEY = "OPENAI_API_KEY"
LEAST = 8  # blocks of a structure
FILLS = 400  # boxes of one answer
NAMES = sorted(name.partition(":")[2] for name in BY_NAME)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["structure_name", "prompt", "fills"],
    "properties": {
        "structure_name": {"type": "string"},
        "prompt": {"type": "string"},
        "fills": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["block", "from", "to"],
                "properties": {
                    "block": {"type": "string", "enum": NAMES},
                    "from": {"type": "array", "items": {"type": "integer"}},
                    "to": {"type": "array", "items": {"type": "integer"}},
                },
            },
        },
    },
}


class Refused(ValueError):
    """An answer that is no acceptable structure; the message is given back to the model."""


class NoKey(RuntimeError):
    """No key in the environment."""


@dataclass(slots=True)
class Spent:
    """What the requests have used so far."""

    requests: int = 0
    refused: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def cost(self, price_in: float, price_out: float) -> float:
        """In the currency of the prices, which are per million tokens."""
        return (self.tokens_in * price_in + self.tokens_out * price_out) / 1e6


def client(base_url: str | None = None) -> Any:
    """An `openai.OpenAI`. Raises NoKey, MissingExtra."""
    if not os.environ.get(KEY):
        raise NoKey(
            f"set {KEY} to the key of your endpoint (any server of OpenAI's protocol; its address: OPENAI_BASE_URL)"
        )
    return need("openai", "llm").OpenAI(base_url=base_url, max_retries=3)


def collect(
    ask: Any,
    folder: Path,
    wishes: Sequence[str],
    *,
    model: str,
    size: Box = (16, 16, 16),
    attempts: int = 3,
    told: Callable[[int, Spent], Any] | None = None,
) -> tuple[Spent, list[str]]:
    """One structure for each wish, into `folder/sample_NNNN`; those that are there already are not asked for again.

    `told(done, spent)` is called after each wish. Returns what was spent and the wishes that failed every attempt.
    Raises what the client raises where the endpoint can't be reached; nothing that was written is lost.
    """
    spent, failed = Spent(), []
    seen = {data.read_one(path)[0].voxels.tobytes() for path in sorted(folder.glob("sample_*/voxels.npz"))}
    for index, wish in enumerate(wishes):
        name = f"sample_{index:04d}"
        if not (folder / name / "data.json").exists():
            made = _one(ask, wish, name, model, size, attempts, seen, spent)
            if made is None:
                failed.append(wish)
            else:
                data.write(folder, [made])
                seen.add(made.voxels.tobytes())
        if told is not None:
            told(index + 1, spent)
    return spent, failed


def audit(answer: str, name: str, size: Box, seen: set[bytes]) -> Structure:
    """A structure from a model's answer. Raises Refused with a reason that the model can act on."""
    try:
        content = json.loads(answer)
        label, prompt, fills = str(content["structure_name"]), str(content["prompt"]), list(content["fills"])
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"the answer is not of the agreed form: {error}") from None
    if not label.strip() or not prompt.strip():
        raise Refused("structure_name and prompt must not be empty")
    if not 0 < len(fills) <= FILLS:
        raise Refused(f"{len(fills)} fills; 1 to {FILLS} are allowed")
    grid: Grid = np.zeros(size, np.uint8)
    for number, one in enumerate(fills):
        _fill(grid, one, number)
    found = state(grid)
    if found.solid < LEAST:
        raise Refused(f"only {found.solid} blocks; at least {LEAST} are needed")
    if found.parts > 1 or found.floating > 0:
        raise Refused(
            f"{found.parts} separate parts, {found.floating:.0%} of the blocks float; one part on y = 0 is needed"
        )
    if grid.tobytes() in seen:
        raise Refused("exactly this structure exists already; make another one")
    return Structure(grid, label.strip().lower(), prompt.strip(), name)


def _fill(grid: Grid, one: Any, number: int) -> None:
    try:
        block = BY_NAME[f"minecraft:{one['block']}"]
        low, high = (tuple(int(side) for side in one[key]) for key in ("from", "to"))
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"fill {number}: {error} is not understood; blocks are {', '.join(NAMES)}") from None
    inside = len(low) == len(high) == 3 and all(
        0 <= a <= b < side for a, b, side in zip(low, high, grid.shape, strict=True)
    )
    if not inside:
        raise Refused(f"fill {number}: {low} to {high} is not inside 0 to {tuple(side - 1 for side in grid.shape)}")
    grid[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))] = block


def _one(
    ask: Any, wish: str, name: str, model: str, size: Box, attempts: int, seen: set[bytes], spent: Spent
) -> Structure | None:
    talk = [{"role": "system", "content": _task(size)}, {"role": "user", "content": wish}]
    for _ in range(attempts):
        reply = ask.chat.completions.create(model=model, messages=talk, response_format=_format())
        spent.requests += 1
        if reply.usage is not None:
            spent.tokens_in += reply.usage.prompt_tokens
            spent.tokens_out += reply.usage.completion_tokens
        answer = (reply.choices[0].message.content if reply.choices else None) or ""
        try:
            return audit(answer, name, size, seen)
        except Refused as reason:
            spent.refused += 1
            talk += [{"role": "assistant", "content": answer}, {"role": "user", "content": f"Not accepted: {reason}."}]
    return None


def _task(size: Box) -> str:
    colours = ", ".join(f"{block.minecraft.partition(':')[2]} ({block.words})" for block in BLOCKS.values())
    return (
        f"You build Minecraft structures in a box of {size[0]} x {size[1]} x {size[2]} blocks (x, y, z; y is up, the ground "
        f"is y = 0). Answer with fills, applied in order: each sets all cells from one corner to another, both included, to "
        f"a block; air clears. Blocks: {colours}. The structure is one connected part (faces touch) and stands on the ground. "
        f"structure_name is one word for its class; prompt is what a player would ask for."
    )


def _format() -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "structure", "strict": True, "schema": SCHEMA}}


def wishes_from(path: Path) -> list[str]:
    """One wish a line. Raises DataProblem where there is none."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    made = [line for line in lines if line and not line.startswith("#")]
    if not made:
        raise DataProblem(f"{path}: no wishes; write one a line, such as: a small oak house")
    return made
