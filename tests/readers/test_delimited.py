"""Delimited tables as the tools write them, and as crashes leave them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as fuzz
from hypothesis import strategies as st
from reading import claim, matches, read, reader_of, series, settings, write

from runvet.source import describe
from shared import shared

LIGHTNING = "epoch,step,train_loss,val_loss\n0,9,1.5,\n0,9,,1.4\n1,19,1.25,\n1,19,,1.1\n"
TMP = HealthCheck.function_scoped_fixture


def test_lightning_blanks_are_not_logged(tmp_path: Path) -> None:
    log = read("delimited", write(tmp_path, "metrics.csv", LIGHTNING))
    found = series(log)
    assert list(found) == ["train_loss", "val_loss"]
    assert found["val_loss"].value.tolist() == [1.4, 1.1]
    assert found["val_loss"].step.tolist() == [9, 19]
    assert found["val_loss"].epoch.tolist() == [0, 1]
    assert found["val_loss"].line.tolist() == [3, 5]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_delimiter_as_the_csv_module_writes_it(tmp_path: Path, delimiter: str) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(["step", "a loss, with commas", "note"])
    writer.writerows([i, i / 7, 'said "x", twice'] for i in range(50))
    path = write(tmp_path, "log.csv", text.getvalue())
    assert claim("delimited", path) > 0.8
    found = series(read("delimited", path))
    assert list(found) == ["a loss, with commas"]
    assert np.array_equal(found["a loss, with commas"].value, np.arange(50) / 7)


def test_columns_aligned_by_blanks(tmp_path: Path) -> None:
    path = write(
        tmp_path, "log.txt", "  step   loss   acc\n     1   0.50  0.10\n    10   0.25  0.90\n   100   nan   1.00\n"
    )
    assert claim("delimited", path) > 0.5
    found = series(read("delimited", path))
    assert found["loss"].step.tolist() == [1, 10, 100]
    assert np.isnan(found["loss"].last)


def test_decimal_commas(tmp_path: Path) -> None:
    log = read("delimited", write(tmp_path, "log.csv", "epoch;loss\n1;0,5\n2;0,25\n3;1,5e-3\n"))
    assert series(log)["loss"].value.tolist() == [0.5, 0.25, 0.0015]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "latin-1"])
def test_encodings_and_crlf(tmp_path: Path, encoding: str) -> None:
    text = "étape loss".replace(" ", ",") + "\r\n" + "".join(f"{i},{i / 2}\r\n" for i in range(200))
    data = text.replace("étape", "step,é").replace(",é,", ",").encode(encoding)
    found = series(read("delimited", write(tmp_path, "log.csv", data)))
    assert found["loss"].value.tolist() == [i / 2 for i in range(200)]
    assert found["loss"].step[-1] == 199


def test_non_finite_values_are_kept(tmp_path: Path) -> None:
    found = series(read("delimited", write(tmp_path, "log.csv", "step,loss\n0,1\n1,nan\n2,inf\n3,-Infinity\n4,\n")))
    assert (len(found["loss"]), found["loss"].non_finite) == (4, 3)


def test_header_written_again_and_changed_in_the_middle(tmp_path: Path) -> None:
    text = "step,loss\n1,0.5\nstep,loss\n1,0.4\nstep,loss,lr\n2,0.3,0.01\n"
    log = read("delimited", write(tmp_path, "log.csv", text))
    assert series(log)["loss"].value.tolist() == [0.5, 0.4, 0.3]
    assert series(log)["lr"].step.tolist() == [2]
    assert [seam.line for seam in log.seams] == [3, 5]


def test_torn_rows_are_named_and_left_out(tmp_path: Path) -> None:
    text = "step,loss,lr\n1,0.512345,0.001\n2,0.51\n3,0.487654,0.001\n4,0.4765"
    log = read("delimited", write(tmp_path, "log.csv", text))
    assert series(log)["loss"].step.tolist() == [1, 3]
    assert sorted(p.line for p in log.problems) == [3, 5]


def test_last_row_without_a_newline_counts_unless_it_looks_cut(tmp_path: Path) -> None:
    whole = read("delimited", write(tmp_path, "a.csv", "step,loss\n1,0.51234\n2,0.41234"))
    assert len(series(whole)["loss"]) == 2
    cut = read("delimited", write(tmp_path, "b.csv", "step,loss\n1,0.51234\n2,4"))
    assert len(series(cut)["loss"]) == 1
    assert cut.problems[0].line == 3


def test_monitor_of_stable_baselines3(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "0.monitor.csv",
        '#{"t_start": 17.5, "env_id": "CartPole-v1"}\nr,l,t\n34.0,34,1.0\n9.0,9,1.2\n8,8,1.4\n',
    )
    assert claim("delimited", path) > 0.9
    log = read("delimited", path)
    assert settings(log)["env_id"] == "CartPole-v1"
    assert series(log)["r"].time.tolist() == [1.0, 1.2, 1.4]


def test_chart_export_of_wandb_has_no_copies(tmp_path: Path) -> None:
    head = '"Step","a - train/loss","a - train/loss__MIN","a - train/loss__MAX","b - train/loss"\n'
    log = read("delimited", write(tmp_path, "export.csv", head + '"0","1.5","1.5","1.5",""\n"1","1.25","1","2","7"\n'))
    assert {n: s.value.tolist() for n, s in series(log).items()} == {
        "a - train/loss": [1.5, 1.25],
        "b - train/loss": [7],
    }


def test_time_is_a_clock_only_where_it_grows(tmp_path: Path) -> None:
    grows = "epoch,time,train/box_loss\n1,2.5,0.5\n2,5.1,0.4\n3,7.7,0.3\n"
    found = series(read("delimited", write(tmp_path, "results.csv", grows)))
    assert list(found) == ["train/box_loss"]
    assert found["train/box_loss"].time.tolist() == [2.5, 5.1, 7.7]
    durations = "epoch,train_loss,time\n0,2.1,00:12\n1,1.7,01:02\n2,1.6,00:11\n"
    found = series(read("delimited", write(tmp_path, "history.csv", durations)))
    assert found["time"].value.tolist() == [12, 62, 11]
    assert np.isnan(found["train_loss"].time).all()


def test_dates_become_seconds(tmp_path: Path) -> None:
    text = "timestamp,step,loss\n2024-05-01 10:00:00,1,0.5\n2024-05-01T10:00:30Z,2,0.4\n"
    time = series(read("delimited", write(tmp_path, "log.csv", text)))["loss"].time
    assert time[1] - time[0] == 30
    assert time[0] == 1_714_557_600


def test_steps_that_start_again_each_epoch_count_on(tmp_path: Path) -> None:
    rows = "".join(f"{e},{b},{1 / (1 + e * 4 + b)}\n" for e in range(3) for b in range(4))
    found = series(read("delimited", write(tmp_path, "log.csv", "epoch,batch,loss\n" + rows)))
    assert found["loss"].step.tolist() == list(range(12))


def test_a_restart_stays_a_restart(tmp_path: Path) -> None:
    text = "epoch,step,loss\n" + "".join(f"{i // 10},{i},1\n" for i in [*range(30), *range(20, 40)])
    step = series(read("delimited", write(tmp_path, "log.csv", text)))["loss"].step
    assert step.tolist() == [*range(30), *range(20, 40)]


def test_words_keep_train_and_validation_apart(tmp_path: Path) -> None:
    text = "epoch,phase,loss\n0,train,0.5\n0,val,0.75\n1,train,0.25\n1,val,1.5\n"
    found = {n: s.value.tolist() for n, s in series(read("delimited", write(tmp_path, "log.csv", text))).items()}
    assert found == {"loss": [0.5, 0.25], "val/loss": [0.75, 1.5]}


def test_long_tables_become_series(tmp_path: Path) -> None:
    text = "metric,step,value\nloss,1,0.5\nacc,1,0.1\nloss,2,0.25\nacc,2,0.75\n"
    found = {n: s.value.tolist() for n, s in series(read("delimited", write(tmp_path, "log.csv", text))).items()}
    assert found == {"loss": [0.5, 0.25], "acc": [0.1, 0.75]}


def test_tensorboard_download_is_named_by_its_file(tmp_path: Path) -> None:
    path = write(
        tmp_path, "run-a-tag-train_loss.csv", "Wall time,Step,Value\n1700000000.5,0,1.5\n1700000001.5,1,1.25\n"
    )
    found = series(read("delimited", path))
    assert found["train_loss"].step.tolist() == [0, 1]
    assert found["train_loss"].time.tolist() == [1700000000.5, 1700000001.5]


def test_index_column_of_a_data_frame_is_no_metric(tmp_path: Path) -> None:
    found = series(read("delimited", write(tmp_path, "h.csv", ",loss,val_loss\n0,0.5,0.75\n1,0.25,0.5\n")))
    assert list(found) == ["loss", "val_loss"]


def test_nul_bytes_are_named_and_skipped(tmp_path: Path) -> None:
    data = b"step,loss\n1,0.5\n" + b"\0" * 64 + b"2,0.25\n"
    log = read("delimited", write(tmp_path, "log.csv", data))
    assert series(log)["loss"].value.tolist() == [0.5, 0.25]
    assert log.problems[0].offset == 16


def test_cut_off_gzip_gives_what_is_there(tmp_path: Path) -> None:
    text = "step,loss\n" + "".join(f"{i},{(i * 7919) % 1000 / 1000}\n" for i in range(200_000))
    packed = gzip.compress(text.encode())
    log = read("delimited", write(tmp_path, "log.csv.gz", packed[: len(packed) * 3 // 4]))
    assert len(series(log)["loss"]) > 100_000
    assert any("packed data end early" in p.why for p in log.problems)


def test_thousands_of_columns(tmp_path: Path) -> None:
    names = ",".join(f"layer{i}/grad_norm" for i in range(3_000))
    rows = "".join(f"{r}," + ",".join(str(r + i) for i in range(3_000)) + "\n" for r in range(5))
    found = series(read("delimited", write(tmp_path, "log.csv", f"step,{names}\n{rows}")))
    assert len(found) == 3_000
    assert found["layer2999/grad_norm"].last == 3003


def test_blocks_join_without_a_seam(tmp_path: Path) -> None:
    text = "step,loss,val\n" + "".join(f"{i},{i / 3},{i if i % 100 == 0 else ''}\n" for i in range(200_000))
    found = series(read("delimited", write(tmp_path, "log.csv", text)))
    assert np.array_equal(found["loss"].value, np.arange(200_000) / 3)
    assert np.array_equal(found["loss"].line, np.arange(2, 200_002))
    assert np.array_equal(found["val"].step, np.arange(0, 200_000, 100))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "filename,label\na.png,cat\nb.png,dog\n"),
        ("boxes.csv", "image,x,y,w,h\na.png,1,2,3,4\nb.png,2,3,4,5\n"),
        ("notes.txt", "This is a text, with commas,\nand lines, of prose,\nand nothing, else, here\n"),
        ("data.csv", ""),
    ],
)
def test_other_tables_are_not_claimed(tmp_path: Path, name: str, text: str) -> None:
    assert claim("delimited", write(tmp_path, name, text)) == 0


@fuzz(max_examples=150, deadline=None, suppress_health_check=[TMP])
@given(data=st.binary(max_size=400) | st.text(max_size=400).map(lambda t: t.encode("utf-8", "replace")))
@example(data=b'step,loss\n1,\x002\n\r\r,,,\n"')
@example(data=b"\xff\xfe1\x00,\x00")
def test_any_bytes_are_survived(tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path, "fuzz.csv", data)
    assert 0 <= claim("delimited", path) <= 1
    read("delimited", path)


@fuzz(max_examples=100, deadline=None, suppress_health_check=[TMP])
@given(at=st.integers(0, len(LIGHTNING)), junk=st.binary(max_size=12), drop=st.integers(0, 30))
def test_damaged_logs_keep_the_rows_before_the_damage(tmp_path: Path, at: int, junk: bytes, drop: int) -> None:
    data = LIGHTNING.encode()
    log = read("delimited", write(tmp_path, "m.csv", data[:at] + junk + data[at + drop :]))
    whole = data[:at].count(b"\n") - 1  # data rows in front of the damage
    if whole >= 3:
        assert series(log)["train_loss"].value[0] == 1.5


@pytest.mark.shared
def test_corpus_of_csv_logs() -> None:
    for folder in ("corpus/logs3",):
        labels = json.loads((shared(folder) / "LABELS.json").read_text())
        checked = 0
        for name, label in labels.items():
            if name.endswith(".csv"):
                log = read("delimited", shared(folder) / name)
                for metric, truth in label["read"].items():
                    assert matches(log, metric, truth), (name, metric)
                    checked += 1
        assert checked > 20


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "file"),
    [
        ("wandb_exports", "history.csv"),
        ("keras_run", "training.csv"),
        ("sb3_run", "progress.csv"),
        ("fastai_run", "history.csv"),
        ("lightning_run", "logs/csv/version_0/metrics.csv"),
    ],
)
def test_artifacts(folder: str, file: str) -> None:
    truth = json.loads((shared("corpus/artifacts") / "truth.json").read_text())[folder]["metrics"]
    log = read("delimited", shared(f"corpus/artifacts/{folder}/{file}"))
    assert [name for name, wanted in truth.items() if not matches(log, name, wanted)] == []


def test_a_quote_that_is_not_closed_costs_no_rows(tmp_path: Path) -> None:
    rows = ["step,loss,note", *(f"{i},{1 / (i + 1):.5f},ok" for i in range(3_000))]
    rows[11] = '10,0.09,"abc'
    rows[500] = '499,0.002,"two\nlines, of text"'
    log = read("delimited", write(tmp_path, "log.csv", "\n".join(rows) + "\n"))
    assert series(log)["loss"].total == 3_000
    assert [p.line for p in log.problems] == [12]
    assert "quote" in log.problems[0].why


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("per_sample.csv", "id,loss,correct\nimg_0,0.1,1\nimg_1,0.2,1\nimg_2,0.3,0\n"),
        ("roc.csv", "threshold,tpr,accuracy\n1.0,0.0,0.5\n0.9,0.1,0.6\n0.8,0.3,0.7\n"),
        ("data/train.csv", "policy,age,score,loss\n0,42,317.0,23.59\n2,21,603.1,29.48\n4,23,302.3,34.52\n"),
        ("words.csv", "scene,psnr,ssim\nbonsai,30.1,0.9\ngarden,27.0,0.8\nroom,31.5,0.92\n"),
    ],
)
def test_tables_of_items_are_no_curves(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    assert reader_of("delimited").claims(describe(write(tmp_path, name, text), name)) == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data/metrics.csv", "step,loss\n0,1.5\n1,1.2\n2,1.1\n"),
        ("days.csv", "date,loss\n2026-01-01,1.5\n2026-01-02,1.2\n2026-01-03,1.1\n"),
        ("loss.csv", "loss,acc\n1.5,0.1\n1.2,0.3\n1.1,0.4\n"),
    ],
)
def test_tables_of_moments_stay_curves(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    assert reader_of("delimited").claims(describe(write(tmp_path, name, text), name)) > 0
