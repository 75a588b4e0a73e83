"""Words that logs use for positions, phases and metrics, in the languages that we have seen."""

from __future__ import annotations

import re
from functools import lru_cache

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SPLIT = re.compile(r"[\s_/\-.()\[\]:#*+]+")

_EPOCH = frozenset(
    "epoch ep epo epoca época époque epoche эпоха эпох 轮 轮次 周期 エポック 에폭 에포크 epoka dönem".split()
)
_STEP = frozenset(
    [
        "step",
        "steps",
        "iter",
        "iters",
        "iteration",
        "iterations",
        "itr",
        "itrs",
        "it",
        "batch",
        "batches",
        "update",
        "updates",
        "minibatch",
        "mb",
        "stp",
        "timesteps",
        "timestep",
        "步",
        "步数",
        "迭代",
        "迭代次数",
        "批次",
        "шаг",
        "итерация",
        "paso",
        "étape",
        "schritt",
        "bước",
        "ステップ",
        "스텝",
        "globalstep",
    ]
)
_PLAIN = frozenset(
    [
        "train",
        "training",
        "trn",
        "val",
        "valid",
        "validation",
        "validating",
        "validate",
        "test",
        "testing",
        "eval",
        "evaluation",
        "evaluating",
        "end",
        "of",
        "current",
        "cur",
        "start",
        "starting",
        "at",
        "in",
        "the",
        "begin",
        "beginning",
        "this",
        "trainer",
        "my",
        "main",
        "now",
        "completed",
        "finished",
        "total",
        "time",
    ]
)
_GLOBAL = frozenset(
    "global total num number env opt optimizer optim updates timesteps globalstep trainer agent".split()
)
_COUNTS = frozenset("max total num n nb number of training train optimization the all planned".split())

# What a metric is called; anything with one of these words may stand without a separator or a position of its own.
_METRIC = re.compile(
    r"(?i)loss|accura|perplex|損失|损失|准确|精度|误差|奖励|точност|потер|正解率|정확도|손실"
    r"|(?<![a-z])(?:acc|err|errors?|mse|mae|rmse|mape|smape|ppl|bleu|sacrebleu|rouge|dice|m?iou|jaccard|map|ap|ar|auc|auroc|f1|precision|recall"
    r"|rewards?|returns?|score|scores|kl|elbo|entropy|psnr|ssim|lpips|fid|kid|wer|cer|bpc|bpb|bpd|lr|learning rate|grad norm|gradnorm|gnorm|ndcg|mrr"
    r"|hit|hits|r2|nll|ce|bce|mfu|success|acc1|acc5|top1|top5|cost|objective|energy|recon|reconstruction|ade|fde|epe|pixacc|metric|metrics"
    r"|fps|throughput|speed|mAP@|acc@)(?:s|es)?\d{0,3}(?![a-z])|mAP"
)
NEUTRAL = re.compile(
    r"(?i)(?<![a-z])(?:lr|learning.?rate|time|mem|memory|speed|throughput|fps|data|wps|ups|wpb|gpu|grad.?norm|gnorm|num updates|batch time|data time|loss.?scale|momentum|wall|steps?|epoch|it)(?![a-z])"
)
IGNORED = frozenset(
    {
        *(
            "eta",
            "remaining",
            "time left",
            "est time left",
            "estimated time",
            "seed",
            "random seed",
            "v num",
            "version",
        ),
        *(
            "device",
            "cuda",
            "gpu",
            "gpus",
            "gpu id",
            "job id",
            "rank",
            "local rank",
            "world size",
            "port",
            "pid",
            "tid",
        ),
        *("line", "file", "id", "thread", "node", "python"),
    }
)
COUNTED = frozenset(
    "test val valid validation eval train training testing validating progress batch batches predicting inference".split()
)
GENERIC = frozenset("min max mean std avg average median sum count var p50 p90 p95 p99 range norm".split())
STOP = frozenset(
    [
        "with",
        "and",
        "of",
        "is",
        "was",
        "at",
        "the",
        "to",
        "in",
        "by",
        "from",
        "after",
        "on",
        "for",
        "that",
        "are",
        "has",
        "reached",
        "got",
        "a",
        "an",
        "as",
        "over",
        "than",
        "this",
        "be",
        "via",
        "into",
        "it's",
        "its",
        "using",
        "improved",
        "decreased",
        "increased",
        "dropped",
        "now",
        "to:",
    ]
)

_PHASES = (
    ("val", re.compile(r"(?i)(?<![a-z])(?:val|valid|validation|validate|validating|dev|eval|evaluate|evaluating|evaluation|evaluations|cv|saving dict|cur metric)(?![a-z0-9])|验证|驗證|評価|검증")),
    ("test", re.compile(r"(?i)(?<![a-z])(?:test|tests|testing|inference)(?![a-z])|测试|テスト")),
    ("train", re.compile(r"(?i)(?<![a-z])(?:train|training|trn)(?![a-z])|训练|訓練|학습")),
)  # fmt: skip


def tokens(name: str) -> list[str]:
    """The words of a name in lower case: `train/globalStep` gives train, global, step."""
    return [t for t in _SPLIT.split(_CAMEL.sub(" ", name).lower()) if t]


@lru_cache(maxsize=8_192)
def is_metric(name: str) -> bool:
    """Whether a name says by itself that it is a metric."""
    return _METRIC.search(name.replace("_", " ")) is not None


def is_phase(name: str) -> bool:
    """Whether a name is nothing but a phase: `train`, `val`."""
    return bool(found := tokens(name)) and set(found) <= COUNTED


def phase(text: str) -> str:
    """'val', 'test', 'train' or '' for the words of a heading or a name."""
    text = text.replace("_", " ")
    for name, pattern in _PHASES:
        if pattern.search(text):
            return name
    return ""


def phase_word(text: str) -> str:
    """The log's own word for its phase: `Training` in `Training epoch 3`; '' where there is none."""
    for _, pattern in _PHASES:
        if found := pattern.search(text.replace("_", " ")):
            return found[0]
    return ""


def phases(text: str) -> set[str]:
    """All phases named in a text."""
    text = text.replace("_", " ")
    return {name for name, pattern in _PHASES if pattern.search(text)}


def position(name: str) -> tuple[str, int] | None:
    """What a name counts: ('epoch', 0), or ('step', rank) where a higher rank is a more global count."""
    words = tokens(name)
    if not words or len(words) > 4:
        return None
    last, others = words[-1], words[:-1]
    if (
        last in _EPOCH
        and all(w in _PLAIN or w in _GLOBAL for w in others)
        and "total" not in others
        and "num" not in others
    ):
        return "epoch", 0
    if last in _STEP and all(w in _PLAIN or w in _GLOBAL or w in _STEP or w == "micro" for w in others):
        if last in {"update", "updates"} or (last in {"timesteps", "globalstep"} and others):
            return "step", 3
        if "micro" in others or last in {"batch", "batches", "minibatch", "mb"}:
            return "step", 0
        if "num" in others or "number" in others or ("total" in others and last != "timesteps"):
            return None
        return "step", 2 if any(w in _GLOBAL for w in words) else 1
    return None


def planned(name: str) -> str:
    """'planned-epochs' or 'planned-steps' where a name gives a total, else ''."""
    words = tokens(name)
    if not words or len(words) > 5 or not all(w in _COUNTS for w in words[:-1]) or len(words) == 1:
        return ""
    if words[-1] == "epochs" or (words[-1] == "epoch" and {"max", "total", "num", "n", "number"} & set(words)):
        return "planned-epochs"
    return "planned-steps" if words[-1] in {"steps", "iterations", "iters", "iter"} else ""
