"""A tile adventure seen from above: rooms with doors, walls, a hero who is steered, and guards who patrol.

64 x 64 pixels of 8 x 8 tiles. Everything follows from a seed and the actions, so that an action is the only surprise of a
step. Leaving through a door shows the next room at once: a cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Frame: TypeAlias = npt.NDArray[np.uint8]

ACTIONS = ("noop", "up", "down", "left", "right")
MOVES = np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]])  # rows, columns
TILE, SIDE = 8, 64
STEP = 4  # pixels that the hero moves
SPEED = 2  # pixels that a guard moves
ROOMS = 4  # rooms along each side of the world, which has no edge
DOOR = (24, 40)  # pixels of a side that are open
HERO = np.array([250, 214, 80], np.uint8)
MARK = np.array([120, 40, 20], np.uint8)
GUARD = np.array([225, 60, 70], np.uint8)


@dataclass(frozen=True, slots=True)
class Room:
    """Background (64, 64, 3), where walls are (64, 64), and guards: start row, start column, axis, length of the path."""

    picture: Frame
    wall: npt.NDArray[np.bool_]
    guards: tuple[tuple[int, int, int, int], ...]


@dataclass(slots=True)
class State:
    """Where the hero is (room row and column; pixel row and column), where he looks, and how many steps were made."""

    room: tuple[int, int]
    place: tuple[int, int]
    facing: int = 2
    time: int = 0


class Adventure:
    """A world of ROOMS x ROOMS rooms by seed, in which a state is stepped and drawn."""

    def __init__(self, seed: int = 0, *, guards: int = 1) -> None:
        self.rooms = {
            (r, c): _room(np.random.default_rng([seed, r, c]), guards) for r in range(ROOMS) for c in range(ROOMS)
        }

    def start(self) -> State:
        """The hero in the middle of the first room."""
        return State((0, 0), (28, 28))

    def step(self, state: State, action: int) -> State:
        """The state after an action (an index of ACTIONS); a wall stops the hero, but turns him."""
        row, column = (int(p + m * STEP) for p, m in zip(state.place, MOVES[action], strict=True))
        room, facing = state.room, action or state.facing
        if not (0 <= row <= SIDE - TILE and 0 <= column <= SIDE - TILE):
            room = tuple(int((r + m) % ROOMS) for r, m in zip(room, MOVES[action], strict=True))  # type: ignore[assignment]
            row, column = row % (SIDE - TILE + STEP), column % (SIDE - TILE + STEP)
        if self.rooms[room].wall[row : row + TILE, column : column + TILE].any():
            return State(state.room, state.place, facing, state.time + 1)
        return State(room, (row, column), facing, state.time + 1)

    def draw(self, state: State) -> Frame:
        """The picture of a state: (64, 64, 3) uint8."""
        room = self.rooms[state.room]
        picture: Frame = room.picture.copy()
        for row, column, axis, length in room.guards:
            away = _patrol(state.time, length)
            y, x = (row + away, column) if axis == 0 else (row, column + away)
            picture[y + 1 : y + 7, x + 1 : x + 7] = GUARD
        y, x = state.place
        picture[y : y + TILE, x : x + TILE] = HERO
        dy, dx = MOVES[state.facing] * 2
        picture[y + 3 + dy : y + 5 + dy, x + 3 + dx : x + 5 + dx] = MARK
        return picture


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk of n frames. `frames` (n, 64, 64, 3); `actions[i]` leads from frame i to i + 1; `rooms` (n,) numbers;
    `hero` (n, 2) pixels; `visible[i]`: whether that action moved the hero.
    """

    frames: Frame
    actions: npt.NDArray[np.uint8]
    rooms: npt.NDArray[np.int32]
    hero: npt.NDArray[np.uint8]
    visible: npt.NDArray[np.bool_]


def walk(frames: int, seed: int = 0, *, guards: int = 1, still: bool = False, hold: tuple[int, int] = (1, 2)) -> Walk:
    """A random walk; an action that a wall stops is drawn again. `still`: nobody ever moves.

    An action is held for `hold` steps (fewest, most). The longer, the better the picture before tells what comes next, and
    the less there is for an action to say.
    """
    if frames < 2:
        raise ValueError(f"{frames} frames; at least 2 are needed")
    rng = np.random.default_rng([1, seed])
    game = Adventure(seed, guards=0 if still else guards)
    state, action, left = game.start(), 0, 0
    out = np.empty((frames, SIDE, SIDE, 3), np.uint8)
    actions, rooms = np.zeros(frames, np.uint8), np.empty(frames, np.int32)
    hero, visible = np.empty((frames, 2), np.uint8), np.zeros(frames, bool)
    for number in range(frames):
        out[number] = game.draw(state)
        rooms[number], hero[number] = state.room[0] * ROOMS + state.room[1], state.place
        if left == 0:
            action, left = _wish(rng), int(rng.integers(hold[0], hold[1] + 1))
        following = game.step(state, 0 if still else action)
        for _ in range(6):
            if still or action == 0 or following.place != state.place:
                break
            action, left = _wish(rng), int(rng.integers(hold[0], hold[1] + 1))
            following = game.step(state, action)
        moved = (following.room, following.place) != (state.room, state.place)
        actions[number], visible[number] = (0 if still else action), moved
        state, left = following, left - 1
    return Walk(out, actions, rooms, hero, visible)


def _wish(rng: np.random.Generator) -> int:
    return int(rng.choice(5, p=[0.08, 0.23, 0.23, 0.23, 0.23]))


def _patrol(time: int, length: int) -> int:
    """Pixels from the start: forth and back."""
    if length == 0:
        return 0
    at = time * SPEED % (2 * length)
    return at if at <= length else 2 * length - at


def _room(rng: np.random.Generator, guards: int) -> Room:
    """Walls around with four doors, some blocks inside that leave the ways between the doors free."""
    floor, stone = rng.integers(20, 110, 3), rng.integers(110, 230, 3)
    tiles = np.ones((8, 8), bool)
    tiles[1:-1, 1:-1] = False
    tiles[3:5, [0, -1]] = tiles[[0, -1], 3:5] = False
    for row, column in ((1, 1), (1, 6), (6, 1), (6, 6)):
        tiles[row, column] = rng.random() < 0.5
    for row, column in ((2, 2), (2, 5), (5, 2), (5, 5)):
        tiles[row, column] = rng.random() < 0.3
    wall = np.kron(tiles, np.ones((TILE, TILE), bool)).astype(bool)
    checked = (np.indices((8, 8)).sum(axis=0) % 2)[..., None] * 14
    ground = np.where(tiles[..., None], stone, floor + checked).astype(np.uint8)
    picture = np.kron(ground, np.ones((TILE, TILE, 1), np.uint8))
    paths = []
    for axis in rng.permutation(2)[:guards]:
        lane = int(rng.choice([1, 6])) * TILE
        free = (1 * TILE, lane) if axis == 0 else (lane, 1 * TILE)
        cells = tiles[:, lane // TILE] if axis == 0 else tiles[lane // TILE]
        begin, end = (2, 5) if cells[1] or cells[6] else (1, 6)
        start = (begin * TILE, free[1]) if axis == 0 else (free[0], begin * TILE)
        paths.append((*start, int(axis), (end - begin) * TILE))
    return Room(picture, wall, tuple(paths))
