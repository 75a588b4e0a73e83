"""Plain panels are found whatever the layout; rich pictures, smooth ones and margins are left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runvet import examples_artifacts as made
from runvet.artifacts.texture import grey, panels


def rows(top: list[np.ndarray], bottom: list[np.ndarray]) -> np.ndarray:
    return np.vstack([np.hstack(top), np.hstack(bottom)])


def rich(n: int) -> list[np.ndarray]:
    return [made.scene(i) for i in range(n)]


def poor(n: int) -> list[np.ndarray]:
    return [made.stripes(i) if i % 2 else made.plain((40 * i, 90, 255 - 30 * i)) for i in range(n)]


@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize("turned", [False, True])
def test_a_plain_row_or_column_is_found(n: int, turned: bool) -> None:
    image = rows(rich(n), poor(n))
    found = panels(image.transpose(1, 0, 2) if turned else image)
    assert found is not None
    assert (found.strips, found.plain, found.across) == (2, (1,), not turned)
    assert (found.tiles, found.single) == (n, n - n // 2)
    assert found.entropy[0] < 1.1 < found.entropy[1]


def test_panels_with_lines_between_them() -> None:
    padded = [np.pad(p, ((2, 2), (2, 2), (0, 0))) for p in (*rich(3), *poor(3))]
    found = panels(rows(padded[:3], padded[3:]))
    assert found is not None
    assert found.plain == (1,)


@pytest.mark.parametrize("kind", ["float01", "float11", "uint16", "grey", "alpha"])
def test_every_type_of_picture(kind: str) -> None:
    image = rows(rich(2), poor(2))
    turned = {
        "float01": image / 255.0,
        "float11": image / 127.5 - 1,
        "uint16": image.astype(np.uint16) * 257,
        "grey": image.mean(axis=2).astype(np.uint8),
        "alpha": np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]),
    }[kind]
    found = panels(turned)
    assert found is not None
    assert found.plain == (1,)


def test_a_whole_picture_of_one_colour_or_in_stripes() -> None:
    for image in (made.plain((3, 3, 3)), made.stripes(1), made.stripes(1).transpose(1, 0, 2)):
        found = panels(image)
        assert found is not None
        assert found.strips == 1


def test_rich_pictures_margins_and_noise_are_left_alone() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    smooth = np.stack([128 + 60 * np.sin(x / 9) + 40 * np.cos(y / 7)] * 3, axis=2).astype(np.uint8)
    margin = np.pad(np.hstack(rich(2)), ((6, 6), (6, 6), (0, 0)), constant_values=255)
    for image in (
        made.scene(1),
        rows(rich(2), rich(2)),
        rng.integers(0, 256, (64, 64, 3)).astype(np.uint8),
        smooth,
        margin,
    ):
        assert panels(image) is None


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.float32, np.uint16]), hnp.array_shapes(min_dims=2, max_dims=3, max_side=24)
    )
)
def test_any_array_is_looked_at_without_a_crash(array: np.ndarray) -> None:
    if array.dtype.kind == "f":
        array = np.nan_to_num(array, posinf=1, neginf=0) % 2
    assert grey(array).ndim == 3
    panels(array)
