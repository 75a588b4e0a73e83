"""The blocks that the lab builds with: numeric ids of the classic game, today's names, and colours for pictures."""

from __future__ import annotations

from dataclasses import dataclass

AIR = 0


@dataclass(frozen=True, slots=True)
class Block:
    """One kind of block. `minecraft` is its name since version 1.13; `words` is how a prompt calls it; `rgb` is 0-255."""

    id: int
    minecraft: str
    words: str
    rgb: tuple[int, int, int]


BLOCKS = {
    block.id: block
    for block in (
        Block(0, "minecraft:air", "air", (255, 255, 255)),
        Block(1, "minecraft:stone", "stone", (125, 125, 125)),
        Block(2, "minecraft:grass_block", "grass", (95, 159, 53)),
        Block(3, "minecraft:dirt", "dirt", (134, 96, 67)),
        Block(4, "minecraft:cobblestone", "cobblestone", (110, 110, 108)),
        Block(5, "minecraft:oak_planks", "oak plank", (162, 130, 78)),
        Block(12, "minecraft:sand", "sand", (219, 207, 163)),
        Block(17, "minecraft:oak_log", "oak", (109, 85, 50)),
        Block(18, "minecraft:oak_leaves", "leaf", (60, 120, 40)),
        Block(20, "minecraft:glass", "glass", (190, 225, 235)),
        Block(24, "minecraft:sandstone", "sandstone", (216, 203, 155)),
        Block(42, "minecraft:iron_block", "iron", (220, 220, 220)),
        Block(45, "minecraft:bricks", "brick", (150, 97, 83)),
        Block(48, "minecraft:mossy_cobblestone", "mossy stone", (100, 118, 94)),
        Block(80, "minecraft:snow_block", "snow", (240, 251, 251)),
        Block(98, "minecraft:stone_bricks", "stone brick", (122, 121, 122)),
        Block(155, "minecraft:quartz_block", "quartz", (236, 230, 223)),
    )
}
BY_NAME = {block.minecraft: block.id for block in BLOCKS.values()}
UNKNOWN_RGB = (230, 0, 230)  # an id that the game does not have must be seen


def name(block: int) -> str:
    """The game's name of an id; unknown ids become a name that nobody mistakes for a block."""
    return BLOCKS[block].minecraft if block in BLOCKS else f"runvet:unknown_{block}"


def rgb(block: int) -> tuple[int, int, int]:
    """The colour of an id, 0-255 each."""
    return BLOCKS[block].rgb if block in BLOCKS else UNKNOWN_RGB
