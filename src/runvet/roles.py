"""What a metric's name means: one readable table from words to roles.

A name is split into lower-case words (`trainLoss_epoch` -> train, loss, epoch). The words of a split (train, val,
test) are taken out first; the first row of `TABLE` that matches the rest gives the role and the better direction.
Roles of losses, errors and metrics carry the split: `train_loss`, `val_accuracy`. Users add rows in `[names]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from runvet.run import Direction, Series, Split

SPLITS: Mapping[Split, frozenset[str]] = {
    "train": frozenset({"train", "training", "trainings", "trn", "learn", "tr", "training_loss"}),
    "val": frozenset(
        "val valid validation validate validating eval evaluation evaluating dev heldout holdout cv validset".split()
    ),
    "test": frozenset({"test", "testing", "tst"}),
}
SPLIT_WORDS = frozenset().union(*SPLITS.values())
# Parts of names in other languages, as they stand before a name is cut into words; the longer ones first.
TRANSLATED: Sequence[tuple[str, str]] = tuple(
    (part, f" {word} ")
    for word, parts in (
        (
            "train",
            "训练 訓練 学習 學習 학습 훈련 обучени[еяию]+ обуч (?:d['’])?entra[iî]nement entrenamiento treino addestramento",
        ),
        ("val", "验证 驗證 検証 검증 валидаци[яиюей]+ валид validierungs? validaci[oó]n validação validazione"),
        ("test", "测试 測試 テスト 테스트 тест[еау]?"),
        ("loss", "损失 損失 손실 потер[иья] лосс perte verlust p[eé]rdida perda perdita"),
        (
            "accuracy",
            "准确率 準確率 正确率 正解率 精度 정확도 точность genauigkeit précision exactitude exactitud precisión acur[aá]cia",
        ),
        ("error", "误差 誤差 오차 ошибк[аи] fehler erreur"),
        ("reward", "奖励 獎勵 報酬 보상 награда r[eé]compense recompensa belohnung"),
        (
            "learning rate",
            "学习率 學習率 学習率 학습률 скорость обучения taux d'apprentissage lernrate tasa de aprendizaje",
        ),
        ("gradient norm", "梯度范数 норма градиента"),
    )
    for part in re.split(r" (?!обучения|d'app|de apr|градиента)", parts)
)
# Words that say how a number was averaged or for what span, not what it is.
GENERIC = frozenset(
    "epoch step iter iteration batch avg average mean running smooth smoothed current cur total overall all sum full"
    " global local main final the of per metric metrics logs log scalar scalars loss losses objective cost criterion"
    " ema raw micro rank reduced window interval averaged stats word words token tokens avr set del de la en sur на info".split()
)
# Words that say which loss it is: it is the whole one where the name has no others.
CRITERION = frozenset(
    "nll logloss mlogloss xent ce bce elbo infonce crossentropy binary categorical sparse multi softmax".split()
)


class Meaning(NamedTuple):
    """Role without its split, better direction, and whether the split belongs in the role's name."""

    role: str
    direction: Direction | None
    split: bool = False


# (pattern over the words joined with '_', meaning); the first match wins.
TABLE: Sequence[tuple[str, Meaning]] = (
    (r"^(?:epochs?|n_?epochs?|current_epoch|ep)$", Meaning("epoch", None)),
    (
        r"^(?:_?step|steps?|global_step|iters?|iterations?|n_iter|total_timesteps|time_total_timesteps|update|updates|n_updates|total_steps)$",
        Meaning("step", None),
    ),
    (
        r"^(?:cost_time|time_cost|time_taken|time_used)$|(?:^|_)(?:runtime|timestamp|wall_time|elapsed|eta|remaining|time_elapsed|train_time|total_time)(?:_|$)",
        Meaning("clock", None),
    ),
    (
        r"(?:^|_)(?:lr|lrs|learning_rate|lr\d*|lr_pg\d|lr_mul|pg\d+|lrate|learn_rate)(?:_|$)|^lr|^l_r$",
        Meaning("lr", None),
    ),
    (
        r"(?:^|_)(?:loss_scale(?!_avg)|grad_scale|scaler_scale|amp_scale)(?:_|$)",
        Meaning("loss_scale", None),
    ),  # `…Loss_scale_avg` is a part
    (r"clip(?:ped)?_?(?:frac|fraction|ratio|coef|rate)|(?:^|_)clipfrac(?:_|$)", Meaning("clip_fraction", None)),
    (
        r"grad(?:ient)?s?_?(?:total_)?norm|(?:^|_)gnorm(?:_|$)|norm_grad|total_norm|(?:^|_)gradient_norm",
        Meaning("grad_norm", None),
    ),
    (
        r"(?:^|_)(?:data|data_time|data_s|loader_time|dataloader|load_time|data_loading|data_wait|reader_cost)(?:_time|_s|_ms)?$",
        Meaning("data_time", "down"),
    ),
    (
        r"(?:^|_)(?:batch_time|batch_cost|step_time|iter_time|step_timing|time_this_iter|step_avg|time_per_(?:step|iter|batch)|s_it|sec_per_(?:step|iter)|ms_per_(?:step|iter)|step_ms|sec_batch)(?:_|$)|^(?:time|dt|batch)$",
        Meaning("step_time", "down"),
    ),
    (
        r"(?:^|_)(?:fps|ips|tps|sps|throughput|speed|(?:samples?|images?|imgs?|tokens?|examples?|it|iters?|steps?|wps|ups|words?)_(?:per_)?(?:s|sec|second)|samples_s|tok_s|wps|mfu|tflops)(?:_|$)",
        Meaning("throughput", "up"),
    ),
    (r"(?:^|_)(?:gpu_util|gpu_utilization|gpu_\d+_gpu|utilization_gpu)(?:_|$)", Meaning("gpu_utilisation", "up")),
    (
        r"(?:^|_)(?:mem|memory|gpu_mem|max_mem|peak_mem|rss|vram|memallocated|memory_allocated|mem_gb|maxmemallocated)(?:_|$)",
        Meaning("memory", None),
    ),
    (
        r"(?:codebook|code|token|action|actions|cluster|dictionary|vq)_?(?:usage|use|used|utili[sz]ation|perplexity|ppl)|unique_?(?:codes?|actions?|tokens?)|(?:usage|perplexity)_(?:codebook|code)",
        Meaning("codebook_usage", "up"),
    ),
    (
        r"(?:^|_)(?:codebook_|action_|actions_|code_|policy_)?(?<!cross_)entropy(?:_|$)(?!loss)",
        Meaning("entropy", None),
    ),
    (r"(?:^|_)(?:kl|kld|kldiv|kl_div|kl_loss|loss_kl|approx_kl|kl_approx|ppo_kl)(?:_|$)", Meaning("kl", None)),
    (
        r"^(?:(?:loss|gan)_)?(?:d|net_?d|dis|disc|discr|discriminator)_(?:(?:a|b|x|y|real|fake|total|adv|gan|hinge)_)*loss"
        r"|^loss_(?:d|dis|disc|discriminator)(?:_|$)|(?:^|_)discriminator_loss|^d_(?:a|b|real|fake)?$|^err_d(?:_|$)",
        Meaning("discriminator_loss", None),
    ),
    (
        r"^(?:(?:loss|gan)_)?(?:g|net_?g|gen|generator)_(?:(?:a|b|x|y|total|adv|gan|hinge)_)*loss"
        r"|^loss_(?:g|gen|generator)(?:_|$)|(?:^|_)generator_loss|^g_(?:a|b)?$|^gan_?loss|^err_g$",
        Meaning("generator_loss", None),
    ),
    (
        r"(?:^|_)(?:ep_?rew(?:ard)?(?:_mean)?|rew(?!_std)|rewards?|returns?|episode_reward|mean_episode_rewards?|score_mean|ep_ret)(?:_|$)",
        Meaning("reward", "up"),
    ),
    (r"(?:^|_)success(?:_rate)?(?:_|$)", Meaning("success_rate", "up", True)),
    (
        r"(?:^|_)(?:ppl|perplexity|bpb|bpc|bits_per_(?:byte|char|token|dim)|bpd)(?:_|$)",
        Meaning("perplexity", "down", True),
    ),
    (
        r"(?:^|_)(?:acc|accuracy|accuracies|top_?[15]|acc_?[15]|pixacc|[amp]acc|acc_top\d|accu)(?:_|$)|^acc",
        Meaning("accuracy", "up", True),
    ),
    (
        r"(?:^|_)(?:m?ap(?:_?\d+)*|map50(?:_95)?|auc|auroc|roc_auc|f1|f1_score|precision|recall|m?iou|fwiou|[gdc]iou|dice|dsc|bleu\d?|rouge\w*|meteor|psnr|ssim|hit_ratio\w*|hits?|ndcg\w*|mrr|r2|kappa|mcc|pck|ar|explained_variance|ess|is_score|inception_score|clip_score|rewards_(?:margins|accuracies)|margins|hella(?:swag)?)(?:_|$)|_score$|^score$|(?:^|_)r_(?:1|5|10|50|100)$",
        Meaning("metric", "up", True),
    ),
    (
        r"(?:^|_)(?:rmse|mae|mape|smape|wer|cer|eer|ter|fid|kid|lpips|ade|fde|minade|minfde|epe|l1|l2|err(?:or)?s?|mse|mean_squared_error|mean_absolute_error|nrmse|chamfer|hausdorff|distance)(?:_|$)(?!loss)",
        Meaning("error", "down", True),
    ),
    (
        r"(?:^|_)(?:loss|losses|nll|xent|ce|bce|cross_?entropy|m?logloss|elbo|objective|cost|total_?loss|info_?nce|nt_?xent)(?:_|$)|loss|^total$",
        Meaning("loss", "down", True),
    ),
)
# Every role that a series can have; what a user names has to be one of them, or a direction.
ROLES = tuple(
    dict.fromkeys(
        [f"{split}_{m.role}" for _, m in TABLE if m.split for split in SPLITS]
        + [m.role for _, m in TABLE if m.role != "loss"]
        + ["loss_term", "val_loss_term", "test_loss_term"]
    )
)
_COMPILED = tuple((re.compile(pattern), meaning) for pattern, meaning in TABLE)
_FILE = re.compile(r" \([^()]*\)$")
_FOREIGN = re.compile("|".join(f"({part})" for part, _ in TRANSLATED), re.IGNORECASE)
# Names that keep their parts together although their letters change from small to capital.
_WHOLE = re.compile(r"(?<![A-Za-z])[a-z]?(?:AP|AR|IoU|IOU|Acc|Dice|PSNR|SSIM)(?![a-z])|(?<=[a-z]{2})IoU|BLEU|mAP")
_VALUE_OF = re.compile(r"(?<=loss)[ _]values?$")  # `lm loss value` is the loss, `value loss` a term of it
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+\d*|[A-Z]+\d*|\d+|[^\W\d_a-zA-Z]+")
_SCORES = frozenset({"accuracy", "metric", "error"})
_LOSS = frozenset({"loss", "losses"})
_OPTIMISED = frozenset(
    "rmse mse mae mape rmsle l1 l2 error merror squared absolute".split()
)  # errors that are minimised
_OF_MODEL = frozenset("lm mlm clm ntp ctc clip mle seq2seq".split())  # a loss called by its model is the whole
_PART = re.compile(
    r"policy|actor|critic|value|vf|pg|surrogate|adv|commit|reg|aux|balanc|router|(?<!cross_)entropy|penalty|margin"
)
_SPECIAL: Mapping[str, tuple[Split, str]] = {
    "trl": ("train", "loss"),
    "tel": ("test", "loss"),
}


@lru_cache(maxsize=65_536)
def words(name: str) -> tuple[str, ...]:
    """The lower-case words of a metric's name: `metrics/mAP50-95(B)` -> metrics, map50, 95, b."""
    name = _WHOLE.sub(
        lambda m: ("_" if m.string[m.start() - 1 : m.start()].isalpha() else "") + m[0].lower(), name[:300]
    )
    name = _FOREIGN.sub(lambda m: TRANSLATED[(m.lastindex or 1) - 1][1], name)
    return tuple(w.lower() for w in _WORDS.findall(_VALUE_OF.sub("", name).replace("'s ", " ")))


@lru_cache(maxsize=65_536)
def meaning(name: str) -> tuple[str | None, Direction | None, Split | None]:
    """Role, better direction and split of a metric's name; None for what the name does not tell.

    A loss that is one part of a total (`box_loss`, `loss_kl`) has the role `loss_term`. A loss whose name tells no
    split counts as training; a metric whose name tells none keeps a role without split (`accuracy`).
    """
    # W&B's chart export says `<run> - <metric>`; two files of one stage that log the same are `loss (file)`.
    parts = words(_FILE.sub("", name.rsplit(" - ", 1)[-1]))
    if len(parts) == 1 and parts[0] in _SPECIAL:
        split, kind = _SPECIAL[parts[0]]
        return f"{split}_{kind}", "down", split
    split_of: Split | None = None
    for candidate in ("test", "val", "train"):
        if SPLITS[candidate] & set(parts):
            split_of = candidate
    if "val" in parts or "eval" in parts or "valid" in parts or "validation" in parts:
        split_of = "val"
    rest = tuple(w for w in parts if w not in SPLIT_WORDS)
    joined = "_".join(rest)
    for pattern, found in _COMPILED:
        if pattern.search(joined):
            if found.role in _SCORES and not _LOSS.isdisjoint(rest):  # `dice_loss` falls
                found = Meaning("loss", "down", True)
            return _resolve(found, rest, split_of)
    return None, None, split_of


def _only_split(name: str) -> bool:
    split = meaning(name)[2]
    return meaning(name)[0] is None and split is not None and not [w for w in words(name) if w not in SPLITS[split]]


def _falls(series: Series) -> bool:
    """Whether a curve goes down in its first third, as losses do even where they diverge later."""
    v = series.value[np.isfinite(series.value)]
    part = max(1, len(v) // 6)
    return bool(len(v)) and float(np.median(v[part : 2 * part + 1])) <= float(np.median(v[:part]))


def _main_terms(series: Sequence[Series]) -> frozenset[str]:
    """Losses whose names tell of a term but that stand for the whole, as their stage logs no other total: `lm loss`."""
    out = set()
    for split in (None, "val", "test"):
        mine = [s.name for s in series if _same_split(s.name, split)]
        terms = [n for n in mine if (meaning(n)[0] or "").endswith("loss_term")]
        if any((meaning(n)[0] or "").endswith(("train_loss", "val_loss", "test_loss")) for n in mine):
            continue
        whole = [n for n in terms if not _PART.search("_".join(words(n)))]
        named = [n for n in whole if _OF_MODEL & set(words(n))]
        if len(named) == 1 or (len(terms) == 1 and whole):
            out.add((named or whole)[0])
    return frozenset(out)


def _same_split(name: str, split: Split | None) -> bool:
    return meaning(name)[2] in ((None, "train") if split is None else (split,))


def _criteria(series: Sequence[Series]) -> Mapping[str, str]:
    """Roles of losses for the errors that a stage without any loss minimises: XGBoost's `train-rmse`, `eval-rmse`.

    The first error that is told of training, for every split; boosting logs what it optimises first.
    """
    known = [(one.name, *meaning(one.name)) for one in series]
    if any((role or "").endswith(("loss", "loss_term")) for _, role, _, _ in known):
        return {}
    errors = [(name, split) for name, role, _, split in known if (role or "").endswith("error") and split]
    first = next((name for name, split in errors if split == "train" and _OPTIMISED & set(words(name))), None)
    if first is None:
        return {}
    return {name: f"{split}_loss" for name, split in errors if split and kind(name) == kind(first)}


def kind(name: str) -> tuple[str, ...]:
    """The words of a name without those of a split: `train-rmse` and `eval-rmse` are of one kind."""
    return tuple(w for w in words(name) if w not in SPLIT_WORDS)


def _resolve(found: Meaning, rest: tuple[str, ...], split: Split | None) -> tuple[str, Direction | None, Split | None]:
    if found.role == "loss":
        criterion = CRITERION | ({"cross", "entropy"} if "cross" in rest else set())
        if any(w not in GENERIC and w not in criterion and not w.isdigit() for w in rest):
            return ("loss_term", "down", split) if split in (None, "train") else (f"{split}_loss_term", "down", split)
        return f"{split or 'train'}_loss", "down", split
    if found.split and split:
        return f"{split}_{found.role}", found.direction, split
    return found.role, found.direction, split


def assign(series: Sequence[Series], names: Mapping[str, str] | None = None) -> tuple[Series, ...]:
    """The series of one stage with role, direction and split filled in.

    `names` maps a metric's name (or its last part) to a role, or to `up` / `down` for the direction alone. A bare
    `train` or `val` is a loss where the stage has no other loss, and where it falls: it may be a score.
    """
    out = []
    main, criteria = _main_terms(series), _criteria(series)
    losses = sum(meaning(s.name)[0] == "train_loss" for s in series)
    has_loss = any((meaning(s.name)[0] or "").endswith("_loss") or meaning(s.name)[0] == "loss_term" for s in series)
    bare = {} if has_loss else {s.name: s for s in series if _only_split(s.name)}
    first = next(iter(bare.values()), None)  # trainers print it before those of other data
    falls = first is not None and _falls(first)
    for one in series:
        role, direction, split = meaning(one.name)
        if role is None and split and falls and one.name in bare:
            role, direction = f"{split}_loss", "down"
        if role == "train_loss" and words(one.name) == ("cost",) and losses > 1:
            role, direction = "clock", None  # what a step cost in seconds
        if words(one.name) == ("rate",) and len(one) and float(one.value.max()) < 1.0:
            role, direction = "lr", None  # what darknet calls it
        if one.name in main:
            role = f"{split or 'train'}_loss"
        role = criteria.get(one.name, role)
        told = (names or {}).get(one.name) or (names or {}).get(one.name.rsplit("/", 1)[-1])
        if told in ("up", "down"):
            direction = "up" if told == "up" else "down"
        elif told:
            role = told
            direction = next((m.direction for _, m in TABLE if told.endswith(m.role)), direction)
        out.append(replace(one, role=role, direction=direction, split=split))
    return tuple(out)
