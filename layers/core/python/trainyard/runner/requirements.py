"""`pip-requirements.txt`: what the script wants installed."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from trainyard.model.text import Text
from trainyard.runner.errors import SetupError

REQUIREMENTS_FILE = "pip-requirements.txt"
# Raised when environments are built in another way, so that no old one is taken for a new one.
_BUILD = 2
_COMMENT = re.compile(r"(^|\s)#.*$")
_PINNED = re.compile(r"^[A-Za-z0-9._-]+(\[[^]]*])?\s*==\s*[^*,\s]+(\s*;.*)?(\s+--hash=\S+)*$")
# What points into the repository would be kept for other commits too, where it says something else.
_LOCAL = re.compile(r"^(-r|-c|-e|--requirement|--constraint|--editable|\.|/|file:)|@\s*(file:|\.|/)")


@dataclass(frozen=True)
class Requirements:
    """The lines that matter, in a form that does not change with comments, blanks or order."""

    lines: tuple[str, ...]

    @classmethod
    def read(cls, file: Path) -> Requirements:
        """Of a file, or of none. SetupError where it asks for what cannot be installed apart from its commit."""
        try:
            text = file.read_text("utf-8-sig")
        except FileNotFoundError:
            return cls(())
        except UnicodeDecodeError:
            raise SetupError(
                Text(
                    en=f"{REQUIREMENTS_FILE} is not UTF-8 text; save it as UTF-8.",
                    zh=f"{REQUIREMENTS_FILE} 不是 UTF-8 文本，请以 UTF-8 编码保存。",
                )
            ) from None
        return cls.parse(text)

    @classmethod
    def parse(cls, text: str) -> Requirements:
        joined = re.sub(r"\\\r?\n", " ", text)
        bare = (" ".join(_COMMENT.sub("", line).split()) for line in joined.splitlines())
        lines = sorted({line for line in bare if line})
        for line in lines:
            if _LOCAL.search(line):
                raise SetupError(
                    Text(
                        en=f"{REQUIREMENTS_FILE} holds {line!r}: write packages with versions, not files or folders.",
                        zh=f"{REQUIREMENTS_FILE} 中含有 {line!r}：请直接写包名和版本，不要引用文件或目录。",
                    )
                )
        return cls(tuple(lines))

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    def key(self, python: str, *, system_packages: bool, today: date) -> str:
        """The name of the environment that serves these lines: 32 hex digits.

        Lines that do not name a version mean what is newest; such an environment serves for one day.
        """
        pinned = all(_PINNED.match(line) for line in self.lines)
        parts = [
            _BUILD,
            python,
            platform.system(),
            platform.machine(),
            system_packages,
            self.lines,
            None if pinned else today.isoformat(),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
