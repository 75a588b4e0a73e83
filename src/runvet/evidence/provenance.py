"""Which checkpoint samples and evaluations say they were made from."""

from __future__ import annotations

from dataclasses import dataclass

from runvet.artifacts.grouping import words
from runvet.artifacts.model import UnreadableError, evenly
from runvet.evidence import Missing, provides
from runvet.run import Run

KEYS = ("checkpoint", "ckpt", "checkpoint_path", "ckpt_path", "resume_checkpoint", "model_checkpoint", "weights_path")
ENDINGS = (".pt", ".pth", ".ckpt", ".safetensors", ".bin", ".h5", ".keras", ".tar", ".pkl", ".msgpack")
_NAMES = frozenset("summary meta metadata metrics eval evaluation results result report info".split())
FILES = 64
SIZE = 1 << 20


@dataclass(frozen=True, slots=True)
class Origins:
    """Files that name a checkpoint, as (file, checkpoint); and the names of all checkpoint files of the run."""

    named: tuple[tuple[str, str], ...]
    checkpoints: frozenset[str]


@provides
def origins(run: Run) -> Origins | Missing:
    held = frozenset(i.source.rpartition("/")[2] for i in run.ignored if i.why == "checkpoint")
    if run.artifacts is None or not held:
        return Missing("no checkpoints beside evaluations", "", applicable=False)
    candidates = [
        i for i in run.artifacts.items if i.suffix == ".json" and i.size < SIZE and _NAMES & set(words(i.parts[-1]))
    ]
    named = []
    for item in evenly(candidates, FILES):
        try:
            plain = run.artifacts.read(item).plain
        except UnreadableError:
            continue
        told = next((plain[k] for k in KEYS if isinstance(plain.get(k), str)), "") if isinstance(plain, dict) else ""
        if told.lower().endswith(ENDINGS):
            named.append((item.name, told.replace("\\", "/")))
    if not named:
        return Missing(
            "no evaluation names its checkpoint",
            "write the checkpoint's path into each evaluation summary",
            applicable=False,
        )
    return Origins(tuple(named), held)
