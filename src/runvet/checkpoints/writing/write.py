"""One full checkpoint onto the disk: written under a temporary name, synced, read back, compared, then made visible."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from runvet import __version__
from runvet.checkpoints import manifest as manifests
from runvet.checkpoints.manifest import FileEntry, Manifest
from runvet.checkpoints.writing import atomic
from runvet.checkpoints.writing.compare import compare
from runvet.checkpoints.writing.errors import RefusedCheckpoint, SaveFailed, need_torch
from runvet.checkpoints.writing.inert_state import mapped, tensors
from runvet.checkpoints.writing.stream import HashedFile

STATE = "state.pt"
Verify: TypeAlias = Literal["bytes", "structure"]
FILES = (".pt", ".pth", ".ckpt", ".bin", ".tar")  # endings of a path that asks for a file, not a folder


@dataclass(frozen=True, slots=True)
class Facts:
    """What the manifest says beside the files; see `Manifest`."""

    world_size: int = 1
    loader_length: int | None = None
    commit: str | None = None
    config_hash: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    after: float = 0.0  # unix seconds; `created` is later than that even where the clock went back


def write_full(final: Path, state: Mapping[str, Any], facts: Facts, verify: Verify = "bytes") -> Manifest:
    """Write one checkpoint: a file where the name ends like one, else a folder with `state.pt` and `manifest.json`.

    `verify`: 'bytes' reads everything back, compares it with memory and hashes it; 'structure' compares names, shapes,
    types and sizes only, and the manifest has no SHA-256: later damage is found by the CRC-32s in the file.
    What lay there before stays until the new one is complete and verified, and for good if anything goes wrong.
    Raises SaveFailed.
    """
    made = atomic.temporary(final)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        atomic.clean(final.parent, name=final.name)
        if final.suffix.lower() in FILES:
            return _as_file(made, final, state, facts, verify)
        return _as_folder(made, final, state, facts, verify)
    except OSError as error:
        if isinstance(error, SaveFailed):
            raise
        raise failed(final, error) from error
    except (RefusedCheckpoint, MemoryError, TypeError):
        raise
    except Exception as error:  # torch wraps an error of the disk in a RuntimeError of its own
        raise failed(final, error) from error
    finally:
        atomic.remove(made)


def described(
    state: Mapping[str, Any], files: tuple[FileEntry, ...], counts: tuple[int, int], facts: Facts
) -> Manifest:
    """The manifest of a state of (tensors, elements)."""
    return Manifest(
        files=files,
        step=state.get("step"),
        epoch=state.get("epoch"),
        world_size=facts.world_size,
        loader_length=facts.loader_length,
        commit=facts.commit,
        config_hash=facts.config_hash,
        metrics=dict(facts.metrics),
        tensors=counts[0],
        parameters=counts[1],
        created=max(time.time(), facts.after + 1e-3),
        writer=f"runvet {__version__}",
    )


def write_state(
    path: Path, name: str, state: Mapping[str, Any], verify: Verify = "bytes"
) -> tuple[FileEntry, tuple[int, int]]:
    """Write, sync and verify one torch file; its entry under a name, and (tensors, elements). Raises SaveFailed, OSError."""
    torch = need_torch()
    state = compact(state)
    with HashedFile(path, storages(state), reading=verify == "bytes") as file:
        with _checksums(torch.serialization):
            torch.save(state, file)
        failure: list[OSError] = []

        def sync() -> None:
            try:
                file.sync()
            except OSError as error:
                failure.append(error)

        syncing = threading.Thread(target=sync)
        syncing.start()  # the disk works while the processor compares
        try:
            if path.stat().st_size != file.size:
                raise SaveFailed(f"{name} has {path.stat().st_size:,} bytes, {file.size:,} were written")
            file.end()
            counts = compare(path, state, file, values=verify == "bytes")
        finally:
            syncing.join()
        if failure:
            raise failure[0]
        return FileEntry(name, file.size, file.hashed()), counts


def checked_choice(verify: str, *, sharded: bool) -> None:
    """Raise ValueError for a way of verifying that does not exist, or not for sharded checkpoints."""
    if verify not in ("bytes", "structure"):
        raise ValueError(f"verify is 'bytes' or 'structure', not {verify!r}")
    if sharded and verify != "bytes":
        raise ValueError("sharded checkpoints are verified in one way only: leave verify out")


@contextlib.contextmanager
def _checksums(serialization: Any) -> Iterator[None]:
    """CRC-32s in what torch saves, also where the program has switched them off."""
    before = serialization.get_crc32_options()
    serialization.set_crc32_options(True)
    try:
        yield
    finally:
        serialization.set_crc32_options(before)


def storages(state: Mapping[str, Any]) -> dict[int, int]:
    """Bytes of the memory below the tensors of a compact state, by address."""
    dense = (t.untyped_storage() for _, t in tensors(state) if t.layout is need_torch().strided)
    return {s.data_ptr(): s.nbytes() for s in dense}


def compact(state: Mapping[str, Any]) -> Any:
    """The state with contiguous CPU tensors, and no storage larger than what is used of it: torch saves whole storages."""
    used: dict[int, int] = {}
    for _, tensor in tensors(state):
        if tensor.layout is need_torch().strided and tensor.device.type == "cpu":
            key = tensor.untyped_storage().data_ptr()
            used[key] = used.get(key, 0) + tensor.numel() * tensor.element_size()

    def tidy(_: str, tensor: Any) -> Any:
        if tensor.layout is not need_torch().strided or tensor.is_quantized:
            return tensor.cpu()
        tensor = tensor.cpu().resolve_conj().resolve_neg().contiguous()
        storage = tensor.untyped_storage()
        return tensor if used.get(storage.data_ptr(), storage.nbytes()) >= storage.nbytes() else tensor.clone()

    return mapped(state, tidy)


def failed(final: Path, error: BaseException) -> SaveFailed:
    """The error of a save, with what matters most."""
    cause = error
    while not isinstance(cause, OSError) and (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    why = (cause.strerror or str(cause)) if isinstance(cause, OSError) else f"{type(error).__name__}: {error}"
    made = SaveFailed(f"{final.name} was not saved: {why}. What was saved before is untouched")
    if isinstance(cause, OSError):
        made.errno = cause.errno
    return made


def _as_folder(made: Path, final: Path, state: Mapping[str, Any], facts: Facts, verify: Verify) -> Manifest:
    made.mkdir()
    entry, counts = write_state(made / STATE, STATE, state, verify)
    manifest = described(state, (entry,), counts, facts)
    atomic.fill(made / manifests.NAME, manifest.to_json())
    atomic.commit_folder(made, final)
    return manifest


def _as_file(made: Path, final: Path, state: Mapping[str, Any], facts: Facts, verify: Verify) -> Manifest:
    """The manifest goes first and names the file that it replaces: a crash in between leaves a known file.

    A file that lies there without a manifest cannot be named: it is replaced first, and is whole in between.
    """
    entry, counts = write_state(made, final.name, state, verify)
    manifest = described(state, (entry,), counts, facts)
    side = manifests.sidecar(final)
    before = _lying(side) if final.exists() else None
    if before is None and final.exists():
        atomic.commit_file(made, final)
        atomic.write(side, manifest.to_json())
        return manifest
    pending = replace(manifest, replaces=replace(before, replaces=None)) if before else manifest
    atomic.write(side, pending.to_json())
    try:
        atomic.commit_file(made, final)
    except OSError:
        if before is None:
            side.unlink(missing_ok=True)
        raise
    if before is not None:
        with contextlib.suppress(OSError):  # the save is complete; that the manifest names both files does no harm
            atomic.write(side, manifest.to_json())
    return manifest


def _lying(side: Path) -> Manifest | None:
    """The manifest of the file that lies there. Only one that still names two files is settled by reading the file."""
    try:
        known = manifests.read(side)
    except (manifests.BadManifest, OSError):
        return None
    return known if known.replaces is None else manifests.held(side)
