"""Kill and disk-full tests of the checkpoint writer in full counts; the figures go into docs/reliability.md."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
TESTS = ("test_kill.py", "test_disk_full.py", "test_two_processes.py")
KINDS = {
    "folder": "a folder of checkpoints, the last two kept",
    "same": "the same, every third save replaces a checkpoint of its step",
    "file": "one file that every save replaces",
    "background": "a folder, written in the background",
}


def main() -> int:
    """Run the tests with RUNVET_STRESS=1 and write the page; the exit status is that of the tests."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.jsonl"
        environment = {**os.environ, "RUNVET_STRESS": "1", "RUNVET_STRESS_OUT": str(out)}
        start = time.perf_counter()
        tests = [str(ROOT / "tests" / "checkpoints" / "writing" / name) for name in TESTS]
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", *tests], cwd=ROOT, env=environment, check=False)
        if done.returncode:
            sys.stderr.write("the page is left as it is: a test failed\n")
            return done.returncode
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    PAGE.write_text(page(rows, time.perf_counter() - start))
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} written\n")
    return 0


def page(rows: Sequence[Mapping[str, Any]], seconds: float) -> str:
    """The page with the figures of one run."""
    kills = [r for r in rows if r["test"] == "kill"]
    full = [r for r in rows if r["test"] == "disk-full"]
    lines = [
        "# Reliability of written checkpoints",
        "",
        f"Written by `make stress` ({seconds:.0f} s, Python {platform.python_version()}, {platform.system()}"
        f" {platform.machine()}, {time.strftime('%Y-%m-%d', time.gmtime())}). `make test` runs the same tests in small counts.",
        "",
        "## Killed at any instant",
        "",
        "A process saves in a loop (about 3 MB a checkpoint) and is killed by SIGKILL at a random instant, again and again in the",
        "same folder. After every kill, before anything is cleaned, each checkpoint with a visible name is compared with its",
        "manifest. Then a new manager starts in the folder, as a restarted training would, and the newest checkpoint is loaded and",
        "compared bit for bit with what its step must hold. It is never older than the newest one before the kill.",
        "",
        "| way of saving | kills | of these with a save under way | completed saves | lost or damaged |",
        "| --- | --: | --: | --: | --: |",
        *(f"| {KINDS[r['kind']]} | {r['kills']} | {r['during']} | {r['saves']} | 0 |" for r in kills),
        f"| together | {sum(r['kills'] for r in kills)} | {sum(r['during'] for r in kills)} | {sum(r['saves'] for r in kills)} | 0 |",
        "",
        "What a kill can't show is a power cut: files and folders are synced (`fsync`) before and after the rename, which is as far",
        "as a program can go.",
        "",
        "## A full disk",
        "",
        "Every call that changes the disk (write, sync, open, rename, make a folder) fails with ENOSPC from the n-th on, for each n",
        "until a save succeeds; the first failing write still takes half of its bytes. After each, the checkpoint before is whole",
        "or the new one is, nothing else. Where mounting is permitted, the same on a tmpfs of 1 MiB that is really full.",
        "",
        "| way of saving | calls of one save | saves that failed | lost or damaged |",
        "| --- | --: | --: | --: |",
        *(f"| {KINDS[r['kind']]} | {r['calls'] - 1} | {r['failed']} | 0 |" for r in full),
        "",
        "## Two processes",
        "",
        "Two processes on gloo train the same model under DDP, compiled DDP and FSDP2. The usual mistake (every rank gathers, each",
        "writes the file) leaves a checkpoint without tensors, and the reader says so. Ours, full, sharded and in the background,",
        "holds every tensor under the same names, and the resumed training gives the same losses to the last bit.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
