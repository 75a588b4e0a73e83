"""What lies in a manager's folder, by the manifests: cheap to ask, and never a word about what is half there."""

from __future__ import annotations

import re
from pathlib import Path

from runvet.checkpoints import manifest as manifests
from runvet.checkpoints.folder_formats import read_distributed_folder
from runvet.checkpoints.formats import read_file
from runvet.checkpoints.manifest import BadManifest, Manifest
from runvet.checkpoints.writing.retention import Entry
from runvet.checkpoints.writing.sharded import METADATA
from runvet.checkpoints.writing.write import STATE

_NAME = re.compile(r"^step-(\d+)$")
_JUDGED = ("model.", "ema.", "optimizer.")


class Store:
    """The checkpoints `step-00001000/` of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, step: int) -> Path:
        """Where the checkpoint of a step is, or would be. Raises ValueError for a negative step."""
        if step < 0:
            raise ValueError(f"a checkpoint of step {step}")
        return self.folder / f"step-{step:08d}"

    def entries(self, metric: str | None) -> list[Entry]:
        """Every checkpoint; good where all files are there in the sizes of the manifest. The metric is of this name."""
        found = []
        try:
            places = sorted(self.folder.iterdir())
        except OSError:
            return []
        for place in places:
            match = _NAME.match(place.name)
            if match is None or not place.is_dir():
                continue
            known = self._manifest(place)
            if known is None:
                found.append(Entry(place.name, int(match[1]), _modified(place), good=False))
                continue
            value = known.metrics.get(metric) if metric else None
            found.append(Entry(place.name, int(match[1]), known.created, value, _sized(place, known)))
        return found

    def newest(self) -> float:
        """When the last checkpoint was written, unix seconds; 0 where there is none."""
        return max((e.created for e in self.entries(None) if e.good), default=0.0)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes by name of the tensors in the newest good checkpoint, read statically; empty where there is none."""
        good = [e for e in self.entries(None) if e.good]
        if not good:
            return {}
        place = self.folder / max(good, key=lambda e: (e.created, e.step)).name
        if (place / METADATA).is_file():
            seen = read_distributed_folder(place, place.name, None, deep=False)
        else:
            seen = read_file(place / STATE, STATE, None, deep=False)
        return {t.name: t.shape for t in seen.tensors if t.name.startswith(_JUDGED)}

    def _manifest(self, place: Path) -> Manifest | None:
        try:
            return manifests.read(place / manifests.NAME)
        except (BadManifest, OSError):
            return None


def _sized(place: Path, known: Manifest) -> bool:
    try:
        return bool(known.files) and all((place / f.name).stat().st_size == f.bytes for f in known.files)
    except OSError:
        return False


def _modified(place: Path) -> float:
    try:
        return place.stat().st_mtime
    except OSError:
        return 0.0
