"""What importing runvet costs, and who may import whom: proved in fresh processes."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import runvet
import runvet.readers
import runvet.render
import runvet.rules

HEAVY = (
    "torch",
    "pandas",
    "matplotlib",
    "rich",
    "scipy",
    "sklearn",
    "tensorflow",
    "tensorboard",
    "pyarrow",
    "h5py",
    "runvet_lab",
)


def loaded(code: str) -> set[str]:
    """The modules that are loaded after some code ran in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return set(done.stdout.split())


def modules(package: object) -> list[str]:
    return [m.name for m in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]  # type: ignore[attr-defined]


def test_import_is_light() -> None:
    got = loaded("import runvet")
    assert not got & {*HEAVY, "numpy", "click", "yaml", "orjson"}
    assert not [m for m in got if m.startswith("runvet.")], "the interface loads on first use"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_load_only_the_command_line(arguments: list[str]) -> None:
    code = f"from runvet.cli.main import main\ntry:\n    main({arguments!r})\nexcept SystemExit:\n    pass"
    got = loaded(code)
    assert not got & {*HEAVY, "numpy", "yaml", "orjson"}


def test_whole_core_needs_no_heavy_package() -> None:
    names = [m for m in modules(runvet) if not m.startswith("runvet.record.") and not m.endswith("__main__")]
    got = loaded("import " + ", ".join(names))
    assert not got & set(HEAVY)


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        (runvet.rules, ("runvet.readers", "runvet.discover", "runvet.render", "runvet.cli")),
        (runvet.render, ("runvet.rules", "runvet.readers", "runvet.engine", "runvet.discover")),
        (runvet.readers, ("runvet.rules", "runvet.engine", "runvet.render", "runvet.evidence")),
    ],
    ids=["rules", "renderers", "readers"],
)
def test_layers(package: object, forbidden: tuple[str, ...]) -> None:
    got = loaded("import " + ", ".join(modules(package)))
    # A rule's vocabulary (Measure, Sick) is not a rule: `runvet.rules` itself may be loaded, its rules may not.
    wrong = [m for m in got if any(m == f or m.startswith(f + ".") for f in forbidden)]
    assert not wrong


def test_python_dash_m() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runvet", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert runvet.__version__ in done.stdout
