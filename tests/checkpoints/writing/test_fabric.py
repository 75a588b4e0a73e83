"""Saving and restoring what Lightning Fabric has wrapped: the names are those of the plain module."""

import lightning_fabric
import torch

from runvet.checkpoints import CheckpointManager
from runvet.checkpoints.writing.gather import as_module


def training(seed):
    torch.manual_seed(seed)
    fabric = lightning_fabric.Fabric(accelerator="cpu", devices=1)
    plain = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Linear(8, 2))
    model, optimizer = fabric.setup(plain, torch.optim.AdamW(plain.parameters(), lr=0.1))
    return fabric, plain, model, optimizer


def step(fabric, model, optimizer):
    optimizer.zero_grad()
    fabric.backward(model(torch.ones(3, 4)).square().sum())
    optimizer.step()


def test_wrapped_objects_are_saved_and_restored(tmp_path):
    fabric, plain, model, optimizer = training(0)
    assert as_module(model) is plain
    step(fabric, model, optimizer)
    manager = CheckpointManager(tmp_path)
    manager.save(step=1, model=model, optimizer=optimizer)
    assert sorted(manager.load()["model"]) == ["0.bias", "0.weight", "1.bias", "1.weight"]

    other_fabric, other, other_model, other_optimizer = training(1)
    assert manager.restore(model=other_model, optimizer=other_optimizer)["step"] == 1
    for one, two in zip(plain.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
    step(fabric, model, optimizer)
    step(other_fabric, other_model, other_optimizer)
    for one, two in zip(plain.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
