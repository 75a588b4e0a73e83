"""What each of two gloo processes does; run as `python ranks_worker.py MODE,MODE,… RANK WORLD PORT FOLDER`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from runvet.checkpoints import CheckpointManager, RefusedCheckpoint, restore, save


def build(wrapper: str, seed: int = 0) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    model: torch.nn.Module = torch.nn.Sequential(
        torch.nn.Linear(6, 10), torch.nn.ReLU(), torch.nn.LayerNorm(10), torch.nn.Linear(10, 2)
    )
    if wrapper == "ddp":
        model = DistributedDataParallel(model)
    elif wrapper == "compiled-ddp":
        model = torch.compile(DistributedDataParallel(model), backend="eager")
    elif wrapper == "fsdp2":
        fully_shard(model[0])
        fully_shard(model[3])
        fully_shard(model)
    return model, torch.optim.AdamW(model.parameters(), lr=1e-2)


def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: int, first: int = 0) -> list[float]:
    """The same batch on every rank, so that one process alone gives the same weights."""
    losses = []
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(8, 6, generator=generator)
        loss = (model(x) - x[:, :2]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main(mode: str, rank: int, world: int, folder: Path) -> None:
    wrapper = mode.partition(":")[2]
    if mode.startswith("wrong:"):
        # The mistake: every rank gathers, the last one writes over the file. Only rank 0 was given the tensors.
        model, optimizer = build(wrapper)
        train(model, optimizer, 3)
        state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
        for turn in range(world):
            if turn == rank:
                torch.save({"model": state, "step": 3}, folder / "step_3.pt")
            dist.barrier()
        return
    sharded = mode.startswith("sharded:")
    model, optimizer = build(wrapper)
    save_early = CheckpointManager(folder / "early", sharded=sharded)
    save_early.save(step=0, model=model, optimizer=optimizer)  # no optimizer state yet, and none must be made
    assert not optimizer.state
    train(model, optimizer, 3)
    manager = CheckpointManager(folder / "all", sharded=sharded, background=mode.startswith("background:"))
    begin, late = manager._background.start, []
    manager._background.start = late.append  # the slowest writer: it begins when training has gone on
    manager.save(step=3, model=model, optimizer=optimizer, extra={"note": "three"})
    after = train(model, optimizer, 3, first=3)
    for job in late:
        begin(job)
    manager.close()
    other, its = build(wrapper, seed=1)
    rest = manager.restore(model=other, optimizer=its)
    assert rest == {"step": 3, "extra": {"note": "three"}}, rest
    again = train(other, its, 3, first=3)
    assert after == again, (after, again)
    fresh, its = build(wrapper, seed=2)
    restore(folder / "early" / "step-00000000", model=fresh, optimizer=its)
    assert train(fresh, its, 3)[0] == train(*build(wrapper), 1)[0]
    # A refusal must reach every rank, or the others would wait for ever.
    with torch.no_grad():
        for p in other.parameters():
            p.fill_(float("nan"))
    with pytest.raises(RefusedCheckpoint, match="NaN"):
        save(folder / "refused", model=other, sharded=sharded)
    assert not (folder / "refused").exists()


if __name__ == "__main__":
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=sys.argv[4], GLOO_SOCKET_IFNAME="lo")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=int(sys.argv[2]), world_size=int(sys.argv[3]))
    for each in sys.argv[1].split(","):
        place = Path(sys.argv[5]) / each.replace(":", "-")
        place.mkdir(exist_ok=True)
        main(each, int(sys.argv[2]), int(sys.argv[3]), place)
    dist.barrier()
    dist.destroy_process_group()
    sys.stdout.flush()
    # gloo's own threads sometimes abort the interpreter at its end ("terminate called without an active exception"),
    # also in a program of ten lines that uses torch alone.
    os._exit(0)
