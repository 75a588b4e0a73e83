"""CKPT117 checkpoints-elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from runvet import examples
from runvet.evidence.save_places import Place, SavePlaces, outside
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Event, Run

VOLATILE = ("/tmp", "/var/tmp", "/dev/shm", "/private/tmp")  # noqa: S108  (paths that a log names, none is opened)
_GLUED = re.compile(r"(?i)^(?:checkpoint|ckpt|model|best|last|latest|final|epoch|step|weights|state|snapshot|net)")


@rule("CKPT117", "checkpoints-elsewhere", level="warning", since="0.1")
def checkpoints_elsewhere(places: SavePlaces) -> Sick | None:
    """Checkpoints are written somewhere else than into the folder of the run.

    ## What it checks
    The files that the log says were saved, and the folder for checkpoints in the configuration: a path that is the
    run's folder and the file's name without a slash between them; a path below a folder that the system empties
    (`/tmp`, `/dev/shm`); a path outside the run's own folder. The last two only where the folder that is read holds no
    checkpoint, and the last only where that folder is the one which the run names as its own.
    ## Why it matters
    Two runs write over each other's files one level up; what lies in a temporary folder is gone after a restart of the
    machine; a folder that is archived without its weights cannot be resumed.
    ## What to do
    Join paths with `os.path.join` or `pathlib`, and write below the run's folder.
    ## When to ignore it
    Weights are kept on another disk on purpose.
    ## Known limits
    Paths relative to an unknown directory are not judged. Remote stores are left alone.
    ## References
    - Failure reports: a log whose checkpoints lie beside their folder, as `runs/trainbest.pth` for `runs/train/best.pth`.
    """
    glued = next((found for p in places.saved if (found := _glued(p, places))), None)
    if glued is not None:
        place, folder = glued
        meant = f"{folder}/{place.path[len(folder) :]}"
        return _sick(
            place, places, f"checkpoints are saved as {place.path}: a slash is missing, {meant} was meant", meant
        )
    if places.kept:
        return None
    stated = [*places.saved[-1:], *places.folders[:1]]
    for place in stated:
        if place.path.startswith(tuple(f"{v}/" for v in VOLATILE)) and not places.path.startswith(VOLATILE):
            text = f"checkpoints are saved below {'/'.join(place.path.split('/')[:3])}, which does not outlive the machine: {place.path}"
            return _sick(place, places, text, places.home.path if places.home else "the run's folder")
    home = places.home
    if home is None or not stated or outside(stated[0].path, home.path) is not True:
        return None
    return _sick(
        stated[0],
        places,
        f"checkpoints are saved to {stated[0].path}, outside the run's folder {home.path}, which holds none",
        home.path,
    )


def _glued(place: Place, places: SavePlaces) -> tuple[Place, str] | None:
    """The folder that a saved file's path begins with where the slash behind it was forgotten."""
    for folder in (*places.folders, *places.homes):
        rest = place.path[len(folder.path) :] if place.path.startswith(folder.path) else ""
        if "/" not in rest and _GLUED.match(rest):
            return place, folder.path
    name = PurePosixPath(place.path).name
    for own in places.names:
        # A name of one word may be the beginning of another word.
        if len(re.findall(r"[A-Za-z0-9]+", own)) > 1 and name.startswith(own) and _GLUED.match(name[len(own) :]):
            return place, place.path[: len(place.path) - len(name) + len(own)]
    return None


def _sick(place: Place, places: SavePlaces, message: str, where: str) -> Sick:
    return Sick(
        message,
        evidence=(
            Measure("path of the checkpoint", place.path, None, place.where),
            *((Measure("the run's folder", places.home.path, None, places.home.where),) if places.home else ()),
            Measure("checkpoints in the folder that was read", places.kept, None, places.path),
        ),
        since_step=place.step,
        innocent="the weights are kept in another place on purpose, and are safe there",
        actions=(Action(f"Write checkpoints below {where}, and move those that are there", "minutes", "change"),),
    )


def _run(saved: str, checkpoints: int = 0, **settings: Any) -> Run:
    event: Event = examples.event("checkpoint-saved", f"Saved model to {saved}", line=90, value=saved, step=400.0)
    stage = examples.stage(loss=examples.decay(1000), console=True, events=[event], settings=settings)
    return examples.run(stage, checkpoints=examples.training((200, 400)[:checkpoints]))


def sick() -> Iterator[Run]:
    """A forgotten slash, with and without files; a temporary folder; another folder than the run's own."""
    yield _run("runs/traincheckpoint.pth", save_dir="runs/train")
    yield _run("out/city/small_city_traincheckpoint.pth.tar", 2, cfg="configs/small_city_train.yaml")
    yield _run("/tmp/out/model_400.pt")  # noqa: S108
    yield _run("/scratch/weights/model_400.pt", output_dir="/data/runs/example")
    yield _run("weights/model_400.pt", log_dir="runs/example")


def healthy() -> Iterator[Run]:
    """In the run's folder, in every way to write it; a prefix with a separator; a log that was copied alone; an unknown directory."""
    yield _run("/data/runs/example/ckpt/model_400.pt", output_dir="/data/runs/example")
    yield _run("./runs/example/model_400.pt", output_dir="/home/ada/runs/example")
    yield _run("/home/ada/runs/example/model_400.pt", log_dir="runs/example/")
    yield _run("runs/train_best.pth", save_dir="runs/train")
    yield _run("/scratch/weights/model_400.pt", 2, output_dir="/data/runs/example")
    yield _run("/scratch/weights/model_400.pt", output_dir="/data/runs/another")
    yield _run("model_400.pt", output_dir="/data/runs/example")
