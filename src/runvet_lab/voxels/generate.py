"""Structures made by rule: classes, sizes, materials and prompts, the same for the same seed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from runvet_lab.voxels.blocks import BLOCKS
from runvet_lab.voxels.shapes import SHAPES, Box, Grid, Materials
from runvet_lab.voxels.structure import Structure

SIZES: dict[str, Box] = {"normal": (16, 16, 16), "big": (16, 32, 16), "huge": (24, 64, 24)}
CLASSES = tuple(SHAPES)
SMALLEST = (12, 12, 12)  # the shapes need this much room
WALLS = (4, 5, 17, 24, 45, 98)  # what one builds with
ANY = tuple((main, second) for main in WALLS for second in WALLS)
# Pairs of blocks that go together: the main one and that of roofs, crowns and platforms.
PAIRS: dict[str, tuple[tuple[int, int], ...]] = {
    "tree": ((17, 18),),
    "house": ((5, 17), (4, 5), (45, 98), (98, 17)),
    "wall": ANY,
    "pyramid": ANY,
    "tower": ((98, 5), (4, 17), (45, 98)),
    "bridge": ((98, 5), (4, 17), (17, 5)),
    "arch": ANY,
    "cube": ANY,
}
SIZE_WORDS = (("small", "little"), ("", "medium"), ("large", "big"))
TALL_WORDS = (("short", "small"), ("", "medium"), ("tall", "high"))
TALL = ("tree", "tower", "arch")
PATTERNS = ("a {size} {material} {shape}", "{size} {shape} made of {material}", "build a {size} {shape} of {material}")


def generate(
    count: int, size: Box = (16, 16, 16), classes: Sequence[str] = CLASSES, seed: int = 0
) -> Iterator[Structure]:
    """`count` structures, the classes in turn. Raises ValueError for unknown classes and boxes below 12 blocks a side."""
    unknown = [name for name in classes if name not in SHAPES]
    if unknown or not classes:
        raise ValueError(f"unknown classes {', '.join(unknown) or '(none given)'}; known are {', '.join(CLASSES)}")
    if any(have < least for have, least in zip(size, SMALLEST, strict=True)):
        raise ValueError(f"a box of {size} is too small; at least {SMALLEST} is needed")
    for index in range(count):
        rng = np.random.default_rng([seed, index])  # each one alone, so that a longer set begins with the shorter one
        label = classes[index % len(classes)]
        main, second = PAIRS[label][int(rng.integers(len(PAIRS[label])))]
        grid, large = SHAPES[label](rng, size, Materials(main, second))
        yield Structure(grid, label, _prompt(rng, label, main, large), f"sample_{index:04d}")


def distinct(structures: Iterable[Structure], seen: set[bytes]) -> Iterator[Structure]:
    """Those whose grid is not in `seen`, which grows: a held-out set shares no structure with the training set."""
    for structure in structures:
        key = structure.voxels.tobytes()
        if key not in seen:
            seen.add(key)
            yield structure


def founding(size: Box = (16, 16, 16)) -> Iterator[Structure]:
    """The four fixed structures of the founding case with its numbers of blocks: tree 55, house 240, wall 72, pyramid 204."""
    made: dict[str, Grid] = {label: np.zeros(size, np.uint8) for label in ("tree", "house", "wall", "pyramid")}
    made["tree"][5:10, 4:6, 5:10] = 18
    made["tree"][7, :5, 7] = 17
    made["tree"][7, 6, 7] = 18
    made["house"][4:12, :6, 4:12] = 5
    made["house"][5:11, 1:5, 5:11] = 0
    made["wall"][2:14, :6, 7] = 4
    for layer in range(8):
        made["pyramid"][layer // 2 + 4 : layer // 2 + 12 - layer, layer, 4 : 12 - layer] = 24
    for index, (label, grid) in enumerate(made.items()):
        yield Structure(grid, label, f"a {label}", f"sample_{index:04d}")


def _prompt(rng: np.random.Generator, label: str, main: int, large: float) -> str:
    words = (TALL_WORDS if label in TALL else SIZE_WORDS)[min(2, int(large * 3))]
    pattern = PATTERNS[int(rng.integers(len(PATTERNS)))]
    text = pattern.format(size=words[int(rng.integers(2))], material=BLOCKS[main].words, shape=label)
    text = " ".join(text.split())
    return re.sub(r"\ba (?=[aeiou])", "an ", text)
