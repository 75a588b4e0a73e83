"""Credentials that stand in logs, configurations and commands are never repeated."""

from __future__ import annotations

import re

MASK = "[credential removed]"

# Prefixes that the services themselves publish; a value after them is a key wherever it stands.
_KEYS = re.compile(
    r"""(?x)
    \b(?:sk-(?:proj-|ant-)?[A-Za-z0-9_-]{20,} | hf_[A-Za-z0-9]{20,} | gh[pousr]_[A-Za-z0-9]{30,}
      | github_pat_[A-Za-z0-9_]{30,} | glpat-[A-Za-z0-9_-]{18,} | xox[abprs]-[A-Za-z0-9-]{10,}
      | AKIA[0-9A-Z]{16} | ASIA[0-9A-Z]{16} | AIza[0-9A-Za-z_-]{35} | ya29\.[0-9A-Za-z_-]{20,}
      | eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,} | npm_[A-Za-z0-9]{36} | pypi-[A-Za-z0-9_-]{30,}
      | wandb_v\d_[A-Za-z0-9_-]{20,})"""
)
_URL = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"]{0,100}):([^\s/@'\"]{1,200})@")
_NAMED = re.compile(
    r"""(?xi)
    (["']?\b[\w.-]{0,40}(?:api[_-]?key|secret(?:[_-]?(?:access)?[_-]?key)?|access[_-]?key(?:[_-]?id)?|auth[_-]?token
      |access[_-]?token|hf[_-]?token|bearer[_-]?token|passw(?:or)?d|passphrase|private[_-]?key|credentials?)["']?
      \s{0,3}[:=]\s{0,3}|\bauthorization["']?\s{0,3}[:=]\s{0,3}(?:bearer|basic)\s|\bbearer\s+)
    (["']?)([^\s"',;)\]}]{6,})"""
)
_NAME = re.compile(
    r"(?i)(?:^|\.)token$|(?:^|[._-])(?:api[_-]?key|secret|secret[_-]?key|access[_-]?key|auth[_-]?token|password|passwd|pwd"
    r"|passphrase|private[_-]?key|credentials?)$|(?:api_?key|(?:auth|access|api|hf|hub|bearer|wandb|github)_token|_secret|_password)$"
)
_HARMLESS = re.compile(
    r"(?i)^[\"']?(?:none|null|true|false|\*+|<[^>]*>|\$\{?\w+\}?|x{3,}|\[credential removed\]|-?\d+(?:\.\d+)?)$"
)
_CHEAP = re.compile(
    r"(?i)key|secret|token|passw|passph|bearer|credential|authoriz|://|sk-|hf_|gh[pousr]_|glpat|xox|AKIA|ASIA|AIza|ya29|eyJ|npm_|pypi-"
)


def mask(text: str, *, key: str = "") -> tuple[str, str]:
    """The text with every credential replaced, and what kind was found ('' when none).

    `key` is the name the text is a value of: `api_key`, `optimizer.token`. A number, a placeholder or an
    environment reference is no credential.
    """
    if key and _NAME.search(key) and len(text) >= 6 and not _HARMLESS.match(text) and " " not in text:
        return MASK, "named value"
    if not _CHEAP.search(text):
        return text, ""
    kind = ""

    def key_found(_: re.Match[str]) -> str:
        nonlocal kind
        kind = "key"
        return MASK

    def url_found(match: re.Match[str]) -> str:
        nonlocal kind
        kind = "address with a password"
        return f"{match[1]}:{MASK}@"

    def named_found(match: re.Match[str]) -> str:
        nonlocal kind
        if _HARMLESS.match(match[3]):
            return match[0]
        kind = kind or "named value"
        return f"{match[1]}{match[2]}{MASK}"

    text = _KEYS.sub(key_found, text)
    text = _URL.sub(url_found, text)
    return _NAMED.sub(named_found, text), kind
