"""Checkpoints read without running them: tensors, plain values, completeness, and what is wrong with each file.

No torch, no unpickling: a pickle is interpreted opcode by opcode into names and numbers (`unpickle.py`), every size
is checked against the file before it is believed, and values are streamed through one small buffer (`scan.py`).
"""

from __future__ import annotations

from runvet.checkpoints.contract import to_json
from runvet.checkpoints.listing import list_checkpoints
from runvet.checkpoints.model import Checkpoint, Group, Tensor, Values
from runvet.checkpoints.problems import PROBLEMS, Problem

__all__ = ["PROBLEMS", "Checkpoint", "Group", "Problem", "Tensor", "Values", "list_checkpoints", "to_json"]
