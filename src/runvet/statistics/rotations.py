"""Rotations: how far a matrix is from one, which rotation maps one set of vectors on another, Euler angles."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
AXES = "xyz"


@dataclass(frozen=True, slots=True)
class Alignment:
    """The orthogonal map (k, k) that brings `p` nearest to `t`, and R² of `t` before and after it, around the means."""

    matrix: Array
    before: float
    after: float

    @property
    def angle(self) -> float:
        """Degrees of the rotation (2 or 3 dimensions), 180 for a reflection in more."""
        k = len(self.matrix)
        cosine = (np.trace(self.matrix) - (k - 2)) / 2
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))

    @property
    def mirrored(self) -> bool:
        """Whether the map is a reflection."""
        return bool(np.linalg.det(self.matrix) < 0)


def align(p: Array, t: Array) -> Alignment:
    """Orthogonal Procrustes of `p` on `t`, both (n, k), around their means (Schönemann 1966, doi 10.1007/BF02289451)."""
    p, t = p - p.mean(axis=0), t - t.mean(axis=0)
    u, _, vt = np.linalg.svd(p.T @ t)
    matrix = u @ vt
    whole = float(np.sum(t**2)) or 1.0
    return Alignment(
        np.asarray(matrix.T), 1 - float(np.sum((t - p) ** 2)) / whole, 1 - float(np.sum((t - p @ matrix) ** 2)) / whole
    )


def turned_each(p: Array, t: Array) -> tuple[Array, Array]:
    """For each path of `p` and `t` (n, steps, 2): the angle about the origin that brings p nearest to t, and p so turned.

    Angles in radians, (n,); the turned paths have the shape of `p`.
    """
    a, b = p[..., 0] + 1j * p[..., 1], t[..., 0] + 1j * t[..., 1]
    angle = np.angle(np.sum(np.conj(a) * b, axis=1))
    turned = a * np.exp(1j * angle)[:, None]
    return np.asarray(angle), np.stack([turned.real, turned.imag], axis=-1)


def orthonormality(matrices: Array) -> tuple[Array, Array, Array]:
    """Of matrices (n, 3, 3): scale, largest entry of |RᵀR/scale² - 1|, determinant of R/scale; each of shape (n,).

    `scale` is the root mean square length of the columns: 1 for a rotation, s for a similarity.
    """
    gram = np.einsum("nji,njk->nik", matrices, matrices)
    scale = np.sqrt(np.trace(gram, axis1=1, axis2=2) / 3)
    safe = np.where(scale > 0, scale, 1.0)
    error = np.abs(gram / safe[:, None, None] ** 2 - np.eye(3)).max(axis=(1, 2))
    return scale, error, np.linalg.det(matrices / safe[:, None, None])


@dataclass(frozen=True, slots=True)
class Convention:
    """How three angles (about x, y, z) make a matrix: the order of the product and the sign of each angle.

    `order` "zyx" stands for Rz·Ry·Rx; `signs` belong to the angles about x, y and z.
    """

    order: str
    signs: tuple[int, int, int]

    def __str__(self) -> str:
        names = {"x": "roll", "y": "pitch", "z": "yaw"}
        minus = {a: "-" if s < 0 else "" for a, s in zip(AXES, self.signs, strict=True)}
        return "·".join(f"R{a}({minus[a]}{names[a]})" for a in self.order)

    def matrix(self, angles: Array) -> Array:
        """Matrices (n, 3, 3) of angles (n, 3) about x, y and z in radians."""
        each = {a: _about(a, s * angles[:, i]) for i, (a, s) in enumerate(zip(AXES, self.signs, strict=True))}
        one, two, three = (each[a] for a in self.order)
        return np.asarray(one @ two @ three)


UNREAL = Convention("zyx", (-1, -1, 1))  # left-handed, as CARLA and OPV2V use it


def conventions() -> Iterator[Convention]:
    """All 48: six orders of the product, eight combinations of signs."""
    for order in itertools.permutations(AXES):
        for signs in itertools.product((1, -1), repeat=3):
            yield Convention("".join(order), (signs[0], signs[1], signs[2]))


def from_name(text: str) -> Convention | None:
    """The convention that a text such as `ZYX` (intrinsic), `zyx` (extrinsic, as scipy reads it) or `carla` names."""
    text = text.strip()
    if text.lower() in ("carla", "unreal", "ue", "ue4", "ue5", "opv2v"):
        return UNREAL
    if sorted(text.lower()) != ["x", "y", "z"]:
        return None
    return Convention(text.lower(), (1, 1, 1)) if text.isupper() else Convention(text.lower()[::-1], (1, 1, 1))


def between(a: Array, b: Array) -> Array:
    """Degrees between rotations (n, 3, 3) and (n, 3, 3), shape (n,), exact near zero (2 arcsin of half the chord)."""
    chord = np.sqrt(np.sum((a - b) ** 2, axis=(1, 2)) / 8)
    return np.asarray(np.degrees(2 * np.arcsin(np.clip(chord, 0, 1))))


def _about(axis: str, angle: Array) -> Array:
    c, s, o, e = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    rows = {
        "x": [[e, o, o], [o, c, -s], [o, s, c]],
        "y": [[c, o, s], [o, e, o], [-s, o, c]],
        "z": [[c, -s, o], [s, c, o], [o, o, e]],
    }[axis]
    return np.moveaxis(np.array(rows), -1, 0)
