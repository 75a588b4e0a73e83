"""A folder of checkpoints: written so that none is lost, thinned out so that the disk lasts, found again by what they are."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence, Sized
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from runvet.checkpoints import manifest as manifests
from runvet.checkpoints.manifest import Manifest
from runvet.checkpoints.writing import atomic, ranks
from runvet.checkpoints.writing.background import Background
from runvet.checkpoints.writing.errors import need_torch
from runvet.checkpoints.writing.gather import Gathered, Parts
from runvet.checkpoints.writing.loading import load, restore
from runvet.checkpoints.writing.refusal import refuse_non_finite
from runvet.checkpoints.writing.retention import Direction, Entry, best, superfluous
from runvet.checkpoints.writing.saving import collected_parts, facts_of, judged_shapes
from runvet.checkpoints.writing.sharded import write_sharded
from runvet.checkpoints.writing.signals import StopSignal
from runvet.checkpoints.writing.snapshot import Snapshot
from runvet.checkpoints.writing.store import Store
from runvet.checkpoints.writing.write import Facts, Verify, checked_choice, write_full


class CheckpointManager:
    """Checkpoints `step-00001000/` in a folder. Every rank makes one and calls the same methods; rank 0 writes.

    `keep_last` good ones are kept (None: all), besides those at multiples of `keep_every` steps and the best by a
    metric: `best=("val/loss", "down")`. `background` writes in a thread after a copy in memory; an error then comes
    with the next call. `sharded` lets every rank write its pieces. `loader` (batches per epoch) and `config` (hashed)
    go into the manifests. `handle_sigterm` notes SIGTERM for `after_step`. `allow_non_finite` are name patterns.
    `verify="structure"` saves faster: bytes are not read back and not hashed, see `write_full`.

    Raises ValueError for settings that exclude each other, MissingTorch, OSError where the folder can't be made.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        keep_last: int | None = 3,
        keep_every: int | None = None,
        best: tuple[str, Direction] | None = None,
        save_every: int | None = None,
        background: bool = False,
        sharded: bool = False,
        loader: int | Sized | None = None,
        config: Any = None,
        handle_sigterm: bool = False,
        allow_non_finite: Sequence[str] = (),
        verify: Verify = "bytes",
    ) -> None:
        need_torch()
        if keep_last is not None and keep_last < 1:
            raise ValueError("keep_last must be at least 1: the last good checkpoint is never deleted")
        if best is not None and best[1] not in ("down", "up"):
            raise ValueError(f"the direction of best is 'down' or 'up', not {best[1]!r}")
        if background and sharded:
            raise ValueError("sharded checkpoints are not written in the background: choose one of the two")
        checked_choice(verify, sharded=sharded)
        self.folder = Path(folder)
        self.verify: Verify = verify
        self.keep_last, self.keep_every, self.save_every = keep_last, keep_every, save_every
        self.metric = best
        self.sharded, self.allow_non_finite = sharded, tuple(allow_non_finite)
        self.stop = StopSignal()
        self._facts = facts_of(loader, config, None)
        self._store = Store(self.folder)
        self._snapshot = Snapshot() if background else None
        self._background = Background()
        self._before: dict[str, tuple[int, ...]] | None = None
        if ranks.rank() == 0:
            self.folder.mkdir(parents=True, exist_ok=True)
            atomic.clean(self.folder, own=not _open_elsewhere(self))
        _open.add(self)
        if handle_sigterm:
            self.stop.install()

    def save(
        self,
        *,
        step: int,
        model: Any = None,
        optimizer: Any = None,
        scheduler: Any = None,
        scaler: Any = None,
        ema: Any = None,
        extra: Mapping[str, Any] | None = None,
        epoch: float | None = None,
        rng: bool = True,
        metrics: Mapping[str, float] | None = None,
        allow_changes: bool = False,
    ) -> Path:
        """Write the checkpoint of a step; its folder. Arguments as of `runvet.checkpoints.save`.

        A state that lost tensors which the checkpoint before had is refused, unless `allow_changes`. In the background,
        it returns once the state is copied. Raises as `save`, also for the background's save before.
        """
        self.wait()
        parts = Parts(model, optimizer, scheduler, scaler, ema, extra, step, epoch, rng)
        final = self._store.path(step)
        before = None if allow_changes or ranks.rank() else self._former()
        gathered = collected_parts(parts, sharded=self.sharded, offload=self._snapshot is None, before=before)
        facts = replace(
            self._facts,
            metrics={name: float(value) for name, value in (metrics or {}).items()},
            world_size=ranks.world(),
            after=self._store.newest() if ranks.rank() == 0 else 0.0,
        )
        if self.sharded:
            write_sharded(final, gathered.state, facts)
            self._saved(gathered)
        elif self._snapshot is not None:
            self._in_background(final, gathered, facts)
        else:
            self._together(final, gathered, facts)
        return final

    def after_step(self, step: int, *, save: bool = False, **parts: Any) -> bool:
        """Save where `save_every` divides the step, where `save` says so, or after a SIGTERM; True: stop training now.

        With several ranks, all agree on whether a signal came to any of them, which costs one small exchange a step
        where signals are handled. After a SIGTERM the checkpoint is on the disk when this returns.
        """
        stopping = any(ranks.collected(self.stop.came)) if self.stop.listening else False
        due = save or (bool(self.save_every) and step > 0 and step % (self.save_every or 1) == 0)
        if stopping or due:
            self.save(step=step, **parts)
        if stopping:
            self.wait()
        return stopping

    def latest(self) -> Path | None:
        """The checkpoint written last whose files have the sizes that its manifest says; None where there is none."""
        self._background.join()
        good = [e for e in self._entries() if e.good]
        return self.folder / max(good, key=lambda e: (e.created, e.step)).name if good else None

    def best(self) -> Path | None:
        """The checkpoint with the best metric; None where none was measured. Raises ValueError without `best=`."""
        self._background.join()
        if self.metric is None:
            raise ValueError("which is best? Make the manager with best=('val/loss', 'down'), for example")
        top = best(self._entries(), self.metric[1])
        return self.folder / top.name if top else None

    def trusted(self) -> Path | None:
        """The checkpoint written last whose bytes are all as its manifest says (SHA-256); None where there is none."""
        self._background.join()
        for each in sorted(self._entries(), key=lambda e: (e.created, e.step), reverse=True):
            if each.good and not manifests.check(self.folder / each.name / manifests.NAME):
                return self.folder / each.name
        return None

    def load(self, path: str | Path | None = None, **options: Any) -> dict[str, Any]:
        """The state of a checkpoint, by default the trusted one; see `runvet.checkpoints.load`. FileNotFoundError if none."""
        found = self._chosen(path)
        return load(found, verify=path is not None, **options)

    def restore(self, path: str | Path | None = None, **parts: Any) -> dict[str, Any]:
        """Put a checkpoint, by default the trusted one, back into a training; see `runvet.checkpoints.restore`.

        Without any checkpoint it does nothing and returns an empty dictionary, so that a first start needs no case.
        """
        found = ranks.told(self._found(path) if ranks.rank() == 0 else None)
        return {} if found is None else restore(found, verify=path is not None, **parts)

    def wait(self) -> None:
        """Wait for the save in the background. Raises its error, on every rank."""
        if self._snapshot is not None:
            ranks.together(self._background.wait)

    def close(self) -> None:
        """Wait, and give SIGTERM back."""
        try:
            self.wait()
        finally:
            self.stop.remove()
            _open.discard(self)

    def __enter__(self) -> CheckpointManager:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
            return
        self._background.join()  # the others may not come here: no exchange with them
        self.stop.remove()
        _open.discard(self)

    def _together(self, final: Path, gathered: Gathered, facts: Facts) -> None:
        def write() -> None:
            if ranks.rank() == 0:
                self._write(final, gathered, facts, gathered.state)

        ranks.together(write)

    def _in_background(self, final: Path, gathered: Gathered, facts: Facts) -> None:
        if ranks.rank() != 0 or self._snapshot is None:
            return
        state = self._snapshot.take(gathered.state, gathered.live)
        self._background.start(lambda: self._write(final, gathered, facts, state))

    def _write(self, final: Path, gathered: Gathered, facts: Facts, state: Mapping[str, Any]) -> Manifest:
        refuse_non_finite(state, self.allow_non_finite)
        manifest = write_full(final, state, facts, self.verify)
        self._saved(gathered)
        return manifest

    def _saved(self, gathered: Gathered) -> None:
        """A checkpoint is complete and verified: now older ones may go."""
        if ranks.rank() != 0:
            return
        self._before = judged_shapes(gathered.state)
        direction = self.metric[1] if self.metric else None
        for each in superfluous(
            self._entries(), keep_last=self.keep_last, keep_every=self.keep_every, direction=direction
        ):
            atomic.remove(self.folder / each.name)

    def _former(self) -> dict[str, tuple[int, ...]]:
        if self._before is None:
            self._before = self._store.shapes()
        return self._before

    def _entries(self) -> list[Entry]:
        return self._store.entries(self.metric[0] if self.metric else None)

    def _found(self, path: str | Path | None) -> Path | None:
        return Path(path) if path is not None else self.trusted()

    def _chosen(self, path: str | Path | None) -> Path:
        found = self._found(path)
        if found is None:
            raise FileNotFoundError(f"no good checkpoint in {self.folder}")
        return found


_open: weakref.WeakSet[CheckpointManager] = weakref.WeakSet()


def _open_elsewhere(manager: CheckpointManager) -> bool:
    """Whether another manager of this process may be writing into the same folder."""
    return any(m.folder.absolute() == manager.folder.absolute() for m in _open)
