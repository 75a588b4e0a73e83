"""Many lines read at once give exactly what they give one by one."""

from __future__ import annotations

import math
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_text_corpus import TEXT

from runvet.readers._text.bulk import Bulk
from runvet.readers._text.lines import states
from runvet.readers._text.log import TextLog
from runvet.readers._text.scan import Scan
from runvet.readers._text.templates import Value
from runvet.run import Log
from runvet.sink import Sink
from runvet.source import describe
from shared import shared


def read(path: Path, *, bulk: bool) -> tuple[list[Log], int]:
    """The logs of a file, and how many states were read one by one."""
    sink, source, fed = Sink(path.name, "text"), describe(path, path.name), 0
    log = TextLog(sink, 1.77e9)
    for state in states(source, sink, Bulk(log, sink, source.encoding) if bulk else None):
        log.feed(state)
        fed += 1
    log.finish()
    return sink.close(), fed


def assert_equal(slow: list[Log], fast: list[Log]) -> None:
    for a, b in zip(slow, fast, strict=True):
        assert [s.name for s in a.series] == [s.name for s in b.series]
        for one, other in zip(a.series, b.series, strict=True):
            for name in (f.name for f in fields(one)):
                mine, yours = getattr(one, name), getattr(other, name)
                if isinstance(mine, np.ndarray):
                    np.testing.assert_array_equal(mine, yours, err_msg=f"{one.name}.{name}")
                else:
                    assert mine == yours or (mine != mine and yours != yours), (one.name, name)
        assert a.events == b.events
        assert (a.settings, a.problems, a.seams) == (b.settings, b.problems, b.seams)


def both(path: Path) -> int:
    slow, everything = read(path, bulk=False)
    fast, fed = read(path, bulk=True)
    assert_equal(slow, fast)
    return everything - fed


def number(draw: st.DrawFn, kind: str, step: int) -> str:
    value = draw(st.floats(-50, 50)) if kind == "any" else 2 * math.exp(-step / 50)
    form = draw(
        st.sampled_from(
            ("{:.4f}", "{:.3e}", "{!r}", "{:8.3f}", "{:+.2f}", "{:.0f}", "{:.0f}.", "{:.17g}", "{:.2f}0000000000000000")
        )
    )
    return form.format(value)


PREFIXES = (
    "",
    "INFO: ",
    "[train] ",
    "2026-03-01 {h:02d}:{m:02d}:{s:02d},{s:03d} - INFO - ",
    "[2026-03-{d:02d} {h:02d}:{m:02d}:{s:02d}] ",
    "{h:02d}:{m:02d}:{s:02d} | INFO | ",
    "2026-02-{d:02d}T{h:02d}:{m:02d}:{s:02d}.{s:06d}+01:00 ",
    "Mar  {e} {h:02d}:{m:02d}:{s:02d} ",
    "[rank {r}] ",
    "1772323{s:03d}.{s:02d} ",
    "I03{d:02d} {h:02d}:{m:02d}:{s:02d}.{s:06d} 4711 solver.cpp:239] ",
)
PLACES = (
    "step {i}",
    "Epoch [{e}/10][{b}/40]",
    "Epoch {e}, iter {b:>4}:",
    "epoch: {e} step: {i}",
    "iter {b}/{t}",
    "Epoch {i}/500 -",
    "val epoch {e}:",
    "global_step={i},",
    "Epoch {e}/10 step {b}/{t}",
    "train epoch {e} batch {b}",
)  # fmt: skip
METRICS = (
    " loss: {0} acc: {1}",
    " loss={0}, lr={1}",
    " | loss {0} ({1})",
    " train_loss {0} time: {1}s",
    " Loss: {0}",
    " loss: {0} -0.5 reward -{1}",
    " val_loss: {0} val_acc: {1}",
    " eval/score: 0.5, loss: {0}",
)
ODD = (
    "Saving checkpoint to ckpt_{i}.pt",
    "Traceback (most recent call last):",
    "ValueError: bad value {i}",
    "WARNING: gradient overflow at step {i}",
    "nohup: ignoring input",
    "| loss | {i} |",
    "  0%|   | 1/10 [00:00<00:01, loss=0.5]",
    "loss: nan",
    "",
    "epoch loss acc lr",
    "step: {i}, loss: inf",
    "Namespace(lr=0.1)",
)  # fmt: skip


@st.composite
def logs(draw: st.DrawFn) -> str:
    lines: list[str] = []
    i = draw(st.sampled_from((0, 1, 95, 9_990)))
    for _ in range(draw(st.integers(1, 4))):
        prefix, place, metric = (draw(st.sampled_from(options)) for options in (PREFIXES, PLACES, METRICS))
        kinds = [draw(st.sampled_from(("fall", "any"))) for _ in range(2)]
        epoch = draw(st.sampled_from((8, 40, 1_000)))
        varied = draw(st.booleans())
        fixed = [number(draw, kind, i) for kind in kinds]
        speed = draw(st.sampled_from((1, 7, 3_000)))
        for _ in range(draw(st.integers(10, 70))):
            cells = [number(draw, k, i) if varied else f[:1].strip() + f[1:] for k, f in zip(kinds, fixed, strict=True)]
            if not varied:
                cells[0] = f"{2 * math.exp(-i / 50):.5f}"
            second = i * speed % 86_400
            part = {"h": second // 3600, "m": second // 60 % 60, "s": second % 60, "d": 1 + i % 29, "e": i // epoch, "b": i % epoch,
                    "i": i, "t": epoch, "r": i % 2}  # fmt: skip
            lines.append(prefix.format(**part) + place.format(**part) + metric.format(*cells))
            i += draw(st.sampled_from((1, 1, 1, 1, 1, 1, 1, 0, 10)))
        if draw(st.booleans()):
            lines.append(draw(st.sampled_from(ODD)).format(i=i))
        if draw(st.integers(0, 4)) == 0:
            i = draw(st.integers(0, 50))
    end = draw(st.sampled_from(("\n", "\n", "\r\n")))
    return end.join(lines) + draw(st.sampled_from((end, "")))


@st.composite
def mixed_logs(draw: st.DrawFn) -> str:
    """Lines of several kinds in turn: by a pattern, or at random."""
    kinds = [
        (draw(st.sampled_from(PREFIXES)), draw(st.sampled_from(PLACES)), draw(st.sampled_from(METRICS)),
         draw(st.sampled_from(("fall", "flat", "wide"))))
        for _ in range(draw(st.integers(2, 4)))
    ]  # fmt: skip
    pattern = draw(st.lists(st.integers(0, len(kinds) - 1), min_size=1, max_size=9))
    shuffled, advance = draw(st.booleans()), draw(st.booleans())
    noise = draw(st.randoms(use_true_random=False))
    epoch, speed = draw(st.sampled_from((3, 8, 40, 1_000))), draw(st.sampled_from((1, 7, 3_000)))
    i = draw(st.sampled_from((0, 1, 95, 9_990)))
    lines = []
    for number in range(draw(st.integers(30, 300))):
        chosen = noise.randrange(len(kinds)) if shuffled else pattern[number % len(pattern)]
        prefix, place, metric, form = kinds[chosen]
        value = {"fall": f"{2 * math.exp(-i / 50):.4f}", "flat": "0.5", "wide": f"{noise.uniform(-9, 9):.3e}"}[form]
        second = i * speed % 86_400
        part = {"h": second // 3600, "m": second // 60 % 60, "s": second % 60, "d": 1 + i % 29, "e": i // epoch, "b": i % epoch,
                "i": i, "t": epoch, "r": i % 2}  # fmt: skip
        lines.append(prefix.format(**part) + place.format(**part) + metric.format(value, f"{i % 7}.25"))
        i += advance or number % len(pattern) == 0
        if noise.random() < 0.01:
            lines.append(noise.choice(ODD).format(i=i))
    return "\n".join(lines) + "\n"


@settings(max_examples=200, deadline=None)
@given(mixed_logs())
def test_generated_logs_of_several_kinds(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "mixed.log"
    path.write_text(text, newline="")
    both(path)


@settings(max_examples=150, deadline=None)
@given(logs())
def test_generated_logs(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "bulk.log"
    path.write_text(text, newline="")
    both(path)


@pytest.mark.shared
@pytest.mark.slow
def test_texts_of_the_corpora() -> None:
    taken = 0
    for path in sorted(p for p in shared("corpus").rglob("*") if p.suffix in TEXT and p.is_file()):
        taken += both(path)
    assert taken > 10_000


def test_an_ordinary_log_is_taken_at_once(tmp_path: Path) -> None:
    lines = [
        f"2026-03-01 10:{i // 60 % 60:02d}:{i % 60:02d},{i % 1000:03d} - INFO - Epoch [{i // 500}][{i % 500:>3}/500] loss {2 - i * 1e-4:.4f} lr {1e-3:.1e}\n"
        for i in range(3_000)
    ]
    path = tmp_path / "train.log"
    path.write_text("".join(lines))
    assert both(path) > 2_900


def test_lines_of_several_kinds_in_turn_are_taken_at_once(tmp_path: Path) -> None:
    kinds = ("loss: {0:.4f} | lr: 1.0e-03", "grad_norm: {0:.3f}", "val_loss: {0:.4f} | val_acc: {0:.3f}")
    lines = [
        f"2026-03-01 10:{i // 60 % 60:02d}:{i % 60:02d},123 - INFO - step {i} | {kinds[i % 3].format(2 - i * 1e-4)}\n"
        for i in range(3_000)
    ]
    path = tmp_path / "train.log"
    path.write_text("".join(lines))
    assert both(path) > 2_900


def test_numbers_are_those_of_float() -> None:
    texts = ["0", "7", "007", "0.1", "123.456", "999999999999999", "0.000001", "1e-5", "1.5e+22", "2.5E-22", "12345.678e-10", "3e300",
             "1234567890123456789", "0.1234567890123456789", "5e-324", "1e22", "9.999999999999999e22"]  # fmt: skip
    for text in texts:
        mantissa, _, power = text.lower().partition("e")
        _, _, part = mantissa.partition(".")
        runs = iter(range(3))
        value = Value(
            next(runs), next(runs) if part else -1, next(runs) if power else -1, power.startswith("-"), free_sign=True
        )
        block = f"x {text}\nx -{text}\n".encode()
        scan = Scan(block)
        assert scan.shapes[0] == scan.shapes[1]
        assert value.read(scan, scan.run).tolist() == [float(text), -float(text)], text


def test_it_is_many_times_faster(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text("".join(f"INFO - step {i} | loss: {2 + i % 97 / 1000:.4f} | lr: 1e-3\n" for i in range(20_000)))
    seconds = []
    for bulk in (False, True):
        begun = time.process_time()
        read(path, bulk=bulk)
        seconds.append(time.process_time() - begun)
    assert seconds[1] * 4 < seconds[0]
