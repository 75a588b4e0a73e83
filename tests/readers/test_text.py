"""Text logs as programs print them: positions, names, phases, units, ranks, restarts."""

from __future__ import annotations

import io
import logging
import math
from pathlib import Path

import pytest
from text_logs import events, read_text, series, settings, steps, values

from runvet.readers.text import reader
from runvet.source import describe


def names(log: object) -> set[str]:
    return {s.name for s in log.series}  # type: ignore[attr-defined]


def test_keys_with_colon_equals_sign_and_blank(tmp_path: Path) -> None:
    log = read_text(tmp_path, "step 1: loss 0.5, lr=1e-3 grad_norm: 2\nstep 2: loss 0.25, lr=9e-4 grad_norm: 3\n")
    assert values(log, "loss") == [0.5, 0.25]
    assert values(log, "lr") == [1e-3, 9e-4]
    assert values(log, "grad_norm") == [2, 3]
    assert steps(log, "loss") == [1, 2]
    assert series(log, "lr").line.tolist() == [1, 2]


def test_value_and_running_mean_are_two_series(tmp_path: Path) -> None:
    log = read_text(
        tmp_path,
        "Epoch: [0]  [ 0/20]  eta: 0:01:00  loss: 0.9 (0.9)\nEpoch: [0]  [10/20]  eta: 0:00:30  loss: 0.5 (0.7)\n",
    )
    assert values(log, "loss") == [0.9, 0.5]
    assert values(log, "loss (mean)") == [0.9, 0.7]
    assert names(log) == {"loss", "loss (mean)"}


def test_batches_within_epochs_become_global_steps(tmp_path: Path) -> None:
    rows = [f"Epoch [{e}/3] Step [{i}/10] Loss: {1 / (10 * e + i):.5f}\n" for e in (1, 2, 3) for i in (5, 10)]
    log = read_text(tmp_path, "".join(rows))
    assert steps(log, "Loss") == [5, 10, 15, 20, 25, 30]
    assert [e.value for e in events(log, "planned-epochs")] == [3]
    assert [e.value for e in events(log, "epoch-length")] == [10]


def test_steps_that_grow_over_epochs_stay(tmp_path: Path) -> None:
    log = read_text(tmp_path, "".join(f"epoch={i // 10} step={i}/30 loss={i}.5\n" for i in range(0, 30, 5)))
    assert steps(log, "loss") == [0, 5, 10, 15, 20, 25]
    assert [e.value for e in events(log, "planned-steps")] == [30]


def test_epoch_length_is_told_again_where_it_changes(tmp_path: Path) -> None:
    head = "".join(f"Epoch: [{e}]  [{i}/50]  loss: 1.{i}\n" for e in (0, 1) for i in (0, 25, 49))
    tail = "".join(f"Epoch: [{e}]  [{i}/40]  loss: 1.{i}\n" for e in (2, 3) for i in (0, 20, 39))
    log = read_text(tmp_path, head + "Killed\n| distributed init (world_size: 5): env://\n" + tail)
    assert [e.value for e in events(log, "epoch-length")] == [50, 40]
    assert [s.line for s in log.seams] == [8]
    assert [e.value for e in events(log, "world-size")] == [5]
    assert len(events(log, "killed")) == 1


def test_lines_without_a_position_stand_at_the_one_before(tmp_path: Path) -> None:
    log = read_text(tmp_path, "".join(f"current step: {i}th step\nbatch loss:{1 / i}\n" for i in range(1, 6)))
    assert steps(log, "batch loss") == [1, 2, 3, 4, 5]


def test_validation_is_kept_apart_and_stands_at_the_last_step(tmp_path: Path) -> None:
    rows = "".join(
        f"Epoch: [{e}][{i}/10] loss: {e}.{i}\n" + (f"Test: [{i}/10] loss: 9.{e}\n" if i == 9 else "")
        for e in (0, 1)
        for i in (0, 9)
    )
    log = read_text(tmp_path, rows)
    assert values(log, "loss") == [0.0, 0.9, 1.0, 1.9]
    assert values(log, "test/loss") == [9.0, 9.1]
    assert steps(log, "test/loss") == [9, 19]


def test_indented_lines_inherit_the_phase_of_their_heading(tmp_path: Path) -> None:
    block = "Epoch {e} [1/5] loss: 0.{e}\nTest Epoch: [{e}] Total time: 0:00:10 loss: 1.{e}\n  mask_loss: 2.{e}\n"
    log = read_text(tmp_path, "".join(block.format(e=e) for e in range(1, 5)))
    assert values(log, "test/mask_loss") == [2.1, 2.2, 2.3, 2.4]
    assert values(log, "loss") == [0.1, 0.2, 0.3, 0.4]


def test_summary_of_an_epoch_is_no_further_point_of_the_curve(tmp_path: Path) -> None:
    rows = "".join(
        f"epoch {e:03d}: {i} / 30 loss=1.{i}, ppl=2.{i}\n" + (f"epoch {e:03d} | loss 5.{e}\n" if i == 20 else "")
        for e in (1, 2)
        for i in (10, 20)
    )
    log = read_text(tmp_path, rows)
    assert values(log, "loss") == [1.10, 1.20, 1.10, 1.20]
    assert values(log, "epoch/loss") == [5.1, 5.2]


def test_dictionaries_of_a_trainer(tmp_path: Path) -> None:
    log = read_text(
        tmp_path,
        "{'loss': 1.5, 'grad_norm': nan, 'learning_rate': 5e-05, 'epoch': 0.1}\n"
        "{'loss': '0.0', 'grad_norm': 'nan', 'learning_rate': '4e-05', 'epoch': '0.2'}\n"
        "{'eval_loss': 1.25, 'eval_runtime': 2.5, 'epoch': 0.2}\n",
    )
    assert values(log, "loss") == [1.5, 0.0]
    assert all(math.isnan(v) for v in values(log, "grad_norm"))
    assert series(log, "grad_norm").non_finite == 2
    assert series(log, "eval_loss").epoch.tolist() == [0.2]


def test_printed_tuples(tmp_path: Path) -> None:
    log = read_text(tmp_path, "".join(f"('{i}.5 %', 'train_loss:', '{i}.25', ' acc:', 0.{i})\n" for i in range(1, 6)))
    assert values(log, "train_loss:") == [1.25, 2.25, 3.25, 4.25, 5.25]


def test_units_lists_arrows_and_arrays(tmp_path: Path) -> None:
    log = read_text(
        tmp_path,
        "".join(
            f"iter {i}: loss nan, time 12.{i}ms, acc 95.{i}%, lr: [0.04{i}], wps=60.{i}K wps, cost 2.5 -> 2.{i}, kl:np.float64(0.{i})\n"
            for i in (1, 2)
        ),
    )
    assert values(log, "time") == [12.1, 12.2]
    assert values(log, "acc") == [95.1, 95.2]
    assert values(log, "lr") == [0.041, 0.042]
    assert values(log, "wps") == [60.1, 60.2]
    assert values(log, "cost") == [2.1, 2.2]
    assert values(log, "kl") == [0.1, 0.2]
    assert series(log, "loss").non_finite == 2


def test_several_languages(tmp_path: Path) -> None:
    log = read_text(tmp_path, "".join(f"第 {i} 轮　训练损失：0.{i}，准确率 9{i}.5%\n" for i in (1, 2)))
    assert values(log, "训练损失") == [0.1, 0.2]
    assert values(log, "准确率") == [91.5, 92.5]
    assert series(log, "训练损失").epoch.tolist() == [1, 2]
    viet = read_text(tmp_path, "Epoch 1\nTổng Loss: 0.5\nEpoch 2\nTổng Loss: 0.4\n".encode(), "b.log")
    assert values(viet, "Tổng Loss") == [0.5, 0.4]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030", "latin-1"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str) -> None:
    word = {"gb18030": "损失值训练日志", "latin-1": "perte é"}.get(encoding, "Verlust ü")
    text = "".join(f"step {i} {word} loss: 0.{i}\r\n" for i in range(1, 40))
    log = read_text(tmp_path, text.encode(encoding))
    (found,) = log.series
    assert found.total == 39
    assert found.line.tolist() == list(range(1, 40))


def test_real_logging_prefixes(tmp_path: Path) -> None:
    formats = (
        "%(asctime)s - %(name)s - %(levelname)s - %(message)s",
        "[%(asctime)s][%(levelname)s] %(message)s",
        "%(asctime)s %(levelname)s %(name)s: %(message)s",
        "%(levelname)s:%(name)s:%(message)s",
        "[%(asctime)s %(levelname)s %(filename)s line %(lineno)d %(process)d] %(message)s",
    )
    for number, form in enumerate(formats):
        stream = io.StringIO()
        logger = logging.Logger(f"my.train{number}", logging.INFO)
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter(form))
        logger.addHandler(handler)
        for i in range(1, 4):
            logger.info("epoch %d loss=%.3f", i, 1 / i)
            logger.warning("epoch %d: a bad sample, loss=999.0", i)
        log = read_text(tmp_path, stream.getvalue(), f"{number}.log")
        assert values(log, "loss") == [1.0, 0.5, 0.333], form
        assert len(events(log, "warning")) == 3 or "asctime" in form
        if "asctime" in form:
            assert abs(series(log, "loss").time[0] - series(log, "loss").time[-1]) < 60


def test_times_are_unix_seconds_or_go_on_past_midnight(tmp_path: Path) -> None:
    log = read_text(tmp_path, "2024-05-01T00:00:10Z step 1 loss 1.0\n2024-05-01T02:00:10+02:00 step 2 loss 0.5\n")
    assert series(log, "loss").time.tolist() == [1714521610.0, 1714521610.0]
    late = read_text(tmp_path, "23:59:50 step 1 loss 1.0\n00:00:10 step 2 loss 0.5\n", "b.log")
    assert late.series[0].time[1] - late.series[0].time[0] == 20


def test_real_progress_bars(tmp_path: Path) -> None:
    tqdm = pytest.importorskip("tqdm").tqdm
    stream = io.StringIO()
    for epoch in range(2):
        bar = tqdm(range(20), desc=f"Epoch {epoch}", file=stream, mininterval=0, miniters=1, ascii=False)
        for i in bar:
            bar.set_postfix(loss=f"{1 / (1 + i + 20 * epoch):.4f}", lr="1.0e-03")
    log = read_text(tmp_path, stream.getvalue())
    assert values(log, "loss") == [round(1 / (1 + i), 4) for i in range(40)]
    assert steps(log, "loss") == list(range(40))
    assert series(log, "loss").epoch.tolist() == [0] * 20 + [1] * 20


def test_keras_like_bar_gives_its_last_state(tmp_path: Path) -> None:
    text = ""
    for epoch in (1, 2):
        text += f"Epoch {epoch}/2\n"
        text += "".join(f"{i}/4 [{'=' * i}>....] - ETA: 0s - loss: {9 - i}.0000" + "\b" * 40 for i in range(1, 4))
        text += f"4/4 [==============================] - 1s 5ms/step - loss: {epoch}.5000 - val_loss: {epoch}.7000\n"
    log = read_text(tmp_path, text)
    assert values(log, "loss") == [1.5, 2.5]
    assert values(log, "val_loss") == [1.7, 2.7]
    assert steps(log, "loss") == [4, 8]


def test_colours_are_removed(tmp_path: Path) -> None:
    log = read_text(
        tmp_path,
        "\x1b[1m\x1b[32mstep 1\x1b[0m loss: \x1b[31m0.5\x1b[0m\n\x1b[1mstep 2\x1b[0m loss: \x1b[31m0.4\x1b[0m\n",
    )
    assert values(log, "loss") == [0.5, 0.4]


def test_tables_under_a_header(tmp_path: Path) -> None:
    log = read_text(
        tmp_path,
        "epoch     train_loss  valid_loss  accuracy  time\n0         0.9         0.8         0.5       00:11\n1         0.7         0.6         0.6       00:12\n",
    )
    assert values(log, "train_loss") == [0.9, 0.7]
    assert values(log, "time") == [11, 12]
    assert series(log, "accuracy").epoch.tolist() == [0, 1]


def test_markdown_tables(tmp_path: Path) -> None:
    log = read_text(tmp_path, "| epoch | loss | val_loss |\n|---|---|---|\n| 1 | 0.5 | 0.6 |\n| 2 | 0.4 | 0.7 |\n")
    assert values(log, "loss") == [0.5, 0.4]
    assert series(log, "val_loss").epoch.tolist() == [1, 2]


def test_boxes_of_names_and_values(tmp_path: Path) -> None:
    box = "--------------------------\n| rollout/    |          |\n|    reward   | {r}     |\n| time/       |          |\n|    total_timesteps | {t} |\n--------------------------\n"
    log = read_text(tmp_path, "".join(box.format(r=f"{i}.5", t=i * 100) for i in (1, 2, 3)))
    assert values(log, "rollout/reward") == [1.5, 2.5, 3.5]
    assert steps(log, "rollout/reward") == [100, 200, 300]


def test_ranges_are_events_and_their_metrics_keep_the_tag(tmp_path: Path) -> None:
    rows = "".join(
        f"[Range] GT: [-1.5, {i}.0] | Pred: [-0.5, 0.{i}] | Loss: 6{i}.5\nEpoch {i}: Loss {i}.5\n" for i in (1, 2, 3)
    )
    log = read_text(tmp_path, rows)
    assert values(log, "Loss") == [1.5, 2.5, 3.5]
    assert values(log, "Range/Loss") == [61.5, 62.5, 63.5]
    assert len(events(log, "range")) == 3


def test_configuration_is_no_metric(tmp_path: Path) -> None:
    text = (
        "Namespace(lr=0.1, epochs=90, data='/d', betas=(0.9, 0.999))\n"
        "MODEL:\n  NAME: resnet\n  DEPTH: 50\n  LOSS_WEIGHT: 2.0\nSOLVER:\n  BASE_LR: 0.01\n  MAX_EPOCH: 12\n  NESTEROV: True\n"
        "Net(\n  (fc): Linear(in_features=160, out_features=100, bias=True)\n)\n"
        "Epoch 1 loss: 0.5\nEpoch 2 loss: 0.4\n"
    )
    log = read_text(tmp_path, text)
    assert names(log) == {"loss"}
    kept = settings(log)
    assert (kept["lr"], kept["epochs"], kept["data"]) == (0.1, 90, "/d")
    assert (kept["MODEL.DEPTH"], kept["SOLVER.BASE_LR"]) == (50, 0.01)


def test_credentials_of_a_configuration_are_not_kept(tmp_path: Path) -> None:
    log = read_text(tmp_path, "Namespace(api_key='abcdef0123456789', lr=0.1)\nstep 1 loss 0.5\n")
    assert "abcdef0123456789" not in repr(log)


def test_traceback_with_its_type_and_restart(tmp_path: Path) -> None:
    text = (
        "nohup: ignoring input\nEpoch 1 loss: 0.5\nEpoch 2 loss: 0.4\n"
        'Traceback (most recent call last):\n  File "/home/me/train.py", line 3, in main\n    step()\n'
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n"
        "nohup: ignoring input\nEpoch 1 loss: 0.6\n"
    )
    log = read_text(tmp_path, text)
    (crash,) = events(log, "traceback")
    assert (crash.value, crash.line, crash.epoch) == ("OutOfMemoryError", 7, 2)
    assert len(events(log, "out-of-memory")) == 1
    assert [e.value for e in events(log, "import-path")] == ["/home/me/train.py"]
    assert [s.line for s in log.seams] == [8]
    assert values(log, "loss") == [0.5, 0.4, 0.6]


@pytest.mark.parametrize(
    ("line", "kind", "value"),
    [
        ("Loaded 0 compatible pretrained parameters from w.pth", "weights-loaded", 0.0),
        ("loaded 120/320 tensors from ckpt.pt", "weights-loaded", 120.0),
        ("missing keys: ['a.weight', 'b.weight']", "weights-missing", 2.0),
        ("Some weights of BertModel were newly initialized: ['pooler.weight']", "weights-missing", 1.0),
        ("=> loaded checkpoint 'out/epoch_3.pth' (epoch 3)", "resume", "out/epoch_3.pth"),
        ("wandb: WARNING Step 5 is less than the current step: 9. Dropping entry", "tracker-dropped", 5.0),
        ("Gradient overflow.  Skipping step, loss scaler reducing loss scale to 32768.0", "loss-scale", 32768.0),
        ("saving checkpoint to out/step_100.pt", "checkpoint-saved", "out/step_100.pt"),
        ("Saved checkpoint to DIR/save_x", "checkpoint-saved", "DIR/save_x"),
        ("checkpoint written: runs/a/last.pth", "checkpoint-saved", "runs/a/last.pth"),
        ("Saving model checkpoint to out/final", "checkpoint-saved", "out/final"),
        ("Wrote checkpoint to ckpts/7/", "checkpoint-saved", "ckpts/7"),
        ("world_size: 8", "world-size", 8.0),
        ("job dir: /runs/a", "work-dir", "/runs/a"),
        ("train.py:3: UserWarning: deprecated", "warning", None),
        ("Error: disk quota exceeded", "error", None),
        ("Training finished", "finished", None),
        ("slurmstepd: error: *** JOB 12 ON n1 CANCELLED AT 2024-01-01T00:00:00 DUE TO TIME LIMIT ***", "killed", None),
        ("New best val loss, model saved", "best", None),
    ],
)
def test_events(tmp_path: Path, line: str, kind: str, value: object) -> None:
    log = read_text(tmp_path, f"{line}\n")
    found = events(log, kind)
    assert found, [e.kind for e in log.events]
    assert found[0].value == value
    assert found[0].line == 1


@pytest.mark.parametrize(
    "line",
    [
        "AUTO_RESUME: False",
        "missing_keys=[]",
        "No checkpoint found, training from scratch",
        "Val L2 Error: 67.4 meters",
    ],
)
def test_lines_that_tell_of_nothing(tmp_path: Path, line: str) -> None:
    log = read_text(tmp_path, f"epoch 1 loss 1.0\n{line}\n")
    assert not [e for e in log.events if e.kind in {"resume", "weights-missing", "error", "weights-loaded"}]


def test_ranks_that_agree_count_once_and_others_stay_apart(tmp_path: Path) -> None:
    rows = "".join(f"[rank{r}]: step {i} loss {i}.5 time {r}.{i}\n" for i in range(1, 6) for r in (0, 1))
    log = read_text(tmp_path, rows)
    assert values(log, "loss") == [1.5, 2.5, 3.5, 4.5, 5.5]
    assert not [s.name for s in log.series if s.name.endswith("/loss")]
    assert values(log, "rank 1/time") == [1.1, 1.2, 1.3, 1.4, 1.5]


def test_neighbouring_copies_of_a_line_count_once(tmp_path: Path) -> None:
    log = read_text(tmp_path, "".join(f"step {i} loss 0.{i}\n" * 4 for i in range(1, 4)))
    assert values(log, "loss") == [0.1, 0.2, 0.3]
    assert any("repeat" in p.why for p in log.problems)


@pytest.mark.parametrize(
    ("name", "data", "sure"),
    [
        ("train.log", b"epoch 1 loss 0.5\n", True),
        ("nohup.out", b"step 3 loss 0.5\n", True),
        ("log.txt", b"10 train 0.5\n", True),
        ("train.py", b"loss = 0.5\n", False),
        ("requirements.txt", b"numpy==1.26\n", False),
        ("image.log", bytes(range(256)) * 20, False),
        ("empty.log", b"", False),
    ],
)
def test_claims(tmp_path: Path, name: str, data: bytes, sure: bool) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    claim = reader.claims(describe(path, name))
    assert (0 < claim <= 0.2) if sure else claim == 0
