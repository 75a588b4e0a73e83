"""Corrupt, hostile, empty and growing inputs: never a crash, always a named problem, nothing lost before the damage."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runvet import api
from runvet.config import Config
from runvet.render import json as json_format
from runvet.render import text
from runvet.report import VERDICTS, to_dict

EXAMPLES = Path(__file__).parent.parent / "examples" / "runs"
NAMES = ["train.log", "metrics.csv", "metrics.jsonl", "history.json", "trainer_state.json", "events.out.tfevents.1.h.1.0", "run-x.wandb",
         "config.yaml", "hparams.yaml", "mlflow.db", "log.txt.gz", "a.swanlab", "results.tsv", "nohup.out", "x.zip", "args.toml"]  # fmt: skip
FUZZ = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def judged(path: Path) -> dict[str, object]:
    """The report as JSON; raises where runvet crashes: a reader, a rule, the report or its drawing as text and JSON."""
    report = api.check(path, Config())
    told = to_dict(report)
    json.dumps(told, allow_nan=False)
    assert told["verdict"] in VERDICTS
    assert not told["checks"]["crashed"], told["checks"]["crashed"]
    stopped = [p for p in report.problems if "reading stopped" in p.why]  # what becomes of a reader that crashes
    assert not stopped, stopped
    assert text.render(report, verbose=True)
    assert json.loads(json_format.render([report])) == json.loads(json.dumps(told))
    return told


@FUZZ
@given(name=st.sampled_from(NAMES), content=st.binary(max_size=600))
def test_random_bytes(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    judged(path)
    path.unlink()


LINES = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.tuples(
            st.sampled_from(["loss", "val loss", "lr", "acc", "损失", "step"]),
            st.floats(width=32),
            st.integers(-5, 10**6),
        ).map(lambda t: f"step {t[2]} {t[0]}: {t[1]}"),
        st.dictionaries(st.text(max_size=8), st.floats() | st.text(max_size=8) | st.none(), max_size=4).map(str),
        st.just("Traceback (most recent call last):"),
    ),
    max_size=40,
)


@FUZZ
@given(
    name=st.sampled_from(NAMES),
    lines=LINES,
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-16", "gb18030"]),
)
def test_random_lines(tmp_path: Path, name: str, lines: list[str], end: str, encoding: str) -> None:
    path = tmp_path / name
    path.write_bytes(end.join(lines).encode(encoding, "replace"))
    judged(path)
    path.unlink()


@FUZZ
@given(data=st.data())
def test_damaged_real_files(tmp_path: Path, data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(sorted(p for p in (EXAMPLES / "healthy").rglob("*") if p.is_file())))
    content = bytearray(source.read_bytes()[:30_000])
    for _ in range(data.draw(st.integers(0, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    path = tmp_path / source.name
    path.write_bytes(bytes(content[:cut]))
    judged(path)
    path.unlink()


def test_a_growing_log_loses_at_most_its_last_line(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    whole = (EXAMPLES / "healthy" / "train.log").read_bytes()
    before = 0
    for size in range(2000, len(whole), 1501):
        path.write_bytes(whole[:size])
        stages = api.read(path, Config()).stages
        points = max((s.total for stage in stages for s in stage.series), default=0)
        complete = sum(b"| loss" in line for line in whole[:size].split(b"\n")[:-1])
        assert complete <= points <= complete + 1
        assert points >= before
        before = points


def test_a_cut_packed_log_gives_what_it_holds(tmp_path: Path) -> None:
    packed = gzip.compress((EXAMPLES / "healthy" / "train.log").read_bytes())
    path = tmp_path / "train.log.gz"
    path.write_bytes(packed[: len(packed) * 2 // 3])
    run = api.read(path, Config())
    assert max(s.total for s in run.stages[0].series) > 50
    assert any("packed data end early" in p.why for p in run.problems)


def test_one_line_of_many_megabytes(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text("x" * 20_000_000 + " loss: 1.0")
    judged(tmp_path)


def test_absurd_numbers_and_names(tmp_path: Path) -> None:
    rows = [f"step {s} loss: 1e999 {'n' * 5000}: {s} acc=-1e308 lr=0x1p-3 v: {'9' * 400}" for s in range(60)]
    (tmp_path / "train.log").write_text("\n".join(rows))
    judged(tmp_path)


def test_thousands_of_metrics(tmp_path: Path) -> None:
    names = [f"layer{i}/loss" for i in range(3000)]
    rows = [",".join(["step", *names])] + [",".join([str(s), *["1.5"] * 3000]) for s in range(30)]
    (tmp_path / "metrics.csv").write_text("\n".join(rows))
    judged(tmp_path)


def test_unreadable_file_hides_no_other(tmp_path: Path) -> None:
    for name in ("train.log", "metrics.csv"):
        (tmp_path / name).write_bytes((EXAMPLES / "healthy" / name).read_bytes())
    (tmp_path / "events.out.tfevents.1.host.1.0").write_bytes(b"\xff" * 500)
    (tmp_path / "dangling.log").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.log")
    assert judged(tmp_path)["verdict"] == "sound"


def test_nothing_is_executed(tmp_path: Path) -> None:
    """Files that would write a marker when imported, unpickled, evaluated or loaded by an unsafe YAML loader."""
    marker = tmp_path / "executed"
    run = tmp_path / "run"
    run.mkdir()
    code = f"open({str(marker)!r}, 'w')"
    (run / "config.yaml").write_text(f'a: !!python/object/apply:builtins.eval ["{code}"]\nepochs: 3\n')
    (run / "hparams.yaml").write_text(f'!!python/object/new:builtins.eval ["{code}"]\n')
    (run / "train.py").write_text(code)
    (run / "sitecustomize.py").write_text(code)
    (run / "train.log").write_text(
        f"Namespace(lr=__import__('os').system('touch {marker}'))\n"
        + "\n".join(f"step {s} loss: {4 - s / 50}" for s in range(99))
    )
    (run / "state.json").write_text(json.dumps({"__reduce__": code}))
    (run / "data.pkl").write_bytes(b"cbuiltins\neval\n(V" + code.encode() + b"\ntR.")
    done = subprocess.run(
        [sys.executable, "-m", "runvet", "check", str(run), "--format", "json"],
        cwd=run,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, 1)
    assert not marker.exists()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux' /proc")
def test_a_large_log_in_bounded_memory(tmp_path: Path) -> None:
    """300 MB of text in less than 500 MB resident: the sink's budget, not the file's size, sets the peak."""
    path = tmp_path / "train.log"
    with path.open("w") as stream:
        for start in range(0, 4_000_000, 10_000):
            stream.write(
                "\n".join(
                    f"2026-01-01 00:00:00,000 - INFO - step {s} | loss {4 / (1 + s / 1e5):.4f} | grad_norm {1 + s % 7:.3f} | lr 1e-3"
                    for s in range(start, start + 10_000)
                )
                + "\n"
            )
    code = (
        "import re, sys\nfrom runvet import api\nfrom runvet.config import Config\n"
        "r = api.check(sys.argv[1], Config())\n"  # VmHWM, not ru_maxrss: that one starts at the size of the parent
        "print(r.stages[0].series[0].points, int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) * 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=600, check=True
    )
    points, resident = map(int, done.stdout.split())
    assert points == 4_000_000
    assert resident < 500 * 2**20
