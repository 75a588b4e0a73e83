"""Text logs of any program: whatever a training script prints, by one general grammar (see `_text`)."""

from __future__ import annotations

import re

from runvet.readers import Reader
from runvet.readers._text.lines import states
from runvet.readers._text.log import TextLog
from runvet.sink import Sink
from runvet.source import Source, decode

_LOGS = frozenset({".log", ".out", ".err", ".txt", ".stdout", ".stderr", ".nohup", ".console", ".output", ""})
_OTHER = frozenset(
    [
        ".py",
        ".pyi",
        ".ipynb",
        ".c",
        ".h",
        ".cc",
        ".cpp",
        ".cu",
        ".cuh",
        ".hpp",
        ".rs",
        ".go",
        ".java",
        ".js",
        ".ts",
        ".css",
        ".html",
        ".htm",
        ".xml",
        ".svg",
        ".md",
        ".rst",
        ".tex",
        ".bib",
        ".json",
        ".jsonl",
        ".yaml",
        ".yml",
        ".toml",
        ".ini",
        ".cfg",
        ".csv",
        ".tsv",
        ".sh",
        ".bash",
        ".bat",
        ".ps1",
        ".lock",
        ".sql",
        ".proto",
        ".cmake",
        ".patch",
        ".diff",
        ".r",
        ".m",
        ".jl",
        ".lua",
        ".rb",
        ".php",
        ".scala",
        ".kt",
        ".swift",
        ".srt",
        ".vtt",
        ".ply",
        ".obj",
        ".pdb",
        ".fasta",
        ".fa",
        ".gitignore",
        ".env",
        ".pem",
        ".key",
        ".png",
        ".jpg",
        ".jpeg",
        ".gif",
        ".webp",
        ".bmp",
        ".pt",
        ".pth",
        ".bin",
        ".npy",
        ".npz",
        ".pkl",
        ".h5",
        ".safetensors",
        ".onnx",
        ".zip",
        ".tar",
    ]
)
_NAMES = re.compile(
    r"(?i)^(?:requirements|constraints|licen[cs]e|readme|copying|notice|authors|changelog|vocab|merges|classes|labels|names|cmakelists|makefile|dockerfile)"
)
_TELLING = re.compile(r"(?i)loss|epoch|step|iter|acc|train|error|traceback|\b\d+%")


def claims(source: Source) -> float:
    """Low for any text with lines (specific readers win), 0 for everything that is no text or known as something else."""
    if source.suffix in _OTHER or _NAMES.match(source.name) or not source.head:
        return 0.0
    text = decode(source.head, source.encoding)
    odd = sum((c < " " and c not in "\t\n\r\x08\x1b\x0c") or c == "\ufffd" for c in text)
    if odd * 20 > len(text):
        return 0.0
    if text.startswith(("%PDF", "\x89PNG", "<?xml", "<!DOCTYPE", "<html", "#!/")) or not any(c.isalpha() for c in text):
        return 0.0
    if source.suffix in _LOGS or re.search(r"(?i)log|nohup|console|stdout|stderr|out\d*$", source.name):
        return 0.2 if _TELLING.search(text) else 0.1
    return 0.05 if _TELLING.search(text) else 0.0


def read(source: Source, sink: Sink) -> None:
    """Read every line; memory stays bounded however long the file or one of its lines is."""
    log = TextLog(sink, source.modified)
    for state in states(source, sink):
        log.feed(state)
    log.finish()


reader = Reader("text", claims, read)
