"""Keys and tokens in the commit are reported without being shown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from math import log2
from typing import ClassVar

from trainyard.model.finding import Finding, Severity
from trainyard.model.text import Text
from trainyard.validation.rules.contract import EXAMPLE_SPEC, Example, RepositoryRule
from trainyard.validation.snapshot import Snapshot
from trainyard.validation.view import Place

_MAX_SCANNED_BYTES = 32 << 20
_MAX_FILE_BYTES = 204_800
_MAX_PER_FILE = 10
# Assembled, so that no scanner takes the examples for the real thing.
_EXAMPLE_KEY = "AKIA" + "Q3EGRIZ7QKDHT5PO"


@dataclass(frozen=True)
class _Kind:
    """A credential that is known by its form. `anchor` must occur in a file for the pattern to be tried."""

    name: Text
    anchor: bytes
    pattern: re.Pattern[bytes]
    shown_on_purpose: re.Pattern[bytes]
    """What documentation writes in place of a real one."""


def _kind(en: str, zh: str, anchor: bytes, pattern: bytes, shown: bytes = b"") -> _Kind:
    shown_on_purpose = re.compile(rb"(?i)example|x{4}|0{8}|your" + (b"|" + shown if shown else b""))
    return _Kind(Text(en=en, zh=zh), anchor, re.compile(pattern), shown_on_purpose)


_KINDS = (
    _kind("an AWS access key", "AWS 访问密钥", b"AKIA", rb"(?<![A-Z0-9])AKIA[A-Z2-7]{16}(?![A-Z0-9])"),
    _kind("a GitHub token", "GitHub 令牌", b"gh", rb"(?<!\w)gh[pousr]_[A-Za-z0-9]{36,}(?!\w)"),
    _kind("a GitHub token", "GitHub 令牌", b"github_pat_", rb"(?<!\w)github_pat_\w{60,}(?!\w)"),
    _kind("a GitLab token", "GitLab 令牌", b"glpat-", rb"(?<!\w)glpat-[\w-]{20,}"),
    _kind("a Hugging Face token", "Hugging Face 令牌", b"hf_", rb"(?<!\w)hf_[A-Za-z]{34}(?!\w)"),
    _kind("an OpenAI key", "OpenAI 密钥", b"sk-", rb"(?<![\w-])sk-(?=[\w-]{0,60}[0-9])(?=[\w-]{0,60}[A-Z])[\w-]{40,}"),
    _kind("a Slack token", "Slack 令牌", b"xox", rb"(?<!\w)xox[baprs]-[0-9A-Za-z-]{20,}"),
    _kind("a Google API key", "Google API 密钥", b"AIza", rb"(?<!\w)AIza[0-9A-Za-z_-]{35}(?![\w-])"),
    _kind("an access token of this platform", "本平台的访问令牌", b"ty_", rb"(?<!\w)ty_[A-Za-z0-9_-]{43}(?![\w-])"),
    _kind(
        "a private key",
        "私钥",
        b"PRIVATE KEY",
        rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----\s+[A-Za-z0-9+/=]{20}",
    ),
    _kind(
        "a password in an address",
        "地址中的密码",
        b"://",
        rb"(?<!\w)[a-z][a-z+]{2,9}://[\w.-]{1,40}:[^\s:@/'\"{}$<>*]{8,80}@[\w-]+\.",
        rb":[^:@]*(?:pass|pwd|token|secret|key|change|placeholder|dummy|sample)[^:@]*@|\*{3}",
    ),
)
_ASSIGNED = re.compile(
    rb"(?i)(?:password|passwd|secret|api_?key|access_?key|auth_?token|access_?token|secret_?key)['\"]?\s*[:=]\s*"
    rb"['\"]([^'\"\s]{12,120})['\"]"
)
_PASSWORD = Text(en="what looks like a password or key", zh="疑似密码或密钥的内容")
_ASSIGNED_WORDS = (b"passw", b"secret", b"key", b"token")
_ASSIGNMENT_FILES = (
    ".py", ".yaml", ".yml", ".json", ".toml", ".cfg", ".ini", ".env", ".sh", ".ipynb", ".conf", ".properties",
)  # fmt: skip
_PLACEHOLDER = re.compile(
    rb"(?i)example|x{4}|\*{3}|your|change|placeholder|dummy|test|fake|sample|todo|<|\{|\$|none|null|insert|replace|1234|abcd"
)
_BITS_PER_CHARACTER = 3.3


class Secret(RepositoryRule):
    id: ClassVar[str] = "secret"
    title = Text(en="Key or token in the repository", zh="仓库中含有密钥或令牌")
    explanation = Text(
        en="Everyone who may read the repository, and everyone who gets a copy of its history, has the key. The "
        "script has "
        "no network and needs none. What is known by its form is an error; what only looks like a password is a "
        "warning. The value itself is never shown.",
        zh="任何能读取仓库或得到其历史副本的人都会得到该密钥。脚本没有网络，也不需要密钥。"
        "可由格式确认的是错误，仅疑似密码的是警告。密钥本身不会被显示。",
    )
    failing = (
        Example({"config.py": f"KEY = '{_EXAMPLE_KEY}'\n"}, line=1),
        Example(
            {
                "trainyard.yaml": EXAMPLE_SPEC
                + "    env: {HF_TOKEN: "
                + "hf_"
                + "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh"
                + "}\n"
            },
            line=7,
        ),
        Example({"deploy.sh": "set -e\npassword='" + "rT7_kQ92-vLmZ4" + "'\n"}, line=2),
    )
    passing = (
        Example({"config.py": "import os\nkey = os.environ['AWS_ACCESS_KEY_ID']\npassword = 'your-password-here'\n"}),
        Example({"README.md": "Set AKIA" + "IOSFODNN7EXAMPLE as the key.\n"}),
    )

    def check(self, snapshot: Snapshot) -> Iterator[Finding]:
        left = _MAX_SCANNED_BYTES
        for path, entry in snapshot.entries.items():
            if not entry.is_file or entry.size is None or entry.size > _MAX_FILE_BYTES or entry.size > left:
                continue
            data = snapshot.read(path)
            if data is None or b"\0" in data[:8192]:
                continue
            left -= len(data)
            yield from self._check_file(path, data)

    def _check_file(self, path: str, data: bytes) -> Iterator[Finding]:
        """At most one finding for each line, those of a known form first."""
        lines: set[int] = set()
        for start, name, severity in chain(_of_known_form(data), _assigned(path, data)):
            line = data.count(b"\n", 0, start) + 1
            if line in lines:
                continue
            if len(lines) >= _MAX_PER_FILE:
                return
            lines.add(line)
            yield self._found(path, data, start, name, severity)

    def _found(self, path: str, data: bytes, start: int, name: Text, severity: Severity) -> Finding:
        line_start = data.rfind(b"\n", 0, start) + 1
        column = len(data[line_start:start].decode(errors="replace")) + 1
        return self.finding(
            Place(path, data.count(b"\n", 0, start) + 1, column),
            Text(en=f"There is {name.en} here.", zh=f"此处含有{name.zh}。"),
            Text(
                en="Revoke it where it was issued, since it is in the history now, and remove it from the file.",
                zh="它已进入提交历史，请在签发处吊销它，并从文件中删除。",
            ),
            severity,
        )


def _of_known_form(data: bytes) -> Iterator[tuple[int, Text, Severity]]:
    for kind in _KINDS:
        if kind.anchor not in data:
            continue
        for found in kind.pattern.finditer(data):
            if not kind.shown_on_purpose.search(found[0]):
                yield found.start(), kind.name, Severity.ERROR


def _assigned(path: str, data: bytes) -> Iterator[tuple[int, Text, Severity]]:
    if not path.endswith(_ASSIGNMENT_FILES):
        return
    lower = data.lower()
    if not any(word in lower for word in _ASSIGNED_WORDS):  # most files, and far cheaper than the pattern
        return
    for found in _ASSIGNED.finditer(data):
        if _looks_random(found[1]):
            yield found.start(), _PASSWORD, Severity.WARNING


def _looks_random(value: bytes) -> bool:
    """Mixed letters and digits without a pattern, as no word or path has."""
    if _PLACEHOLDER.search(value) or b"/" in value or (b"." in value and b" " not in value and value.islower()):
        return False
    if not (re.search(rb"[0-9]", value) and re.search(rb"[A-Za-z]", value)):
        return False
    counts = Counter(value)
    entropy = -sum(count / len(value) * log2(count / len(value)) for count in counts.values())
    return entropy >= _BITS_PER_CHARACTER
