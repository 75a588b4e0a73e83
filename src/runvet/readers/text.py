"""Text logs of any program: whatever a training script prints, by one general grammar (see `_text`)."""

from __future__ import annotations

import re

from runvet.readers import Reader
from runvet.readers._resume import Lines
from runvet.readers._text.bulk import Bulk
from runvet.readers._text.lines import states, states_of
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
    for state in states(source, sink, Bulk(log, sink, source.encoding)):
        log.feed(state)
    log.finish()


class _Growing(Lines):
    """A text log that is read as it grows."""

    def __init__(self, source: Source, sink: Sink) -> None:
        super().__init__(source, sink)
        self.log, self.line = TextLog(sink, source.modified), 1
        self.bulk = Bulk(self.log, sink, "utf-8")

    def block(self, data: bytes) -> None:
        end = data.rfind(b"\n") + 1
        for begin, stop, first in self.bulk.spans(data[:end], self.line) if end else ():
            for line, piece in enumerate(data[begin : stop - 1].decode("utf-8", "replace").split("\n"), first):
                for state in states_of(piece, line):
                    self.log.feed(state)
        self.line += data.count(b"\n")
        for state in states_of(data[end:].decode("utf-8", "replace"), self.line, complete=False):
            self.log.feed(state)

    def end(self) -> None:
        self.log.finish()


def resume(source: Source, sink: Sink) -> Lines | None:
    """A reading that goes on as the file grows; None for texts whose lines are not UTF-8 or Latin-1."""
    return _Growing(source, sink) if Lines.can(source) else None


reader = Reader("text", claims, read, resume=resume)
