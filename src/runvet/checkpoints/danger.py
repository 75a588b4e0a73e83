"""Which names in a pickle a checkpoint needs, which are only somebody's classes, and which can run code."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping

# Modules of the standard library whose named members only hold data.
_HARMLESS = {
    "collections.OrderedDict", "collections.defaultdict", "collections.Counter", "collections.deque", "_codecs.encode",
    "copyreg._reconstructor", "copy_reg._reconstructor", "copyreg.__newobj__", "argparse.Namespace", "types.SimpleNamespace",
    "functools.partial", "decimal.Decimal", "fractions.Fraction", "uuid.UUID", "uuid.SafeUUID", "array.array", "array._array_reconstructor",
    "random.Random", "logging.getLogger", "logging.Logger", "logging.RootLogger", "re._compile", "enum.Enum", "ipaddress.IPv4Address",
    "zoneinfo.ZoneInfo._unpickle", "operator.itemgetter", "math.inf", "math.nan", "string.Template", "dataclasses._MISSING_TYPE",
}  # fmt: skip
_HARMLESS_MODULES = {"datetime", "pathlib", "math", "abc", "numbers", "typing", "cmath"}
_HARMLESS_BUILTINS = {
    "set", "frozenset", "list", "dict", "tuple", "bytearray", "bytes", "complex", "int", "float", "bool", "str", "object", "slice",
    "range", "type", "Ellipsis", "NotImplemented", "None", "property", "print", "len", "min", "max", "sum", "abs", "round", "sorted",
    "reversed", "zip", "enumerate", "map", "filter", "unicode", "long", "xrange", "Exception", "ValueError", "KeyError", "RuntimeError",
}  # fmt: skip
# What every loader of weights allows: these never make a finding.
_NEEDED = re.compile(
    r"""(?x)^(?:
      torch\.(?:\w+Storage|Size|device|dtype|Tensor|Generator|strided|float\w*|bfloat16|half|double|u?int\d*|long|short|bool|complex\w*|qu?int\w*
        |bits\w*|per_tensor_affine|per_channel_affine|contiguous_format|preserve_format|channels_last\w*|sparse_\w+|Tag)
    | torch\._utils\._rebuild_\w+ | torch\._tensor\._rebuild_from_type(?:_v2)? | torch\.nn\.parameter\.\w+ | torch\._C\.\w*(?:Tensor|Storage)\w*
    | torch\.storage\.(?:_load_from_bytes|TypedStorage|UntypedStorage|_TypedStorage|_UntypedStorage)
    | torch\.serialization\._get_layout | torch\.(?:cuda|sparse)\.\w+(?:Storage|Tensor)
    | torch\.distributed\.checkpoint\.(?:metadata|filesystem|_fsspec_filesystem|hf_storage|_nested_dict)\.\w+
    | torch\.distributed\.(?:tensor|_tensor)(?:\.\w+)* | torch\.distributed\.(?:device_mesh|_shard)(?:\.\w+)*
    | numpy\.(?:dtype|ndarray|bool_?|float\w*|u?int\w*|str_|bytes_|void|object_|complex\w*|dtypes\.\w+|ma\.core\._mareconstruct)
    | numpy\.(?:_?core)\.(?:multiarray\.(?:_reconstruct|scalar)|numeric\._frombuffer)
    | numpy\.random\._?(?:pickle|mt19937|pcg64|philox|sfc64|generator|mtrand|bit_generator)(?:\.\w+)?
    )$"""
)
# Names outside the standard library that load, build or run something.
_RUNS = re.compile(
    r"""(?x)^(?:torch\.(?:hub|utils\.cpp_extension|utils\.collect_env|_dynamo|_inductor|package|jit|ops|multiprocessing|distributed\.(?:rpc|run|launch\w*|elastic\S*))(?:\.|$)
    | torch\.(?:load|serialization\.load|storage\.os|classes)
    | numpy\.(?:load|fromfile|memmap|testing|f2py|distutils|ctypeslib|save\w*|loadtxt|genfromtxt|core\.memmap|lib)\b
    | pandas\.(?:read_\w+|eval|io|core\.computation) | joblib\. | dill\. | _dill | cloudpickle\. | jsonpickle\. | IPython\. | pip\. | setuptools\.
    | requests\. | httpx\. | aiohttp\. | urllib3\. | paramiko\. | fabric\. | sh\. | plumbum\. | psutil\. | sympy\. | numexpr\. | scipy\.io\. | pexpect\.
    | tensorflow\.(?:io|raw_ops|py_function|keras\.models\.load_model) | keras\.(?:models|src)\S*load | transformers\.\S*(?:from_pretrained|pipeline)$
    | \(computed | copyreg\.extension | nt\. | __builtin__\.(?:eval|exec\w*|apply|compile|open|file|input|__import__) | commands\. | popen2\.)"""
)
_HIDDEN = {
    "os",
    "sys",
    "subprocess",
    "builtins",
    "__builtins__",
    "__globals__",
    "__dict__",
    "__subclasses__",
    "posix",
    "importlib",
    "shutil",
    "socket",
    "ctypes",
}
_LAST = {"system", "popen", "eval", "exec", "__import__", "check_output", "run_code", "getattr"}
_CODE = {"CodeType", "FunctionType", "LambdaType", "MethodType"}
_SHADOWED = {"test", "token", "statistics", "calendar", "types"}  # names that people give to their own modules


def foreign(names: Mapping[str, bool]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the names that a pickle would import: those which no checkpoint needs, and those of them that can run code."""
    strange = tuple(sorted(n for n in names if not needed(n)))
    return strange, tuple(n for n in strange if dangerous(n))


def needed(name: str) -> bool:
    """Whether plain weights use this name."""
    module, _, member = name.partition(".")
    if module in ("builtins", "__builtin__"):
        return member in _HARMLESS_BUILTINS
    return name in _HARMLESS or module in _HARMLESS_MODULES or _NEEDED.match(name) is not None


def dangerous(name: str) -> bool:
    """Whether calling this name can run code: the standard library but for its data types, and known loaders."""
    if needed(name):
        return False
    parts = name.split(".")
    if name in (
        "builtins.getattr",
        "__builtin__.getattr",
    ):  # how enumerations and methods are stored; what it fetches is judged by its own name
        return False
    library = parts[0] in sys.stdlib_module_names and not (
        parts[0] in _SHADOWED and parts[-1][:1].isupper() and parts[-1] not in _CODE
    )
    return (
        library
        or _RUNS.match(name) is not None
        or not _HIDDEN.isdisjoint(parts[1:])
        or (len(parts) > 1 and parts[-1] in _LAST)
    )
