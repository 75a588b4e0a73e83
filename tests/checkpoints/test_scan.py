"""Figures of tensors against double precision, for every way in which a block is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from runvet.checkpoints.dtypes import decoded, dtype
from runvet.checkpoints.formats import read_file
from runvet.checkpoints.scan_codes import Codes, halves

SMALL = [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.int8, torch.uint8, torch.bool]
WIDE = [torch.float32, torch.float64, torch.int16, torch.int32, torch.int64]


def values(count: int, kind: torch.dtype, what: str) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    real = torch.randn(count, generator=generator) * (20 if not kind.is_floating_point else 0.02)
    if what == "constant":
        real[:] = 1.0
    if what == "far":
        real = real * 0.001 + 3
    made = real.to(kind)
    if what == "broken" and kind.is_floating_point:
        made = made.to(torch.float32)
        made[:: count // 7] = float("nan")
        if kind is not torch.float8_e4m3fn:  # which has no infinity
            made[1 :: count // 5] = float("inf")
            made[2 :: count // 5] = -float("inf")
        made = made.to(kind)
    return made


@pytest.mark.parametrize("what", ["usual", "constant", "far", "broken"])
@pytest.mark.parametrize("count", [1001, 700_001])  # below and above what is counted in pairs of bytes; several blocks
@pytest.mark.parametrize("kind", SMALL + WIDE, ids=str)
def test_figures(kind: torch.dtype, count: int, what: str, tmp_path: Path) -> None:
    tensor = values(count, kind, what)
    torch.save({"w": tensor}, tmp_path / "x.pt")
    seen = read_file(tmp_path / "x.pt", "x", None, deep=True)
    assert seen.values is not None
    assert {p.name for p in seen.problems} <= {"non-finite-weights"}
    real = tensor.to(torch.float64)
    good = real[real.isfinite()]
    assert seen.values.non_finite[0] == count - len(good)
    assert (seen.values.non_finite[0] > 0) == (what == "broken" and kind.is_floating_point)
    assert seen.values.zero[0] == int((real == 0).sum())
    assert (seen.values.minimum[0], seen.values.maximum[0]) == (float(good.min()), float(good.max()))
    scale = float(good.abs().max())
    assert seen.values.mean[0] == pytest.approx(float(good.mean()), abs=1e-5 * scale)
    assert seen.values.std[0] == pytest.approx(float(good.std(correction=0)), rel=1e-4, abs=1e-9 * scale)


def test_every_half() -> None:
    codes = np.arange(65536, dtype=np.uint16)
    known = dtype("float16")
    assert known is not None
    wanted, made = decoded(codes, known), halves(codes)
    finite = np.isfinite(wanted)
    assert np.array_equal(made[finite].view(np.uint32), wanted[finite].view(np.uint32)), "to the last bit, -0 too"
    assert np.abs(made[~finite]).min() >= 65536 > wanted[finite].max()


@pytest.mark.parametrize("name", ["float8_e4m3fnuz", "float8_e8m0fnu", "uint8", "float16"])
def test_counts_of_every_pattern(name: str) -> None:
    known = dtype(name)
    assert known is not None
    raw = np.random.default_rng(1).integers(0, 256, 400_002, dtype=np.uint8).view(known.raw)
    counted = Codes(known)
    for block in (raw[:150_001], raw[150_001:]):
        counted.add(block.copy())
    whole = raw.view(np.uint8 if known.size == 1 else np.uint16)
    assert np.array_equal(counted.counts(), np.bincount(whole, minlength=256**known.size))
