"""Train the example runs of this folder: a character-level language model, once well and four times badly.

    python examples/make_runs.py            # needs torch==2.13.0 and tensorboard; about two minutes on two cores

Each run leaves what a training script of its kind leaves: console log, TensorBoard events, CSV, configuration.
The text is the Python documentation that ships inside the interpreter (docstrings of the standard library).
"""

from __future__ import annotations

import argparse
import csv
import inspect
import json
import logging
import math
import pkgutil
import random
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import yaml
from torch import nn
from torch.utils.tensorboard import SummaryWriter

HERE = Path(__file__).parent
SIDE_EFFECTS = ("antigravity", "this", "idlelib", "turtledemo", "test", "lib2to3")  # modules that act on import


@dataclass(frozen=True)
class Config:
    """One run. Each sick run changes one value of the healthy one."""

    name: str
    steps: int = 1500
    batch_size: int = 32
    context: int = 32
    width: int = 64
    learning_rate: float = 3e-3
    warmup_steps: int = 50
    lr_shape: str = "cosine"  # "cosine", or "growing": the sign of the decay is wrong
    grad_clip: float = 1.0
    eval_every: int = 100
    vocab_size: int = 96
    gradient_accumulation_steps: int = 1
    undivided_loss: bool = True  # False: logs the loss divided by the accumulation
    train_share: float = 0.9
    corpus_limit: int = 60_000
    second_shard_at: int | None = None  # from this step on read a shard with characters outside the vocabulary
    seed: int = 7


class CharModel(nn.Module):
    """Embeds the last `context` characters and predicts the next with a GRU."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embed = nn.Embedding(config.vocab_size, config.width)
        self.gru = nn.GRU(config.width, config.width, batch_first=True)
        self.head = nn.Linear(config.width, config.vocab_size)

    def forward(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        """Token numbers (B, T) to logits (B, T, vocabulary)."""
        hidden_BTC, _ = self.gru(self.embed(tokens_BT))
        return self.head(hidden_BTC)


def corpus(limit: int) -> str:
    """Docstrings of the standard library, as one text."""
    parts = []
    for module in sorted(m.name for m in pkgutil.iter_modules() if m.name in sys.stdlib_module_names):
        if module.startswith("_") or module in SIDE_EFFECTS:
            continue
        try:
            parts.append(inspect.getdoc(__import__(module)) or "")
        except ImportError:
            continue
    text = "\n".join(parts)
    return "".join(c for c in text if " " <= c <= "~" or c == "\n")[:limit]


def encode(text: str) -> torch.Tensor:
    """Characters as numbers below 96: a newline is 95."""
    return torch.tensor([95 if c == "\n" else ord(c) - 32 for c in text])


def batches(data: torch.Tensor, config: Config, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        at = torch.randint(len(data) - config.context - 1, (config.batch_size,), generator=generator)
        window = torch.stack([data[i : i + config.context + 1] for i in at])
        yield window[:, :-1], window[:, 1:]


def learning_rate(config: Config, step: int) -> float:
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    if config.lr_shape == "growing":
        return config.learning_rate * (1 + 400 * progress**2)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def logger_to(path: Path) -> logging.Logger:
    log = logging.getLogger(path.parent.name)
    log.handlers.clear()
    log.setLevel(logging.INFO)
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s - %(levelname)s - %(message)s"))
    log.addHandler(handler)
    return log


@torch.no_grad()
def evaluate(model: nn.Module, data: torch.Tensor, config: Config) -> float:
    model.eval()
    losses = []
    for (x, y), _ in zip(batches(data, config, seed=1), range(8), strict=False):
        losses.append(nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten()).item())
    model.train()
    return sum(losses) / len(losses)


def train(config: Config, folder: Path) -> None:
    """Train one run into a fresh folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(asdict(config), sort_keys=False))
    log, board = logger_to(folder / "train.log"), SummaryWriter(str(folder / "tb"))
    torch.manual_seed(config.seed)
    data = encode(corpus(config.corpus_limit))
    cut = int(len(data) * config.train_share)
    model = CharModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate)
    log.info(
        "model with %d parameters, %d training characters, %d for validation",
        sum(p.numel() for p in model.parameters()),
        cut,
        len(data) - cut,
    )
    feed = batches(data[:cut], config, config.seed)
    with (folder / "metrics.csv").open("w", newline="") as stream:
        rows = csv.DictWriter(stream, ["step", "train_loss", "val_loss", "lr", "grad_norm", "step_time"])
        rows.writeheader()
        for step in range(config.steps):
            began = time.perf_counter()
            if step == config.second_shard_at:
                log.info("opening shard 2 of 2")
                feed = batches(torch.where(data[:cut] == 95, 96, data[:cut]), config, config.seed + 1)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(config, step)
            loss = torch.zeros(())
            for _ in range(config.gradient_accumulation_steps):
                x, y = next(feed)
                part = (
                    nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
                    / config.gradient_accumulation_steps
                )
                part.backward()
                loss = part.detach() if not config.undivided_loss else loss + part.detach()
            norm = nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
            optimizer.step()
            optimizer.zero_grad()
            row = {"step": step, "train_loss": f"{loss.item():.6g}", "lr": f"{learning_rate(config, step):.6g}",
                   "grad_norm": f"{norm.item():.6g}", "step_time": f"{time.perf_counter() - began:.6g}"}  # fmt: skip
            board.add_scalar("train/loss", loss.item(), step)
            if step % config.eval_every == config.eval_every - 1:
                val = evaluate(model, data[cut:], config)
                row["val_loss"] = f"{val:.6g}"
                board.add_scalar("val/loss", val, step)
                log.info("step %d/%d | val loss %.4f", step + 1, config.steps, val)
            if step % 10 == 0:
                log.info(
                    "step %d/%d | loss %.4f | lr %.2e | grad_norm %.3f",
                    step + 1,
                    config.steps,
                    loss.item(),
                    learning_rate(config, step),
                    norm.item(),
                )
            rows.writerow(row)
    board.close()


def train_logged(config: Config, folder: Path) -> None:
    """Train one run; an exception ends in its log, as it would under nohup."""
    try:
        train(config, folder)
    except IndexError:
        trace = (
            traceback.format_exc().replace(str(HERE.parent), "/home/user/charlm").replace(sys.prefix, "/home/user/venv")
        )
        logging.getLogger(folder.name).error("training failed\n%s", trace)
    for events in (folder / "tb").glob("events.out.tfevents.*"):
        began = events.name.split(".")[3]
        events.rename(events.with_name(f"events.out.tfevents.{began}.node0.{len(config.name)}.0"))


HEALTHY = Config("healthy")
RUNS = [
    HEALTHY,
    replace(HEALTHY, name="diverging", lr_shape="growing", grad_clip=1e9),
    replace(HEALTHY, name="overfitted", corpus_limit=4_000, width=160, steps=1200, learning_rate=4e-3),
    replace(HEALTHY, name="divided-loss", gradient_accumulation_steps=4, undivided_loss=False, batch_size=8, steps=800),
    replace(HEALTHY, name="crashed", second_shard_at=420),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="runs to train (default: all)")
    parser.add_argument("--into", type=Path, default=HERE / "runs")
    chosen = parser.parse_args()
    random.seed(0)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", DeprecationWarning)  # old modules of the library, imported for their text
    for config in RUNS:
        if not chosen.names or config.name in chosen.names:
            train_logged(config, chosen.into / config.name)
            print(
                json.dumps(
                    {
                        "run": config.name,
                        "files": sorted(
                            str(p.relative_to(chosen.into)) for p in (chosen.into / config.name).rglob("*.*")
                        ),
                    }
                )
            )


if __name__ == "__main__":
    main()
