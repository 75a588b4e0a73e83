"""The states of the random generators as tensors, so that a resumed run draws what the stopped one would have drawn."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from typing import Any

from runvet.checkpoints.writing.errors import need_torch


def random_state() -> dict[str, Any]:
    """Python's, numpy's global (if loaded) and torch's generators of this process; CUDA's where it is in use."""
    torch = need_torch()
    version, words, gauss = random.getstate()
    made: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "python": {"version": version, "words": torch.tensor(words, dtype=torch.int64), "gauss": gauss},
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        made["cuda"] = list(torch.cuda.get_rng_state_all())
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        kind, keys, position, has_gauss, cached = numpy.random.get_state(legacy=True)
        made["numpy"] = {
            "kind": str(kind),
            "keys": torch.from_numpy(keys.astype("int64")),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "cached": float(cached),
        }
    return made


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put back what `random_state` gave. Generators of devices that are not here are left alone."""
    torch = need_torch()
    torch.set_rng_state(state["torch"].cpu())
    python = state["python"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    if "cuda" in state and torch.cuda.is_available() and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda"]])
    if "numpy" in state:
        import numpy as np

        known = state["numpy"]
        keys = known["keys"].numpy().astype("uint32")
        np.random.set_state((known["kind"], keys, known["position"], known["has_gauss"], known["cached"]))
