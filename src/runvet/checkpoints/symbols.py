"""The calls that checkpoints need, turned into inert values: rebuilt tensors, arrays, containers. All others stay names."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from runvet.checkpoints.dtypes import TORCH
from runvet.checkpoints.dtypes import dtype as known_dtype
from runvet.checkpoints.inert import ArrayRef, Blob, Call, DTypeRef, Global, Storage, TensorRef
from runvet.checkpoints.keys import hashable
from runvet.checkpoints.problems import Damaged


def called(name: str, args: Any) -> Any:
    """The inert value of calling `name`; a `Call` placeholder for what is not known."""
    if not isinstance(args, tuple):
        args = (args,)
    known = _CALLS.get(name)
    if known is not None:
        try:
            return known(*args)
        except (TypeError, ValueError, IndexError, AttributeError, struct.error) as error:
            if isinstance(error, Damaged):
                raise
            return Call(name, args)
    return Call(name, args)


def build(target: Any, state: Any) -> None:
    """Give an object its state, as the BUILD operation would."""
    if isinstance(target, ArrayRef) and isinstance(state, tuple) and len(state) >= 4:
        shape, kind, fortran, data = state[-4:]
        if isinstance(kind, DTypeRef):
            target.shape, target.dtype, target.fortran, target.data = _sizes(shape), kind, bool(fortran), data
    elif isinstance(target, DTypeRef) and isinstance(state, tuple) and len(state) > 1:
        target.order = state[1] if state[1] in ("<", ">", "|") else "<"
    elif isinstance(target, Call):
        target.state = state


def torch_dtype(value: Any) -> str:
    """'float32' for the inert form of torch.float32. Raises Damaged for what is no element type."""
    name = value.name if isinstance(value, Global) else str(value)
    short = name.rsplit(".", 1)[-1]
    short = TORCH.get(short, short)
    if known_dtype(short) is None:
        raise Damaged(f"an element type that is not known: {name[:60]!r}")
    return short


def _sizes(value: Any) -> tuple[int, ...]:
    """A shape or stride of at most 64 dimensions. Raises Damaged for anything but whole numbers."""
    if isinstance(value, Call) and value.name == "torch.Size" and value.args:
        value = value.args[0]
    if type(value) is int:
        value = (value,)
    if not isinstance(value, (tuple, list)) or len(value) > 64:
        raise Damaged("a tensor without a proper shape")
    for n in value:
        if type(n) is not int or not 0 <= n < 1 << 62:
            raise Damaged("a tensor with an absurd or negative size")
    return tuple(value)


def _offset(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 62:
        raise Damaged("a tensor that starts outside its storage")
    return value


def _tensor(
    storage: Any, offset: Any, size: Any, stride: Any, kind: str | None = None, layout: str = "dense"
) -> TensorRef:
    if isinstance(storage, TensorRef):
        storage = storage.storage
    if not isinstance(storage, Storage):
        raise Damaged("a tensor without a storage")
    shape, strides = _sizes(size), _sizes(stride)
    if len(shape) != len(strides):
        raise Damaged(f"a tensor of {len(shape)} dimensions with {len(strides)} strides")
    return TensorRef(storage, _offset(offset), shape, strides, kind or storage.dtype, layout)


def _rebuild_v3(
    storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, kind: Any, *_: Any
) -> TensorRef:
    return _tensor(storage, offset, size, stride, torch_dtype(kind))


def _quantized(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> TensorRef:
    return _tensor(storage, offset, size, stride, layout="quantized")


def _sparse(_layout: Any, data: Any) -> TensorRef:
    """COO: (indices, values, size[, coalesced]); compressed: (pointers, indices, values, size)."""
    parts = [t for t in data if isinstance(t, TensorRef)]
    size = next(v for v in data if not isinstance(v, (TensorRef, bool)))
    shape = _sizes(size)
    return TensorRef(None, 0, shape, (), parts[-1].dtype, "sparse", tuple(parts))


def _meta(kind: Any, size: Any, stride: Any, *_: Any) -> TensorRef:
    return TensorRef(None, 0, _sizes(size), _sizes(stride), torch_dtype(kind), "unstored")


def _same(data: Any, *_: Any) -> Any:
    return data


def _from_type(function: Any, _type: Any, args: Any, state: Any = None, *_: Any) -> Any:
    """A tensor of a subclass: the plain tensor below it, or what its state holds."""
    made = called(function.name, args) if isinstance(function, Global) else Call("(computed callable)", args)
    if isinstance(made, Call):
        made.state = state
    return made


def _from_numpy(data: Any, *_: Any) -> Any:
    return data


def _load_from_bytes(data: Any) -> Any:
    """A storage that was pickled by itself: a small torch file within the pickle."""
    if isinstance(data, (bytes, Blob)):
        return Storage("", "", -1, nested=data)
    return Call("torch.storage._load_from_bytes", (data,))


def _encode(text: Any, _encoding: Any = None) -> Any:
    """Bytes that an old protocol sent as text."""
    return text.encode("latin-1", "replace") if isinstance(text, str) else text


def _numpy_dtype(code: Any, *_: Any) -> DTypeRef:
    return DTypeRef(
        code.decode("latin-1")
        if isinstance(code, bytes)
        else str(code.name).rsplit(".", 1)[-1]
        if isinstance(code, Global)
        else code
    )


def _numpy_scalar(kind: Any, data: Any = b"") -> Any:
    """A numpy number as a Python number."""
    if isinstance(kind, DTypeRef) and isinstance(data, bytes):
        order = ">" if kind.order == ">" else "<"
        code = {
            "f8": "d",
            "f4": "f",
            "f2": "e",
            "i8": "q",
            "i4": "i",
            "i2": "h",
            "i1": "b",
            "u8": "Q",
            "u4": "I",
            "u2": "H",
            "u1": "B",
            "b1": "?",
        }
        if kind.code in code:
            return struct.unpack(order + code[kind.code], data)[0]
    return Call("numpy.scalar", (kind, data))


def _frombuffer(data: Any, kind: Any, shape: Any, order: Any = "C") -> ArrayRef:
    return ArrayRef(_sizes(shape), kind if isinstance(kind, DTypeRef) else None, order == "F", data)


def _first_or_empty_list(*args: Any) -> list[Any]:
    return list(args[0]) if args and isinstance(args[0], (list, tuple)) else []


def _dictionary(*args: Any) -> dict[Any, Any]:
    """dict(), OrderedDict(), defaultdict(factory): an empty or copied dictionary."""
    if not args:
        return {}
    given = next((a for a in args if isinstance(a, (dict, list, tuple))), None)
    if isinstance(given, dict):
        return dict(given)
    return {hashable(pair[0]): pair[1] for pair in given or () if isinstance(pair, (list, tuple)) and len(pair) == 2}


def _reconstructor(kind: Any, _base: Any, _state: Any) -> Call:
    return Call(kind.name if isinstance(kind, Global) else "(computed class)")


def _path(*parts: Any) -> str:
    return "/".join(str(p)[:500] for p in parts)


def _text(*args: Any) -> str:
    return str(args[0])[:500] if args and isinstance(args[0], (str, int, float)) else ""


def _number(*args: Any) -> Any:
    return args[0] if args and isinstance(args[0], (int, float, bool)) else 0


def _complex(real: float = 0.0, imaginary: float = 0.0) -> str:
    return f"{real}+{imaginary}j"


_CALLS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": lambda storage, offset, size, stride, *_: _tensor(storage, offset, size, stride),
    "torch._utils._rebuild_tensor_v3": _rebuild_v3,
    "torch._utils._rebuild_parameter": _same,
    "torch._utils._rebuild_parameter_with_state": _same,
    "torch._utils._rebuild_qtensor": _quantized,
    "torch._utils._rebuild_sparse_tensor": _sparse,
    "torch._utils._rebuild_sparse_csr_tensor": _sparse,
    "torch._utils._rebuild_meta_tensor_no_storage": _meta,
    "torch._utils._rebuild_device_tensor_from_numpy": _from_numpy,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _from_numpy,
    "torch._utils._rebuild_xla_tensor": _from_numpy,
    "torch._tensor._rebuild_from_type": _from_type,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch.nn.parameter.Parameter": _same,
    "torch.storage._load_from_bytes": _load_from_bytes,
    "torch.Size": lambda sizes=(): _sizes(sizes),
    "torch.device": lambda kind="", index=None: str(kind) if index is None else f"{kind}:{index}",
    "torch.serialization._get_layout": _text,
    "collections.OrderedDict": _dictionary, "collections.defaultdict": _dictionary, "collections.Counter": _dictionary,
    "collections.deque": _first_or_empty_list,
    "builtins.set": _first_or_empty_list, "builtins.frozenset": _first_or_empty_list, "builtins.list": _first_or_empty_list,
    "builtins.dict": _dictionary, "builtins.bytearray": lambda data=b"", *_: _encode(data), "builtins.bytes": lambda data=b"", *_: _encode(data),
    "builtins.complex": _complex, "builtins.int": _number, "builtins.float": _number, "builtins.bool": _number, "builtins.str": _text,
    "__builtin__.set": _first_or_empty_list, "__builtin__.dict": _dictionary, "__builtin__.list": _first_or_empty_list,
    "__builtin__.bytes": lambda data=b"", *_: _encode(data), "__builtin__.bytearray": lambda data=b"", *_: _encode(data), "__builtin__.complex": _complex,
    "_codecs.encode": _encode,
    "copyreg._reconstructor": _reconstructor, "copy_reg._reconstructor": _reconstructor,
    "copyreg.__newobj__": lambda kind, *args: called(kind.name, args),
    "numpy.dtype": _numpy_dtype,
    "numpy.core.multiarray._reconstruct": lambda *_: ArrayRef(), "numpy._core.multiarray._reconstruct": lambda *_: ArrayRef(),
    "numpy.core.multiarray.scalar": _numpy_scalar, "numpy._core.multiarray.scalar": _numpy_scalar,
    "numpy.core.numeric._frombuffer": _frombuffer, "numpy._core.numeric._frombuffer": _frombuffer,
    "pathlib.PosixPath": _path, "pathlib.WindowsPath": _path, "pathlib.PurePosixPath": _path, "pathlib.PureWindowsPath": _path,
    "pathlib.Path": _path, "pathlib._local.PosixPath": _path, "pathlib._local.WindowsPath": _path,
}  # fmt: skip
