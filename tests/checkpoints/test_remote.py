"""Runs behind a URL: what is fetched, what is found, and what is said where a package is missing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from click.testing import CliRunner

import weight_files as files
from runvet import api, examples
from runvet.checkpoints import list_checkpoints, places
from runvet.checkpoints.places import RemoteError, RemotePath
from runvet.cli.main import main

fsspec = pytest.importorskip("fsspec")
MemoryFileSystem = pytest.importorskip("fsspec.implementations.memory").MemoryFileSystem


class Counted(MemoryFileSystem):
    """Files in memory that count what is fetched; nothing may be fetched as a whole."""

    protocol = "counted"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    requests: ClassVar[list[int]] = []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("counted://").strip("/") if path.strip("/") else ""

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        data = super().cat_file(path, start=start, end=end, **kwargs)
        self.requests.append(len(data))
        return data

    def _open(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("a file was opened as a whole")


@pytest.fixture(autouse=True)
def _own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RUNVET_CACHE", str(tmp_path_factory.mktemp("cache")))
    fsspec.register_implementation("counted", Counted, clobber=True)
    places._system.cache_clear()
    yield
    Counted.store.clear()
    Counted.requests.clear()


def upload(folder: Path, to: str) -> None:
    memory = MemoryFileSystem()
    memory.store = Counted.store
    for place in folder.rglob("*"):
        if place.is_file():
            memory.pipe_file(f"/{to}/{place.relative_to(folder).as_posix()}", place.read_bytes())
    Counted.requests.clear()


def test_headers_of_large_files_cost_little(tmp_path):
    big = {"model.w": np.ones((1500, 1500), np.float32), "model.b": np.ones(7, np.float32)}
    for step in (100, 200):
        files.write(tmp_path / f"ckpt/step_{step}.safetensors", big)
    torch = pytest.importorskip("torch")
    torch.save({"model": {"w": torch.ones(1500, 1500)}, "step": 300}, tmp_path / "ckpt/step_300.pt")
    upload(tmp_path, "bucket/run")
    found = list_checkpoints("counted://bucket/run", cache=False)
    assert [(c.path, c.step, c.parameters) for c in found] == [
        ("ckpt/step_100.safetensors", 100, 2_250_007), ("ckpt/step_200.safetensors", 200, 2_250_007), ("ckpt/step_300.pt", 300, 2_250_000),
    ]  # fmt: skip
    assert all(c.bytes > 9_000_000 and c.usable and c.values is None for c in found)
    assert sum(Counted.requests) < 200_000
    assert len(Counted.requests) < 25


def test_deep_streams_in_bounded_ranges(tmp_path):
    values = np.random.default_rng(0).standard_normal((4000, 1500)).astype(np.float32)
    files.write(tmp_path / "step_100.safetensors", {"w": values})
    upload(tmp_path, "bucket/run")
    (found,) = list_checkpoints("counted://bucket/run", deep=True, cache=False)
    (local,) = list_checkpoints(tmp_path, deep=True, cache=False)
    assert found.values is not None
    assert local.values is not None
    assert found.values.digest == local.values.digest
    assert values.nbytes <= sum(Counted.requests) < values.nbytes + 100_000
    assert max(Counted.requests) <= places.MOST
    assert len(Counted.requests) < 20


def test_one_file_and_nothing_there(tmp_path):
    files.write(tmp_path / "step_5.safetensors", files.weights(5))
    upload(tmp_path, "bucket")
    (found,) = list_checkpoints("counted://bucket/step_5.safetensors", cache=False)
    assert (found.path, found.step, len(found.tensors)) == ("step_5.safetensors", 5, 4)
    with pytest.raises(FileNotFoundError):
        list_checkpoints("counted://bucket/nothing")


def test_a_run_is_judged_as_it_is_here(tmp_path):
    run = tmp_path / "run"
    (run / "samples").mkdir(parents=True)
    (run / "samples/big.png").write_bytes(b"x" * 100_000)
    files.log(run, examples.decay(1000))
    for step in (200, 400, 600):
        files.write(run / f"ckpt/step_{step}.safetensors", {} if step > 200 else files.weights(step))
    upload(run, "bucket/run")
    there, here = api.check("counted://bucket/run"), api.check(run)
    assert there.path == "counted://bucket/run"
    assert [(f.rule, f.message) for f in there.findings] == [(f.rule, f.message) for f in here.findings]
    assert [s.name for s in there.stages] == [s.name for s in here.stages]
    assert there.trusted_checkpoint is not None
    assert there.trusted_checkpoint.step == 200
    assert sum(Counted.requests) < 100_000 + 3 * 20_000, "samples are left where they are"


def test_commands(tmp_path):
    for step in (200, 400):
        files.write(tmp_path / f"ckpt/step_{step}.safetensors", files.weights(step))
    upload(tmp_path, "bucket/run")
    done = CliRunner().invoke(main, ["checkpoints", "counted://bucket/run"], env={"COLUMNS": "120"})
    assert done.exit_code == 0, done.output
    assert "step_400.safetensors" in done.output
    apart = CliRunner().invoke(main, ["checkpoints", "counted://bucket/run", "--diff", "200", "400"])
    assert "encoder.0" in apart.output
    checked = CliRunner().invoke(main, ["check", "counted://bucket/run", "--format", "concise"])
    assert checked.exit_code in (0, 2), checked.output
    assert not isinstance(checked.exception, AssertionError)


@pytest.mark.parametrize("command", ["check", "checkpoints"])
@pytest.mark.parametrize(
    ("url", "module", "says"),
    [
        ("s3://bucket/run", "s3fs", "s3:// paths need s3fs: pip install s3fs"),
        ("gs://bucket/run", "gcsfs", "gs:// paths need gcsfs: pip install gcsfs"),
        ("memory://run", "fsspec.core", "remote paths need the extra: pip install 'runvet[remote]'"),
        ("nowhere://run", "", "Protocol not known: nowhere"),
    ],
)
def test_what_is_missing_is_one_line(monkeypatch, command, url, module, says):
    if module:
        monkeypatch.setitem(sys.modules, module, None)
    done = CliRunner().invoke(main, [command, url])
    assert done.exit_code == 2
    assert says in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_errors_of_the_store(monkeypatch):
    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("403 Forbidden")

    monkeypatch.setattr(Counted, "info", refuse)
    with pytest.raises(RemoteError, match="the store says RuntimeError: 403 Forbidden"):
        list_checkpoints("counted://bucket/run")


def test_names():
    assert RemotePath("s3://bucket/run/a.pt?version=3").name == "a.pt"
    assert (RemotePath("s3://bucket/run/") / "b" / "c.pt").url == "s3://bucket/run/b/c.pt"
    signed = RemotePath("https://ada:secret@host/run/a.pt?X-Amz-Signature=0123")
    assert f"{signed} {signed!r}" == "https://host/run/a.pt https://host/run/a.pt"
    assert isinstance(places.place("C:/runs/x"), Path)
    assert isinstance(places.place("runs/x"), Path)
    assert isinstance(places.place("https://host/x"), RemotePath)
