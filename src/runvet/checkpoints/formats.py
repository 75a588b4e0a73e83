"""Which format a file is by its first bytes, and its content. One file at a time, safe to run in any process."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from runvet.checkpoints import danger
from runvet.checkpoints.arrays import read_npy, read_npz
from runvet.checkpoints.content import Content, guarded
from runvet.checkpoints.gguf import read_gguf
from runvet.checkpoints.hdf5 import MAGIC as HDF5_MAGIC
from runvet.checkpoints.hdf5 import read_hdf5, read_keras_zip
from runvet.checkpoints.judge import own_problems
from runvet.checkpoints.model import Checkpoint, Role
from runvet.checkpoints.msgpack import read_msgpack
from runvet.checkpoints.names import counted
from runvet.checkpoints.places import Place
from runvet.checkpoints.problems import Damaged, Problem, Unread
from runvet.checkpoints.safetensors import read_safetensors
from runvet.checkpoints.scan import scan
from runvet.checkpoints.torch_legacy import is_legacy, read_legacy, read_pickle
from runvet.checkpoints.torch_zip import read_torch_zip, top_folder
from runvet.checkpoints.window import Window
from runvet.checkpoints.zipdir import Zip

NESTED_LIMIT = 64 << 20  # of a packed torch file within a zip
_BY_SUFFIX = {
    ".safetensors": "safetensors", ".npz": "npz", ".npy": "npy", ".h5": "hdf5", ".hdf5": "hdf5", ".keras": "keras",
    ".pkl": "pickle", ".pickle": "pickle", ".msgpack": "msgpack", ".distcp": "distcp", ".gguf": "gguf",
}  # fmt: skip


def read_file(path: Place, relative: str, role: Role | None, *, deep: bool) -> Checkpoint:
    """Everything about one file, values scanned with `deep`. Never raises: what goes wrong is a problem of the result."""
    content = Content(_BY_SUFFIX.get(path.suffix.lower(), "torch-zip"))
    values, size, modified = None, 0, 0.0
    with guarded(content):
        stat = path.stat()
        size, modified = stat.st_size, stat.st_mtime
        with closing(Window.of(path)) as window:
            read_window(window, path.name, content, role)
            values = scan(content, size) if deep else None
    return finished(content, Checkpoint(relative, content.format, size, modified), role, values)


def finished(content: Content, base: Checkpoint, role: Role | None, values: object = None) -> Checkpoint:
    """A content as a checkpoint: counts, callables and what is wrong with it by itself."""
    foreign, dangerous = danger.foreign(content.names)
    if dangerous:
        content.problems.append(
            Problem(
                "code-in-checkpoint",
                f"loading it with pickle would run {', '.join(dangerous[:6])}{' …' if len(dangerous) > 6 else ''}",
            )
        )
    step, epoch = counted(content.plain)
    made = replace(
        base,
        format=content.format,
        kind=content.kind or _kind(content),
        step=step,
        epoch=epoch,
        file_step=step,
        file_epoch=epoch,
        tensors=tuple(f.tensor for f in content.found),
        values=values,  # type: ignore[arg-type]
        plain=content.plain,
        foreign=foreign,
        dangerous=dangerous,
        empty_states=tuple(content.empty_states),
        problems=tuple(content.problems),
    )
    return replace(made, problems=(*made.problems, *own_problems(made, content.root, role)))


def read_window(window: Window, name: str, content: Content, role: Role | None) -> None:
    """List a file's content without its values. Raises Damaged or Unread where nothing of it can be read."""
    head = window.head(512)
    if not head.strip(b"\0"):
        raise Damaged("zero bytes" if not head else "its first bytes are all zero: it was never filled")
    if head.startswith(b"version https://git-lfs"):
        raise Damaged("a Git LFS pointer: the file itself was not fetched")
    lower = name.lower()
    if lower.endswith(".safetensors"):
        read_safetensors(window, content, role)
    elif head[:4] in (b"PK\3\4", b"PK\5\6"):
        _read_zip(Zip(window), content, role)
    elif is_legacy(head):
        content.format = "torch-legacy"
        read_legacy(window, content, role)
    elif head.startswith(HDF5_MAGIC) or lower.endswith((".h5", ".hdf5")):
        content.format = "hdf5"
        read_hdf5(window, content, role)
    elif head.startswith(b"\x93NUMPY") or lower.endswith(".npy"):
        content.format = "npy"
        read_npy(window, content, role)
    elif head[257:262] == b"ustar":
        content.format = "tar"
        raise Unread("a tar archive (torch before 0.4, or packed by hand) is not read: unpack it, or save it again")
    elif lower.endswith(".msgpack"):
        content.format = "msgpack"
        read_msgpack(window, content, role)
    elif head[:4] == b"GGUF":
        content.format = "gguf"
        read_gguf(window, content)
    elif head[:1] == b"\x80" or lower.endswith((".pkl", ".pickle")):
        content.format = "pickle"
        read_pickle(window, content, role)
    else:
        raise Damaged("neither a zip nor a pickle: it starts with " + repr(head[:12])[2:-1])


def _read_zip(archive: Zip, content: Content, role: Role | None) -> None:
    if top_folder(archive) is not None:
        content.format = "torch-zip"
        read_torch_zip(archive, content, role)
    elif "model.weights.h5" in archive.members:
        content.format = "keras"
        read_keras_zip(archive, content, role)
    elif any(n.endswith(".npy") for n in archive.members):
        content.format = "npz"
        read_npz(archive, content, role)
    elif any(n.endswith((".pth", ".pt")) for n in archive.members):
        _read_nested(archive, content)
    else:
        content.format = "zip"
        raise Damaged("a zip file that holds no checkpoint")


def _read_nested(archive: Zip, content: Content) -> None:
    """A zip of torch files, as stable-baselines3 writes: the policy, its optimizer, further variables."""
    from runvet.checkpoints.names import role_of_file

    content.format = "zip"
    content.kind = "stable-baselines3" if "_stable_baselines3_version" in archive.members else ""
    for member in archive.members.values():
        if not member.name.endswith((".pth", ".pt")):
            continue
        try:
            inner = Content("torch-zip")
            read_torch_zip(
                Zip(archive.open(member, NESTED_LIMIT)),
                inner,
                role_of_file(member.name.replace(".optimizer", "_optimizer")),
            )
        except (Damaged, Unread) as error:
            content.damaged(f"{member.name[:80]}: {error}")
            continue
        prefix = member.name.rsplit(".", 1)[0]
        content.names.update(inner.names)
        content.problems.extend(inner.problems)
        for found in inner.found:
            content.add(
                replace(found.tensor, name=f"{prefix}.{found.tensor.name}"),
                tuple(replace(p, store=replace(p.store, key=(member.name, p.store.key))) for p in found.pieces),
            )


def _kind(content: Content) -> str:
    if "pytorch-lightning_version" in content.plain:
        return "lightning"
    if "ds_version" in content.plain or "dp_world_size" in content.plain:
        return "deepspeed"
    return ""
