"""Text logs that end early, are packed, or hold more than a reader keeps."""

from __future__ import annotations

from pathlib import Path

from text_logs import read_path, read_text, series, values


def test_unfinished_last_line(tmp_path: Path) -> None:
    whole = "step 1 loss 0.1234 ok\nstep 2 loss 0.2345 ok\n"
    assert values(read_text(tmp_path, whole + "step 3 loss 0.3456 ok"), "loss") == [0.1234, 0.2345, 0.3456]
    assert values(read_text(tmp_path, whole + "step 3 loss 0.34"), "loss") == [0.1234, 0.2345]
    assert values(read_text(tmp_path, "step 1 loss 0.12\nstep 2 loss 0.1"), "loss") == [0.12]


def test_packed_and_cut(tmp_path: Path) -> None:
    import gzip

    data = gzip.compress("".join(f"step {i} loss {i}.{i * 7919 % 9973}\n" for i in range(20_000)).encode())
    path = tmp_path / "train.log.gz"
    path.write_bytes(data[: len(data) // 2])
    log = read_path(path)
    assert 1_000 < series(log, "loss").total < 20_000
    assert any("end early" in p.why for p in log.problems)


def test_one_physical_line_of_many_redraws_is_bounded(tmp_path: Path) -> None:
    bar = "\rtrain:  50%|#####     | {i}/300000 [00:10<00:10, 99.9it/s, loss=0.{i}]"
    path = tmp_path / "nohup.out"
    with path.open("w") as out:
        for i in range(60_000):
            out.write(bar.format(i=i))
    log = read_path(path, points=10_000)
    assert series(log, "train/loss").total == 60_000


def test_too_many_names_are_cut_off_and_told(tmp_path: Path) -> None:
    log = read_text(
        tmp_path,
        "".join(
            f"step {i} {'abcdefghij'[i % 10]}{chr(97 + i // 10 % 26)}{chr(97 + i // 260 % 26)}_loss: 0.5\n"
            for i in range(6_000)
        ),
    )
    assert len(log.series) <= 2_000
    assert any("metric names" in p.why for p in log.problems)
