"""What a save in the background copies before training goes on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from runvet.checkpoints.writing import gather
from runvet.checkpoints.writing.snapshot import Snapshot


@pytest.mark.parametrize("mapping", [False, True])
def test_what_gathering_leaves_as_it_is_is_copied_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, mapping: bool
) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(4, 2)).sum().backward()
    optimizer.step()
    count = torch.zeros(1)
    monkeypatch.setattr(gather, "spread", lambda _: True)  # as under FSDP: its gathering copies what is spread alone
    monkeypatch.setattr(gather, "_module_state", lambda m, *_: {n: v.clone() for n, v in m.state_dict().items()})
    monkeypatch.setattr(gather, "_optimizer_state", lambda _, o, __: o.state_dict())
    given = optimizer.state_dict() if mapping else optimizer
    counter = SimpleNamespace(state_dict=lambda: {"count": count})
    made = gather.gather(gather.Parts(model=model, optimizer=given, scheduler=counter, extra={"n": count}, rng=False))
    taken = Snapshot().take(made.state, made.live)
    for state in optimizer.state.values():
        state["step"] += 1
    count += 1
    assert {float(s["step"]) for s in taken["optimizer"]["state"].values()} == {1.0}
    assert float(taken["scheduler"]["count"]) == float(taken["extra"]["n"]) == 0.0
    assert taken["model"]["0.weight"] is made.state["model"]["0.weight"]  # a copy already
