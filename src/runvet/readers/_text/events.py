"""Lines that matter although they are no metrics: crashes, restarts, weights, checkpoints, warnings."""

from __future__ import annotations

import re

_ANY = r"[^\n]{0,120}?"
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.I))
    for kind, pattern in (
        ("killed", rf"^\s*(?:\S{{0,60}}:? (?:line \d+: )?)?\s*(?:\d+ )?(?:killed|terminated|aborted)\b\s*(?:\(core dumped\))?\s*$|oom[-_ ]kill|segmentation fault|\bsigkill\b|\bsigterm\b|\bsigsegv\b|signal 9\b|\*\*\* job{_ANY}cancelled|cancelled at \d{{4}}|due to (?:time limit|preemption)|core dumped|exit(?:ed)?{_ANY}(?:code|status):? -(?:9|15|11)\b|^\s*killed\b|bus error"),
        ("out-of-memory", r"out of memory|outofmemoryerror|error_out_of_memory|resource_exhausted|cublas_status_alloc_failed"),
        ("start", r"^nohup: ignoring input|(?<!\w)namespace\(|^\W{3,}\s?(?:options|arguments|args|config(?:uration)?|hyper-?parameters)\s?\W{3,}$|distributed init|command[- ]line arg|^\s*environment info|system environment:|wandb: (?:tracking run|syncing run)|rank of current process|:::mlp\S* .{0,120}run_start|^\s*>? ?training environment:|^\W{0,20}running training \*"),
        ("resume", rf"\bresum(?:e|ed|ing)\b{_ANY}(?:checkpoint|ckpt|epoch|step|iter|from|train|state|\.pt|weights)|\brestor(?:ed|ing)\b{_ANY}(?:checkpoint|ckpt|model|weights|state|from)|load(?:ed|ing) (?:the |last |latest )?(?:checkpoint|ckpt|training state|optimizer)|continu(?:e|ing){_ANY}(?:training|checkpoint)|恢复训练|加载检查点|继续训练"),
        ("from-scratch", rf"\bno (?:\w+ ){{0,3}}(?:checkpoints?|ckpts?)\b{_ANY}(?:found|exists?\b|available|to (?:resume|load|restore))|(?:checkpoints?|ckpts?)\b{_ANY}\b(?:not found|(?:does not|doesn't) exist)|\b(?:start|train|begin)\w*\b[^\n]{{0,40}}\bfrom scratch\b"),
        ("weights-loaded", r"\b(?:loaded|loading|initiali[sz]ed|restored|matched|transferred|copied)\b[^\d\n]{0,40}\b\d+(?:\s*/\s*\d+)?\s+(?:\w+\s+){0,2}(?:tensors?|param(?:eter)?s?|weights|keys|layers|items|modules|variables|entries)\b|all keys matched successfully"),
        ("weights-missing", r"missing[ _]?keys?|unexpected[ _]?keys?|newly initiali[sz]ed|not initiali[sz]ed from|were not used when|size mismatch for|incompatible ?keys"),
        ("world-size", r"world[ _-]?size|\bnum(?:ber)?[._ ]{1,2}(?:of )?(?:gpus|processes|devices)\b|\bgpu number\b|\busing \d+ gpus\b|nproc_per_node|\bn_?gpus?\s?[:=]\s?\d"),
        ("import-path", r"\bimport(?:ed|ing)?\b[^\n]{0,100}[/\\][^\s'\"]{1,200}\.py\b|\bmodule\b[^\n]{0,60}\b(?:from|at)\b ['\"]?[/\\][^\s'\"]{1,200}\.py"),
        ("work-dir", r"\b(?:cwd|(?:job|work|working|current working|run)[ _-]?dir(?:ectory)?)['\"]?\s?[:=]\s?\S"),
        ("loss-scale", r"(?:overflow|reduc|increas|skipp|lower|decreas)[^\n]{0,100}(?:loss|grad)[ _]?scale|loss[ _]scale[^\n]{0,40}(?:overflow|reduc|increas|skip|lower|decreas|to:? \d)|gradient overflow|overflow detected"),
        ("tracker-dropped", r"less than the current step|must only increase|steps must be monotonically|must be logged in increasing|out of order[^\n]{0,40}step|dropp\w+[^\n]{0,60}(?:history|log|metric|summary)"),
        ("checkpoint-saved", rf"\bsav(?:ed|ing|e)\b{_ANY}(?:checkpoint|model|ckpt|weights|state|\.pth?\b|\.ckpt|\.h5|safetensors)|(?:checkpoint|model|weights|ckpt)\b{_ANY}\b(?:was |is |successfully )?saved|\b(?:wrote|written|writing|dumped|dumping|stored|storing) (?:the |a |new |latest |best |full |model ){{0,3}}(?:checkpoint|ckpt|model|weights)|(?:checkpoint|ckpt|model|weights) (?:was |is |successfully |has been )?(?:written|stored|dumped)\b|保存模型|模型已保存|保存检查点"),
        ("best", r"(?<![a-z'\"/])best(?![a-z@'\"])[^\n]{0,80}(?:model|dice|loss|acc|score|valid|epoch|map|iou|so far|metric|result|ppl|psnr|reward|f1|bleu|checkpoint)|\bimproved from [-+.\deE]+ to [-+.\deE]+"),
        ("finished", r"(?:^|[^\w])(?:training|train|optimization|run|experiment) (?:is |was |has )?(?:now )?(?:complete|completed|finished|done|ended|over)\b|(?:finished|completed|done with|end of) training\b|^\W*(?:total )?training time|训练完成|训练结束|训练完毕|学習完了|학습 완료|huấn luyện hoàn|entrenamiento completado|training terminé|обучение завершено"),
    )
)  # fmt: skip
_NOT = {
    "resume": re.compile(
        r"(?i)fail|no checkpoint|not found|resume['\"]?\s?[:=]\s?(?:none|false|0|''|\"\")|from scratch|checkpoints? (?:was|were|will)"
    ),
    "weights-missing": re.compile(
        r"(?i)(?:missing|unexpected)[ _]?keys?['\"]?\s?[:=]\s?(?:\[\]|0\b|none)(?!.*(?:missing|unexpected)[ _]?keys?['\"]?\s?[:=]\s?\[['\"])|all keys matched"
    ),
    "checkpoint-saved": re.compile(
        r"(?i)will be saved|will save|\b(?:\w+_save|save_)\w*['\"]?\s{0,3}[:=]|--\w*save|saved model config|config saved|sav(?:e|ing)[^\n]{0,20}(?:freq|every|interval)|not sav|fail"
    ),
    "out-of-memory": re.compile(r"(?i)(?:to )?avoid (?:running )?(?:out of|oom)|if you (?:run|get|see)"),
    "start": re.compile(r"(?i)tensorboard"),
    "finished": re.compile(r"(?i)not finished|epoch|estimated|remaining"),
}
_WARNING = re.compile(r"(?:\b\w{0,40}Warning:|^\s*(?:\[?(?:WARN|WARNING|Warning)\]?\b)|\bWARNING\b|⚠)")
_ERROR = re.compile(r"(?i)(?:(?:^|[\s:\]])(?:error|fatal)\s?:(?!\s?\d)|^\s?\w{1,60}(?:error|exception): )")
_EXCEPTION = re.compile(r"^\s{0,2}(?P<type>[A-Za-z_][\w.]{0,120})(?::\s|:?$|: ?)")
_FILE = re.compile(r'^\s{0,12}File "(?P<path>[^"]{1,400})", line \d')
_LIBRARY = re.compile(
    r"site-packages|dist-packages|[/\\]lib[/\\]python|<frozen|<string>|<stdin>|^<|[/\\]anaconda|[/\\]miniconda|[/\\]bin[/\\]"
)
_PATH = re.compile(
    r"(?:[A-Za-z]:)?[\w./\\+=~:@%\-]{0,300}(?:\.(?:pth|pt|ckpt|bin|safetensors|h5|hdf5|keras|tar|pkl|npz|params|pdparams|msgpack)\b|checkpoint[-_]\d+|step[-_]\d+)"
)
# A folder without a telling name, after a word that leads to it: `saved checkpoint to out/save_3`.
_FOLDER = re.compile(
    r"(?i)(?:\b(?:to|at|in|into|as|under|from)|[:=]|->)\s{0,3}['\"]?((?:[A-Za-z]:)?[\w.~+=@%\-]{0,100}[/\\][\w./\\~+=@%\-]{1,300})"
)
_NUMBERS = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_COUNT = re.compile(
    r"\b(?:loaded|loading|initiali[sz]ed|restored|matched|transferred|copied)\b[^\d\n]{0,40}(\d+)", re.I
)
_MISSING = re.compile(r"(?i)(\d+) (?:missing|unexpected|newly)|(?:missing|unexpected)[ _]?keys?['\"]?\s?[:=(]\s?(\d+)")
_WORLD = re.compile(
    r"(?i)(?:world[ _-]?size|gpus|processes|devices|gpu number|nproc_per_node|n_?gpus?)['\"]?\s{0,4}[:=(]{0,2}\s{0,4}(\d{1,6})|using (\d{1,6}) gpus"
)
_DIR = re.compile(
    r"(?i)\b(?:cwd|(?:job|work|working|current working|run)[ _-]?dir(?:ectory)?)['\"]?\s?[:=]\s?['\"]?([^\s'\",]{1,400})"
)
_MODULE = re.compile(r"((?:[A-Za-z]:)?[/\\][^\s'\"]{1,300}\.py)")
_SCALE = re.compile(
    r"(?i)(?:scale[^\n]{0,60}?(?:reducing|increasing|lowering)?\s(?:from [\d.e+-]{1,30} )?to:?|to:?|scale:?=?)\s{0,3}(\d[\d.e+-]{0,30})"
)

START = "start"


def kinds(text: str, level: str, metric: bool) -> tuple[str, ...]:
    """The kinds of events that a line tells of. `metric`: the line gives metrics, so `Error: 5.2` is none."""
    head = text[:2_000]
    found = [
        kind for kind, pattern in _PATTERNS if pattern.search(head) and not (kind in _NOT and _NOT[kind].search(head))
    ]
    if level == "error" or (not metric and not level and _ERROR.search(head[:400])):
        found.append("error")
    elif level == "warning" or _WARNING.search(head[:400]):
        found.append("warning")
    return tuple(found)


# Training goes on from a checkpoint; one that is merely loaded may be tested.
RESUMING = re.compile(r"(?i)\bresum(?:ed|ing)\b|恢复训练|继续训练")
# What stands beside the value of a best model: where it is saved, which of the kept ones it is.
_ASIDE = re.compile(
    r"""(?i)(['"])[^'"\s]*[/.=][^'"\s]*\1|\S+\.(?:ckpt|pth?|pkl|h5|keras|safetensors|bin|npz)\b|\btop[ -]\d+"""
)


def value_of(kind: str, text: str) -> float | str | None:
    """The number or word that an event of this kind carries, where the line says it."""
    if kind in {"resume", "checkpoint-saved"}:
        path = _PATH.search(text[:2_000])
        if path:
            return path[0].rstrip(".:,")
        folder = _FOLDER.search(text[:2_000]) if kind == "checkpoint-saved" else None
        return folder[1].rstrip(".:,/") if folder else None
    if kind == "weights-loaded":
        count = _COUNT.search(text)
        return float(count[1]) if count else None
    if kind == "weights-missing":
        missing = _MISSING.search(text)
        if missing:
            return float(missing[1] or missing[2])
        items = text.partition("[")[2].partition("]")[0]
        return float(items.count(",") + 1) if items.strip() else None
    if kind == "world-size":
        size = _WORLD.search(text)
        return float(size[1] or size[2]) if size else None
    if kind == "import-path":
        module = _MODULE.search(text)
        return module[1] if module else None
    if kind == "loss-scale":
        scale = None if "hysteresis" in text.lower() else _SCALE.search(text)
        return _float(scale[1]) if scale else None
    if kind in {"tracker-dropped", "best"}:
        numbers = _NUMBERS.findall(_ASIDE.sub(" ", text[:400]))
        return _float(numbers[0] if kind == "tracker-dropped" else numbers[-1]) if numbers else None
    return None


def directories(text: str) -> list[str]:
    """Every working or job directory that a line names."""
    return [m[1] for m in _DIR.finditer(text[:2_000])]


def _float(text: str) -> float | None:
    try:
        return float(text.rstrip("."))
    except ValueError:
        return None


class Traceback:
    """Follows one traceback from its first line to the line that names the exception."""

    def __init__(self, line: int) -> None:
        self.line, self.length, self.path = line, 0, ""

    def feed(self, text: str) -> tuple[str, str] | bool:
        """(type, `Type: message`) at the last line; True while it goes on; False where it ended without naming one."""
        self.length += 1
        if self.length > 5_000:
            return False
        place = _FILE.match(text)
        if place:
            if not _LIBRARY.search(place["path"]) and place["path"].endswith(".py"):
                self.path = place["path"]
            return True
        if (
            text[:1] in " \t^|+"
            or not text.strip()
            or text.startswith(("Traceback", "File ", "During handling", "The above exception", "[Previous"))
        ):
            return True
        match = _EXCEPTION.match(text)
        if match and (match["type"][:1].isupper() or "." in match["type"]):
            return match["type"].rsplit(".", 1)[-1], text.strip()
        return False
