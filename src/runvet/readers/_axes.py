"""Which columns of a table are coordinates (step, epoch, time) and which are metrics.

A bare name such as `step`, `_step` or `Epoch` is a coordinate only. A name with a namespace, such as
`time/total_timesteps` or `train/epoch`, is one that the tool logged like any other metric: it is both.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from functools import lru_cache
from typing import Literal, TypeAlias

Axis: TypeAlias = Literal["step", "epoch", "time", "clock?", "index"]

# In the order of trust: where a row has several, the first one counts.
_STEP = (
    "trainer/global_step", "train/global_step", "global_step", "globalstep", "current_steps", "current_step", "_step", "step", "steps", "iteration",
    "iter", "iters", "n_iter", "num_iter", "iter_num", "it", "niter", "train_step", "training_step", "train_steps",
    "training_iteration", "total_steps", "num_steps", "step_num", "n_steps", "env_step", "env_steps",
    "time/total_timesteps", "misc/total_timesteps", "total_timesteps", "num_timesteps", "timesteps_total",
    "timesteps", "timestep", "num_env_steps_sampled", "opt_step", "optimizer_step", "num_updates", "n_updates",
    "update", "updates", "batch", "batch_idx", "batch_num", "minibatch", "round", "current_iteration", "iterations", "episode", "episodes", "i_episode", "episode_num", "generation", "gen",
)  # fmt: skip
_EPOCH = (
    "epoch", "epochs", "epoch_num", "epoch_idx", "epoch_number", "current_epoch", "n_epoch", "epoch_id", "train/epoch",
    "trainer/epoch", "epoch_step",
)  # fmt: skip
_TIME = (
    "_runtime", "runtime_s", "_timestamp", "timestamp", "wall_time", "walltime", "wall", "relative_time",
    "time/time_elapsed", "time_elapsed", "elapsed_time", "elapsed", "elapsed_s", "elapsed_seconds", "passed_time",
    "unix_time", "datetime", "date", "created_at", "time/total", "total_time", "time_total_s",
)  # fmt: skip
_PERHAPS = ("time", "t", "seconds", "time_s", "time_sec", "duration", "time_in_seconds")
_RANK: dict[str, tuple[Axis, int]] = {
    **{name: ("step", i) for i, name in enumerate(_STEP)},
    **{name: ("epoch", i) for i, name in enumerate(_EPOCH)},
    **{name: ("time", i) for i, name in enumerate(_TIME)},
    **{name: ("clock?", i) for i, name in enumerate(_PERHAPS)},
    **dict.fromkeys(("", "unnamed:_0", "index"), ("index", 0)),
}

# Words that name what trainings measure; a table with none of them and without an axis is hardly a log.
_METRIC = re.compile(
    r"(?:^|[^a-z])(?:loss\w*|\w*loss|acc\w*|auc\w*|f1\w*|lr|learning_?rate|reward\w*|ep_rew\w*|mae|mse|rmse|nll|elbo"
    r"|\w*iou\w*|map\w*|ap|ppl|perplexity|psnr|ssim|fid|error|err|precision|recall|kl\w*|entropy|returns?|dice|wer|cer"
    r"|bleu\w*|rouge\w*|grad_?norm|bpb|bpc|r2|logloss|fitness|objective|energy|cost|success\w*|tokens_per_s\w*|ndcg\w*"
    r"|hit_?ratio\w*|hits?)(?:$|[^a-z])"
)


def normal(name: str) -> str:
    """A column's name for comparison: lower case, trimmed, words joined by `_`; the namespace stays."""
    return re.sub(r"[\s\-.]+", "_", name.strip().strip("#").strip().lower())


# Names that may as well be the planned number, repeated in every row.
PLANNED = frozenset(("total_steps", "num_steps", "n_steps", "steps", "epochs", "num_iter", "iterations", "n_epoch"))


@lru_cache(maxsize=65_536)
def axis_of(name: str) -> tuple[Axis, int] | None:
    """The coordinate that a column may hold and its rank among names for the same one (0 is best)."""
    return _RANK.get(normal(name))


def is_series_too(name: str) -> bool:
    """Whether a coordinate is also an ordinary metric of the tool that wrote it."""
    return "/" in name


@lru_cache(maxsize=65_536)
def is_metric_name(name: str) -> bool:
    """Whether a name has a word that trainings use for what they measure."""
    spread = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip()).lower()[:200]
    return _METRIC.search(spread.replace("_", " ")) is not None or _METRIC.search(spread) is not None


def clock(text: str) -> float | None:
    """Seconds of a time as text: `mm:ss`, `h:mm:ss[.f]`, `1 day, 2:03:04` or an ISO date (UTC where no zone)."""
    text = text.strip()
    match = re.fullmatch(r"(?:(\d+) days?,? *)?(?:(\d+):)?(\d{1,3}):(\d{1,2}(?:\.\d+)?)", text)
    if match:
        days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if len(text) < 10 or not text[:4].isdigit():
        return None
    iso = re.sub(r"[Zz]$|[ ]?UTC$", "+00:00", text.replace("/", "-").replace(",", "."))
    iso = re.sub(r"\.(\d+)", lambda m: "." + m[1][:6].ljust(6, "0"), iso, count=1)
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return None
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (OverflowError, ValueError):
        return None
