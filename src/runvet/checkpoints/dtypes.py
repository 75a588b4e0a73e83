"""Element types of checkpoints: their names in each format, their sizes, and how their bytes become float32."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

# name -> (bytes of one element, numpy type of the raw bits, how to decode: '' as it is, else a table)
_KINDS: dict[str, tuple[int, str, str]] = {
    "float64": (8, "f8", ""), "float32": (4, "f4", ""), "float16": (2, "u2", "table"), "bfloat16": (2, "u2", "shift"),
    "complex128": (16, "c16", ""), "complex64": (8, "c8", ""), "complex32": (4, "u2", "table"),
    "int64": (8, "i8", ""), "int32": (4, "i4", ""), "int16": (2, "i2", ""), "int8": (1, "i1", ""),
    "uint64": (8, "u8", ""), "uint32": (4, "u4", ""), "uint16": (2, "u2", ""), "uint8": (1, "u1", ""), "bool": (1, "u1", ""),
    "float8_e4m3fn": (1, "u1", "table"), "float8_e5m2": (1, "u1", "table"), "float8_e8m0fnu": (1, "u1", "table"),
    "float8_e4m3fnuz": (1, "u1", "table"), "float8_e5m2fnuz": (1, "u1", "table"),
    "float4_e2m1fn_x2": (1, "u1", "packed"),
    "qint8": (1, "i1", ""), "quint8": (1, "u1", ""), "qint32": (4, "i4", ""),
    "quint4x2": (1, "u1", "packed"), "quint2x4": (1, "u1", "packed"), "bits8": (1, "u1", "packed"), "bits16": (2, "u2", "packed"),
}  # fmt: skip

STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool", "ComplexDoubleStorage": "complex128", "ComplexFloatStorage": "complex64",
    "QInt8Storage": "qint8", "QUInt8Storage": "quint8", "QInt32Storage": "qint32", "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4", "UntypedStorage": "uint8",
}  # fmt: skip

TORCH = {"half": "float16", "float": "float32", "double": "float64", "long": "int64", "int": "int32", "short": "int16",
         "cfloat": "complex64", "cdouble": "complex128", "chalf": "complex32"}  # fmt: skip

SAFETENSORS = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "C64": "complex64", "BOOL": "bool",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F4": "float4_e2m1fn", "F6_E2M3": "float6_e2m3fn", "F6_E3M2": "float6_e3m2fn",
}  # fmt: skip
SUB_BYTE_BITS = {"float4_e2m1fn": 4, "float6_e2m3fn": 6, "float6_e3m2fn": 6}


@dataclass(frozen=True, slots=True)
class DType:
    """An element type: `size` in bytes, `raw` the numpy type its bits are read as."""

    name: str
    size: int
    raw: np.dtype[Any]
    decode: str


@cache
def dtype(name: str) -> DType | None:
    """The type of this name, or None where it is unknown; sub-byte types are read as whole bytes."""
    if name in SUB_BYTE_BITS:
        return DType(name, 1, np.dtype("u1"), "packed")
    if name not in _KINDS:
        return None
    size, raw, decode = _KINDS[name]
    return DType(name, size, np.dtype(raw).newbyteorder("<"), decode)


def bits(name: str) -> int | None:
    """Bits of one element, or None for an unknown type."""
    kind = dtype(name)
    return SUB_BYTE_BITS.get(name) or (kind.size * 8 if kind else None)


def decoded(raw: npt.NDArray[Any], kind: DType) -> npt.NDArray[Any]:
    """The values of raw elements of shape (n,): float32 of shape (n,) for small float types, else the array itself.

    A half complex number gives its two parts, shape (2n,). Packed sub-byte values stay bytes.
    """
    if kind.decode == "shift":
        wide: npt.NDArray[np.uint32] = raw.astype(np.uint32) << np.uint32(16)
        return wide.view(np.float32)
    if kind.decode == "table":
        return np.take(_table(kind.name), raw, mode="clip")
    return raw


@cache
def _table(name: str) -> npt.NDArray[np.float32]:
    """float32 of every bit pattern of a 16- or 8-bit float type."""
    if name in ("float16", "complex32"):
        return np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
    code = np.arange(256)
    if name == "float8_e8m0fnu":
        table = np.exp2(code.astype(np.float64) - 127)
        table[255] = np.nan
        return table.astype(np.float32)
    fraction_bits = 3 if "e4m3" in name else 2
    unsigned_zero = name.endswith("uz")
    bias = (7 if fraction_bits == 3 else 15) + unsigned_zero
    exponent, fraction = (code & 0x7F) >> fraction_bits, (code & ((1 << fraction_bits) - 1)) / (1 << fraction_bits)
    value = np.where(exponent > 0, np.exp2(exponent - float(bias)) * (1 + fraction), np.exp2(1.0 - bias) * fraction)
    if unsigned_zero:  # the pattern of minus zero is the only NaN
        value = np.where(code >= 128, -value, value)
        value[128] = np.nan
        return np.asarray(value, dtype=np.float32)
    if fraction_bits == 3:
        value[[0x7F, 0xFF]] = np.nan
    else:
        value[[0x7C, 0xFC]] = np.inf
        value[[0x7D, 0x7E, 0x7F, 0xFD, 0xFE, 0xFF]] = np.nan
    return np.asarray(np.where(code >= 128, -value, value), dtype=np.float32)
