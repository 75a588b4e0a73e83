"""Does the hero obey? Arrow keys are pressed at held-out frames, and the predicted hero's way is measured.

Only in generated worlds: the game itself knows where the hero stands and whether a wall is in his way.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from runvet_lab.base.extra import need
from runvet_lab.worlds import data, pipeline
from runvet_lab.worlds.adventure import ACTIONS, HERO, MOVES, ROOMS, STEP, Adventure, Frame, State
from runvet_lab.worlds.player import Player

NEAR = 40.0  # mean difference of a pixel's channels within which it shows the hero
FEWEST = 8  # pixels that are still a hero


def obedience(player: Player, run: Path, presses: int = 200) -> dict[str, float]:
    """Shares of presses after which the predicted hero moved that way (`obeyed`), stood still, went elsewhere, was lost.

    Each press begins at other held-out frames; keys of the four directions whose way is free inside the room, taken in
    turn. Raises ValueError for real videos.
    """
    with need("h5py").File(pipeline.frames_of(player.config, run), "r") as file:
        if "hero" not in file or "rooms" not in file:
            raise ValueError("only generated frames tell where the hero is")
        hero, rooms, seed = file["hero"][:], file["rooms"][:], int(file.attrs["seed"])
    game, context = Adventure(seed), player.config.dynamics.context
    starts = data.windows(player.video, context, data.split(player.video)[1])
    rng = np.random.default_rng(0)
    told = dict.fromkeys(("obeyed", "stood", "elsewhere", "lost"), 0)
    for number in range(presses):
        wanted = 1 + number % 4
        row = int(rng.choice(starts))
        while not free(game, rooms[row + context - 1], hero[row + context - 1], wanted):
            row = int(rng.choice(starts))
        player.begin(row)
        made = player.step(ACTIONS[wanted])
        told[judged(made, hero[row + context - 1].astype(float), wanted)] += 1
    return {**{name: count / presses for name, count in told.items()}, "presses": float(presses)}


def free(game: Adventure, room: int, place: npt.NDArray[np.uint8], action: int) -> bool:
    """Whether the hero can make this step and stays in the room."""
    at = State((int(room) // ROOMS, int(room) % ROOMS), (int(place[0]), int(place[1])))
    after = game.step(at, action)
    return after.room == at.room and after.place != at.place


def judged(frame: Frame, before: npt.NDArray[np.float64], action: int) -> str:
    """What a hero who stood at `before` (row, column of his upper left pixel) does in a predicted frame."""
    seen = np.argwhere(np.abs(frame.astype(np.int16) - HERO).mean(-1) < NEAR)
    close = seen[np.abs(seen - (before + 3.5)).max(-1) <= 3.5 + 2 * STEP]
    if len(close) < FEWEST:
        return "lost"
    way = close.mean(0) - (before + 3.5)
    along, across = float(way @ MOVES[action]), float(np.abs(way @ MOVES[action][::-1]))
    if along >= STEP / 2 and across < STEP / 2:
        return "obeyed"
    return "stood" if np.abs(way).max() < STEP / 2 else "elsewhere"
