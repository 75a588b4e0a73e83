"""Which files tell of one training: folders as tools leave them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import runvet
from runvet.api import read
from runvet.joining import key
from runvet.stages import home_of


def curve(n: int, seed: int = 0, start: float = 4.0) -> list[float]:
    noise = np.random.default_rng(seed).standard_normal(n)
    return [float(v) for v in np.round(start * np.arange(1, n + 1) ** -0.3 * (1 + 0.05 * noise), 6)]


def write_csv(path: Path, steps: list[int], **columns: list[float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["step", *columns])
        rows.writerows(zip(steps, *columns.values(), strict=True))


def write_json(path: Path, steps: list[int], name: str, values: list[float]) -> None:
    path.write_text(json.dumps([{"step": s, name: v} for s, v in zip(steps, values, strict=True)]))


def test_the_same_rows_in_two_formats_are_one_stage(tmp_path: Path) -> None:
    steps, loss = list(range(200)), curve(200)
    write_csv(tmp_path / "logs" / "dynamics_history_2pghxx71_latest.csv", steps, loss=loss)
    write_json(tmp_path / "logs" / "dynamics_history_2pghxx71_latest.json", steps, "loss", loss)
    run = read(tmp_path)
    (stage,) = run.stages
    (series,) = stage.series
    assert len(series) == 200
    assert len(stage.logs) == 2, "export still sees both files"


def test_files_with_distinguishing_words_are_stages_with_their_own_configuration(tmp_path: Path) -> None:
    for number, name in enumerate(("tokenizer", "dynamics")):
        write_csv(tmp_path / "Logs" / f"{name}_history_ab12cd34.csv", list(range(100)), loss=curve(100, number))
        folder = tmp_path / "results" / "2026_02_04" / name
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(f"n_updates: {1000 * (number + 1)}\n")
    run = read(tmp_path)
    planned = {s.name: setting.value for s in run.stages if (setting := s.setting("n_updates"))}
    assert planned == {"tokenizer": 1000, "dynamics": 2000}


def test_a_resumed_version_continues_the_first(tmp_path: Path) -> None:
    write_csv(
        tmp_path / "lightning_logs" / "version_0" / "metrics.csv", list(range(0, 1000, 10)), train_loss=curve(100)
    )
    write_csv(
        tmp_path / "lightning_logs" / "version_1" / "metrics.csv",
        list(range(980, 2000, 10)),
        train_loss=curve(102, 1, 1.0),
    )
    run = read(tmp_path)
    (stage,) = run.stages
    (series,) = stage.series
    assert len(series) == 202
    assert sorted(set(series.segment.tolist())) == [0, 1]
    assert series.files == ("lightning_logs/version_0/metrics.csv", "lightning_logs/version_1/metrics.csv")


def test_independent_versions_are_stages(tmp_path: Path) -> None:
    for version in (0, 1):
        write_csv(tmp_path / f"version_{version}" / "metrics.csv", list(range(100)), train_loss=curve(100, version))
    assert [s.name for s in read(tmp_path).stages] == ["version_0", "version_1"]


def test_crowds_of_equal_settings_files_are_data(tmp_path: Path) -> None:
    write_csv(tmp_path / "metrics.csv", list(range(50)), loss=curve(50))
    for number in range(30):
        folder = tmp_path / "dataset" / f"sample_{number:04d}"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"epochs": number, "lr": 0.1}))
    run = read(tmp_path)
    assert run.stages[0].setting("epochs") is None
    assert sum("data, not configuration" in i.why for i in run.ignored) == 30


def test_a_file_alone_is_a_run(tmp_path: Path) -> None:
    write_csv(tmp_path / "metrics.csv", list(range(50)), loss=curve(50))
    run = read(tmp_path / "metrics.csv")
    assert [s.name for s in run.stages] == ["metrics.csv"]


def test_links_are_read_once(tmp_path: Path) -> None:
    write_csv(tmp_path / "run-1" / "metrics.csv", list(range(50)), loss=curve(50))
    (tmp_path / "latest.csv").symlink_to(tmp_path / "run-1" / "metrics.csv")
    assert len(read(tmp_path).readers) == 1


@pytest.mark.parametrize(
    ("source", "home", "label", "prefix"),
    [
        ("train.log", (), "", ""),
        ("Logs/dynamics_history_2pghxx71_latest.csv", (), "dynamics", ""),
        ("lightning_logs/version_3/metrics.csv", ("version_3",), "", ""),
        ("run/train/events.out.tfevents.1.host.2.0", (), "", "train"),
        ("mlruns/0/abc/metrics/odd/value", ("mlruns", "0", "abc"), "", ""),
        ("checkpoint-20/trainer_state.json", (), "", ""),
        ("seed_1/out.txt", ("seed_1",), "", ""),
    ],
)
def test_homes(source: str, home: tuple[str, ...], label: str, prefix: str) -> None:
    assert home_of(source) == (home, label, prefix)


def test_names_compare_across_tools() -> None:
    assert key("Train/Loss") == key("train_loss") == key("train.loss")


def test_the_sparse_copy_of_a_curve_is_not_a_curve_of_its_own(tmp_path: Path) -> None:
    loss = curve(300)
    write_csv(tmp_path / "metrics.csv", list(range(300)), train_loss=loss)
    lines = [f"step {s + 1}/300 | loss {loss[s]:.3f}" for s in range(0, 300, 10)]
    (tmp_path / "train.log").write_text("\n".join(lines) + "\n")
    (stage,) = read(tmp_path).stages
    assert [s.name for s in stage.series if s.role == "train_loss"] == ["train_loss"]


def test_a_chart_export_of_two_runs_is_two_stages(tmp_path: Path) -> None:
    path = tmp_path / "wandb_export.csv"
    a, b = curve(120), curve(120, 1)
    rows = [f'{s},"{x}","{y if s < 90 else ""}"' for s, x, y in zip(range(120), a, b, strict=True)]
    path.write_text('"Step","small - train/loss","large - train/loss"\n' + "\n".join(rows) + "\n")
    stages = read(path).stages
    assert [(s.name, s.series[0].role, len(s.series[0])) for s in stages] == [
        ("small", "train_loss", 120),
        ("large", "train_loss", 90),
    ]
    assert stages[0].series[0].name == "small - train/loss"


def test_many_folds_get_names_by_their_folders(tmp_path: Path) -> None:
    for i in range(6):
        folder = tmp_path / f"exp{i}" / "fold1"
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text("step,loss\n" + "".join(f"{s},{1 / (s + i + 1):.4f}\n" for s in range(30)))
    assert sorted(s.name for s in runvet.read(tmp_path).stages) == [
        "exp1/fold1",
        "exp2/fold1",
        "exp3/fold1",
        "exp4/fold1",
        "exp5/fold1",
        "fold1",
    ]


def test_a_link_to_a_folder_elsewhere_is_told(tmp_path: Path) -> None:
    real, run = tmp_path / "real", tmp_path / "run"
    (real / "logs").mkdir(parents=True)
    run.mkdir()
    (real / "logs" / "metrics.csv").write_text("step,loss\n1,2\n2,1\n")
    (run / "logs").symlink_to(real / "logs")
    (run / "loop").symlink_to(run)
    report = runvet.check(run)
    assert "logs is a link to a folder elsewhere" in report.why_not_judged
    assert [i.source for i in runvet.read(run).ignored] == ["logs"]


def test_a_folder_called_train_says_nothing_where_names_tell_the_splits(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "detect" / "train"
    folder.mkdir(parents=True)
    rows = "\n".join(f"{e},{2 - e / 10},{2.1 - e / 10},{e / 20}" for e in range(10))
    (folder / "results.csv").write_text(f"epoch,train/box_loss,val/box_loss,metrics/mAP50(B)\n{rows}\n")
    (series,) = (s for s in read(tmp_path).stages[0].series if "mAP" in s.name)
    assert (series.name, series.split) == ("metrics/mAP50(B)", None)
