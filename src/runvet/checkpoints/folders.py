"""Which files belong together: what a person would call one checkpoint, planned from names before anything is read."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from runvet.checkpoints.candidates import Folder, strength
from runvet.checkpoints.model import Role
from runvet.checkpoints.names import TENSORFLOW_DATA, epoch_of, role_of_file, role_of_key, stem, step_of, words
from runvet.checkpoints.orbax import MARKS
from runvet.checkpoints.ranks import MEGATRON

SHARD = re.compile(r"(?i)^(?P<base>.*?)[-_.]?(?P<index>\d{1,6})-of-(?P<count>\d{1,6})(?=\.)")
RANK = re.compile(
    r"(?i)^(?P<base>.*?)(?:world_size_(?P<before>\d+)_)?(?:rank|zero_pp_rank)[_-]?(?P<index>\d+)(?:_mp_rank_\d+)?(?:[_-]?(?:of|world_size)[_-]?(?P<count>\d+))?(?P<rest>.*)$"
)
_DEEPSPEED = re.compile(r"(?:_model_states|_optim_states)\.pt$")
_HUGGINGFACE = re.compile(
    r"(?i)^(?:(?:pytorch_|diffusion_pytorch_)?model|adapter_model|pytorch_lora_weights|optimizer|scheduler|scaler|rng_state|random_states|custom_checkpoint|training_args)"
    r"(?:[-_.]\w*?\d*(?:-of-\d+)?)?(?:\.fp16|\.ema|\.non_ema|\.bf16)?\.(?:safetensors|bin|pt|pth|pkl)$"
)
_SIDE = {"trainer_state.json", "adapter_config.json", "config.json", "model_index.json", "meta.json", "latest"}
_NAMED = re.compile(
    r"(?i)^(?:best|last|latest|final|checkpoint|ckpt)$|(?:^|[-_])(?:checkpoint|ckpt|model)[-_](?:best|last|latest|final)$|^(?:best|last|latest|final)[-_](?:model|checkpoint|ckpt)$"
)
_COUNTER = re.compile(r"(?i)(?:step|iter|epoch|checkpoint|ckpt|update|tag|snapshot|save|ep)")


@dataclass(slots=True)
class Plan:
    """One checkpoint to read: a single file, or a folder of kind 'distributed', 'orbax' or 'set' with its `parts`, a table of TensorFlow."""

    relative: str
    name: str  # what step and epoch are read from
    kind: str  # 'file', 'set', 'distributed', 'orbax', 'tensorflow'
    sure: bool = True
    role: Role | None = None
    folder: Folder | None = None
    parts: list[Plan] = field(default_factory=list)
    layout: str = ""  # 'huggingface', 'deepspeed', 'accelerate', 'peft', …

    def files(self) -> Iterator[Plan]:
        """All single files of it."""
        if self.kind == "file":
            yield self
        for part in self.parts:
            yield from part.files()


def plans(folder: Folder) -> list[Plan]:
    """Every checkpoint in a folder and below, in the order of names."""
    if _is_distributed(folder):
        return [_distributed(folder)]
    if _is_orbax(folder):
        return [Plan(folder.relative or ".", folder.path.name, "orbax", folder=folder)]
    tables = _tensorflow(folder)
    whole = _together(folder)
    if whole is not None:
        taken = {p.relative for p in whole.files()} | {p.relative for p in whole.parts}
        rest = [
            _file(folder, n, s)
            for n in folder.files
            if folder.inside(n) not in taken and (s := strength(folder.inside(n)))
        ]
        below = [
            f
            for f in folder.folders.values()
            if not any(t == f.relative or t.startswith(f.relative + "/") for t in taken)
        ]
        return [whole, *tables, *_grouped(rest), *(p for f in below for p in plans(f))]
    single = [_file(folder, n, s) for n in folder.files if (s := strength(folder.inside(n)))]
    return [*tables, *_grouped(single), *(p for f in folder.folders.values() for p in plans(f))]


def _tensorflow(folder: Folder) -> list[Plan]:
    """Checkpoints of TensorFlow: an index with its data files; either alone is one that died."""
    found = {m["prefix"] for n in folder.files if (m := TENSORFLOW_DATA.match(n))}
    return [Plan(folder.inside(prefix), prefix, "tensorflow", folder=folder) for prefix in sorted(found)]


def _file(folder: Folder, name: str, strong: str) -> Plan:
    return Plan(folder.inside(name), name, "file", strong == "sure", role_of_file(name), folder)


def _is_distributed(folder: Folder) -> bool:
    return any(n.endswith(".distcp") for n in folder.files) or (".metadata" in folder.files and not folder.folders)


def _is_orbax(folder: Folder) -> bool:
    return any(m in folder.files for m in MARKS) or ".orbax-checkpoint-tmp" in folder.path.name


def _distributed(folder: Folder) -> Plan:
    """A folder of torch.distributed.checkpoint: its blocks, and torch files beside them (`meta.pt`, `common.pt`)."""
    parts = [_file(folder, n, s) for n in folder.files if (s := strength(folder.inside(n)))]
    role = role_of_key(folder.path.name)
    return Plan(
        folder.relative or ".",
        folder.path.name,
        "distributed",
        role=role if role in ("optimizer", "ema") else None,
        folder=folder,
        parts=parts,
    )


def _together(folder: Folder) -> Plan | None:
    """The checkpoint that this folder is, or None where it only keeps several."""
    files = [_file(folder, n, s) for n in folder.files if (s := strength(folder.inside(n)))]
    layout = _layout(folder)
    named = _own_name(folder)
    if named:
        counters = {(step_of(f.name), epoch_of(f.name)) for f in files if f.sure} - {(None, None)}
        if len(counters) > 1 and layout not in ("deepspeed", "accelerate"):
            named = False
    if named:
        members = [f for f in files if f.sure or (f.role is not None)]
        below = [
            p
            for f in folder.folders.values()
            if not (_own_name(f) and _COUNTER.search(f.path.name)) or _layout(f) == "deepspeed"
            for p in _below(f)
        ]
    elif layout:
        members = [f for f in files if _member(f.name, layout)]
        below = [p for f in folder.folders.values() if _adds(layout, f) for p in _below(f)]
    else:
        members, below = (files, []) if _roles_only(files) else ([], [])
    if not members and not below:
        return None
    if not named and not layout and len(members) < 2:
        return None
    for plan in members:
        if (
            plan.role is None
            and words(stem(plan.name)) <= _BARE_STATE
            and len(members) > 1
            and any("model" in words(stem(f.name)) for f in members)
        ):
            plan.role = "other"  # `state.pt` beside `model_state_dict.pt`: step, schedule, configuration
    return Plan(folder.relative or ".", folder.path.name, "set", folder=folder, parts=[*members, *below], layout=layout)


def _adds(layout: str, folder: Folder) -> bool:
    """Whether a sub-folder belongs to the checkpoint of this layout."""
    if layout == "megatron":
        return MEGATRON.match(folder.path.name) is not None
    return layout == "diffusers" and not _own_name(folder)


def _below(folder: Folder) -> list[Plan]:
    """What a checkpoint's sub-folder adds to it: distributed folders as they are, else all files of it."""
    if _is_distributed(folder):
        return [_distributed(folder)]
    hint = role_of_key(folder.path.name)
    files = [_file(folder, n, s) for n in folder.files if (s := strength(folder.inside(n))) == "sure"]
    for plan in files:
        plan.role = plan.role or (hint if hint in ("optimizer", "ema") else None)
    return [*files, *(p for f in folder.folders.values() for p in _below(f))]


def _layout(folder: Folder) -> str:
    """The tool whose layout a folder has, by its marks."""
    names = folder.files
    if any(MEGATRON.match(n) for n in folder.folders):
        return "megatron"
    if any(_DEEPSPEED.search(n) for n in names):
        return "deepspeed"
    if any(n.startswith("random_states_") for n in names):
        return "accelerate"
    if "adapter_config.json" in names and any(n.startswith("adapter_model.") for n in names):
        return "peft"
    if "model_index.json" in names:
        return "diffusers"
    weights = any(_HUGGINGFACE.match(n) and role_of_file(n) is None for n in names)
    if any(n.endswith((".safetensors.index.json", ".bin.index.json")) for n in names):
        return "huggingface"
    if weights and ("config.json" in names or "trainer_state.json" in names or "optimizer.pt" in names):
        return "huggingface"
    return "sharded" if any(SHARD.match(n) and strength(folder.inside(n)) for n in names) else ""


def _member(name: str, layout: str) -> bool:
    if layout == "deepspeed":
        return _DEEPSPEED.search(name) is not None or _HUGGINGFACE.match(name) is not None
    if layout == "sharded":
        return SHARD.match(name) is not None
    return _HUGGINGFACE.match(name) is not None or SHARD.match(name) is not None


def _own_name(folder: Folder) -> bool:
    """Whether a folder's name says that it is one checkpoint: a step, an epoch, 'best', 'last'."""
    name = folder.path.name
    if not folder.relative:
        return False  # the listed path itself: what it holds decides
    if _NAMED.search(name):
        return name.lower() not in ("checkpoint", "ckpt")
    if epoch_of(name) is None and step_of(name) is None:
        return False
    bare = name.isdigit()
    parents = words(folder.relative.rpartition("/")[0].rpartition("/")[2])
    return not bare or bool(parents & {"checkpoint", "checkpoints", "ckpt", "ckpts", "weights", "models", "snapshots"})


def _roles_only(files: list[Plan]) -> bool:
    """Whether all files are parts of one state: a model, and an optimizer or the like, none with a number of its own."""
    if len(files) < 2 or any(step_of(f.name) is not None or epoch_of(f.name) is not None for f in files):
        return False
    if any(f.role is None and not words(stem(f.name)) <= _MODEL_WORDS for f in files):
        return False
    return any(f.role is None for f in files) and any(f.role in ("optimizer", "other") for f in files)


_BARE_STATE = {"state", "trainer", "training", "train"}
_MODEL_WORDS = {
    "model",
    "state",
    "dict",
    "net",
    "network",
    "weights",
    "unet",
    "vae",
    "encoder",
    "decoder",
    "generator",
    "discriminator",
    "g",
    "d",
    "module",
    "params",
    "pytorch",
    "text",
    "policy",
}
_ROLE_WORDS = {
    "model",
    "optim",
    "optimizer",
    "optimiser",
    "opt",
    "ema",
    "state",
    "states",
    "dict",
    "scheduler",
    "meta",
    "rng",
    "scaler",
    "sched",
}


def _grouped(single: list[Plan]) -> list[Plan]:
    """Files side by side whose names differ only in the role (`model_650.pt`, `optim_650.pt`) become one checkpoint."""
    groups: dict[tuple[str, ...], list[Plan]] = defaultdict(list)
    for plan in single:
        text = stem(plan.name)
        key = tuple(w for w in re.findall(r"[a-z]+|\d+", text.lower()) if w not in _ROLE_WORDS)
        counted = step_of(plan.name) is not None or epoch_of(plan.name) is not None
        groups[(*key, str(plan.relative.rpartition("/")[0])) if counted else (plan.relative,)].append(plan)
    made = []
    for members in groups.values():
        main = [p for p in members if p.role is None]
        if (
            len(members) > 1
            and len(main) == 1
            and any(p.role == "optimizer" for p in members)
            and words(stem(main[0].name)) & _ROLE_WORDS
        ):
            made.append(Plan(main[0].relative, main[0].name, "set", folder=main[0].folder, parts=members))
        else:
            made.extend(members)
    return made
