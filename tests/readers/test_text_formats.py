"""Lines as well-known programs print them: what each must give."""

from __future__ import annotations

import math
from pathlib import Path

from text_logs import events, read_text, series, steps, values


def names(log: object) -> set[str]:
    return {s.name for s in log.series}  # type: ignore[attr-defined]


def test_catboost_counts_iterations_before_a_colon(tmp_path: Path) -> None:
    rows = [
        f"{i}:\tlearn: {0.7 - i / 10:.7f}\ttest: {0.75 - i / 10:.7f}\tbest: {0.75 - i / 10:.7f} ({i})\ttotal: {i}.5s\tremaining: 1m {i}s\n"
        for i in range(4)
    ]
    log = read_text(tmp_path, "".join(rows))
    assert values(log, "learn") == [0.7, 0.6, 0.5, 0.4]
    assert values(log, "test") == [0.75, 0.65, 0.55, 0.45]
    assert steps(log, "learn") == [0, 1, 2, 3]
    assert "total" not in names(log)


def test_lightgbm_names_data_sets_with_an_apostrophe(tmp_path: Path) -> None:
    rows = [f"[{i}]\ttraining's l2: {9 - i}.5\tvalid_1's l2: {10 - i}.5\n" for i in (1, 2, 3)]
    log = read_text(tmp_path, "".join(rows))
    assert values(log, "training's l2") == [8.5, 7.5, 6.5]
    assert values(log, "valid_1's l2") == [9.5, 8.5, 7.5]
    assert steps(log, "valid_1's l2") == [1, 2, 3]


def test_darknet_puts_names_after_values(tmp_path: Path) -> None:
    layer = (
        "v3 (mse loss, Normalizer: (iou: 0.75, cls: 1.00) Region 82 Avg (IOU: -nan, GIOU: -nan), Class: 0.4, count: 0\n"
    )
    rows = [
        f"{layer} {i}: {30 - i}.25, {31 - i}.5 avg loss, 0.001000 rate, 5.25 seconds, {64 * i} images, 2.5 hours left\n"
        for i in (1, 2, 3)
    ]
    log = read_text(tmp_path, "".join(rows))
    assert values(log, "loss") == [29.25, 28.25, 27.25]
    assert values(log, "avg loss") == [30.5, 29.5, 28.5]
    assert values(log, "rate") == [1e-3] * 3
    assert values(log, "images") == [64, 128, 192]
    assert steps(log, "loss") == [1, 2, 3]
    assert not {n for n in names(log) if "IOU" in n}


def test_espnet_writes_counts_before_their_words_and_splits_in_brackets(tmp_path: Path) -> None:
    rows = []
    for e in (1, 2, 3):
        rows += [
            f"[node] 2020-07-19 08:4{e}:0{i},080 (trainer:464) INFO: {e}epoch:train:{i * 50 - 49}-{i * 50}batch: loss={9 - e}.{i}, acc=0.1\n"
            for i in (1, 2)
        ]
        rows.append(
            f"[node] 2020-07-19 08:4{e}:09,406 (trainer:243) INFO: {e}epoch results: [train] loss={9 - e}.5, time=1.5 seconds,"
            f" [valid] loss={9 - e}.75, acc=0.25, time=3 seconds\n"
        )
    log = read_text(tmp_path, "".join(rows))
    assert values(log, "loss") == [8.1, 8.2, 7.1, 7.2, 6.1, 6.2]
    assert steps(log, "loss") == [50, 100, 150, 200, 250, 300]
    assert values(log, "train/loss") == [8.5, 7.5, 6.5]
    assert values(log, "val/loss") == [8.75, 7.75, 6.75]
    assert values(log, "val/acc") == [0.25] * 3
    assert series(log, "val/loss").epoch.tolist() == [1, 2, 3]
    assert math.isfinite(series(log, "loss").time[0])


def test_mindspore_says_loss_is(tmp_path: Path) -> None:
    log = read_text(tmp_path, "".join(f"epoch: 1 step: {i}, loss is {3 - i / 2}\n" for i in (1, 2, 3)))
    assert values(log, "loss") == [2.5, 2.0, 1.5]
    assert steps(log, "loss") == [1, 2, 3]


def test_coco_summary_gives_the_average_precision(tmp_path: Path) -> None:
    rows = []
    for e in (1, 2, 3):
        rows += [
            f"Epoch [{e}][50/50]\tlr: 1.0e-03, loss: {3 - e / 2}\n",
            f" Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.{e}25\n",
            f" Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets=1000 ] = 0.{e}75\n",
            f" Average Precision  (AP) @[ IoU=0.50:0.95 | area= small | maxDets=1000 ] = 0.{e}1\n",
            f" Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.{e}85\n",
        ]
    log = read_text(tmp_path, "".join(rows))
    assert values(log, "val/AP") == [0.125, 0.225, 0.325]
    assert values(log, "val/AP small") == [0.11, 0.21, 0.31]
    assert names(log) == {"lr", "loss", "val/AP", "val/AP small"}


def test_deepspeed_prints_a_rate_for_each_of_two_groups(tmp_path: Path) -> None:
    rows = [
        f"[2023-05-01 10:00:0{i},782] [INFO] [logging.py:96:log_dist] [Rank 0] step={i}0, skipped=0, lr=[{i}e-05, 1e-06], mom=[[0.9, 0.95], [0.9, 0.95]]\n"
        for i in (1, 2, 3)
    ]
    log = read_text(tmp_path, "".join(rows))
    assert values(log, "lr") == [1e-5, 2e-5, 3e-5]
    assert steps(log, "lr") == [10, 20, 30]


def test_the_rank_at_the_end_of_a_line_keeps_processes_apart(tmp_path: Path) -> None:
    rows = [f"step {i} loss {5 - i + r / 10} lr 0.00{i} rank {r}\n" for i in (1, 2, 3) for r in (0, 1)]
    log = read_text(tmp_path, "".join(rows))
    assert values(log, "loss") == [4.0, 3.0, 2.0]
    assert values(log, "rank 1/loss") == [4.1, 3.1, 2.1]
    assert values(log, "lr") == [1e-3, 2e-3, 3e-3]


def test_a_bar_that_repeats_the_last_evaluation_gives_it_once_an_epoch(tmp_path: Path) -> None:
    draws = [
        f"Epoch {e}:  {i}0%|####      | {i}/5 [00:0{i}<00:09,  1.00it/s, v_num=0, train_loss=0.{e}{i}, val_loss=0.{e}]"
        for e in (1, 2, 3)
        for i in (1, 2, 3, 4)
    ]
    log = read_text(tmp_path, "\r".join(draws) + "\n")
    assert len(values(log, "train_loss")) == 12
    assert values(log, "val_loss") == [0.1, 0.2, 0.3]


def test_a_log_that_keeps_only_the_last_drawing_of_each_epochs_bar(tmp_path: Path) -> None:
    rows = [f"Epoch #{e}: 1001it [00:12, 80.2it/s, env_step={e}000, loss=0.{9 - e}, rew={e}.5]\n" for e in range(1, 6)]
    log = read_text(tmp_path, "".join(rows))
    assert values(log, "rew") == [1.5, 2.5, 3.5, 4.5, 5.5]
    assert series(log, "rew").epoch.tolist() == [1, 2, 3, 4, 5]


def test_clus_steps_in_brackets(tmp_path: Path) -> None:
    head = "I0501 10:00:0{i}.123456 140123 logging_writer.py:48]"
    rows = [f"{head} [{{i}}00] learning_rate=0.0003, train/loss={{a}}.5\n".format(i=i, a=9 - i) for i in range(4)]
    log = read_text(tmp_path, "".join(rows))
    assert values(log, "train/loss") == [9.5, 8.5, 7.5, 6.5]
    assert steps(log, "train/loss") == [0, 100, 200, 300]


def test_lines_of_training_that_repeat_the_last_evaluation(tmp_path: Path) -> None:
    rows = [
        f"Epoch {e} | iter {10 * e + i} step {10 * e + i} | loss train: {4 - e / 2 - i / 10:.3f}, val: {5 - e}.5 | iter time: 1{i}.5 ms\n"
        for e in (1, 2, 3)
        for i in range(4)
    ]
    log = read_text(tmp_path, "".join(rows))
    assert len(values(log, "loss train")) == 12
    assert values(log, "val") == [4.5, 3.5, 2.5]


def test_estimators_save_what_they_evaluated(tmp_path: Path) -> None:
    rows = []
    for i in (1, 2, 3):
        rows += [
            f"INFO:tensorflow:loss = {4 - i}.5, step = {i}00 (0.3 sec)\n",
            f"INFO:tensorflow:Saving dict for global step {i}00: accuracy = 0.{i}, global_step = {i}00, loss = {5 - i}.25\n",
        ]
    log = read_text(tmp_path, "".join(rows))
    assert values(log, "loss") == [3.5, 2.5, 1.5]
    assert values(log, "val/loss") == [4.25, 3.25, 2.25]
    assert values(log, "val/accuracy") == [0.1, 0.2, 0.3]


def test_a_report_that_is_printed_again_and_again_is_no_configuration(tmp_path: Path) -> None:
    block = (
        "Result for PPO_env:\n  custom_metrics: {{}}\n  date: 2022-07-27\n  done: false\n  episode_reward_mean: {0}.5\n"
        "  hostname: box\n  info:\n    learner:\n      kl: 0.0{0}\n  node_ip: 10.0.0.1\n  training_iteration: {0}\n  trial_id: x\n\n"
    )
    log = read_text(tmp_path, "".join(block.format(i) for i in range(1, 10)))
    found = values(log, "episode_reward_mean")
    assert len(found) >= 5
    assert found == sorted(found)
    assert found[-1] == 9.5


def test_configuration_that_every_restart_prints_stays_configuration(tmp_path: Path) -> None:
    banner = "settings:\n  name: run\n  optimizer: adam\n  data: here\n  mode: all\n  depth: 12\n  start_epoch: {0}\n  width: 64\n"
    rows = [banner.format(e) + f"Epoch {e} loss: {3 - e / 2}\n" for e in (0, 1, 2)]
    log = read_text(tmp_path, "".join(rows))
    assert names(log) == {"loss"}


def test_names_keep_their_apostrophes(tmp_path: Path) -> None:
    rows = [
        f"Époque {i}/3 - perte d'entraînement : {3 - i / 2} - perte de validation : {4 - i / 2}\n" for i in (1, 2, 3)
    ]
    log = read_text(tmp_path, "".join(rows))
    assert values(log, "perte d'entraînement") == [2.5, 2.0, 1.5]
    assert values(log, "perte de validation") == [3.5, 3.0, 2.5]
    assert [e.value for e in events(log, "planned-epochs")] == [3]


def test_marian_counts_updates_and_names_with_points(tmp_path: Path) -> None:
    rows = [
        f"[2021-07-17 21:1{i}:31] Ep. 1 : Up. {i}000 : Sen. {i},529,093 : Cost {4 - i}.5 : Time 817.42s : 2193.04 words/s : L.r. {i}.5e-05\n"
        for i in (1, 2, 3)
    ]
    log = read_text(tmp_path, "".join(rows))
    assert values(log, "Cost") == [3.5, 2.5, 1.5]
    assert values(log, "L.r") == [1.5e-5, 2.5e-5, 3.5e-5]
    assert steps(log, "Cost") == [1000, 2000, 3000]
