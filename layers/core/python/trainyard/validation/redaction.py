"""Words of the repository that findings repeat, without what nobody else should see."""

from __future__ import annotations

import re

from trainyard.model.text import Text

_HIDDEN = "***"
# Wider than the rule that looks for secrets: a line that is cut short, or a password of no known form, counts too.
_PATTERNS = (
    re.compile(r"\b(AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|hf_|sk-|xox[baprs]-|AIza|ty_|eyJ)[A-Za-z0-9_.-]{6,}"),
    re.compile(r"(://)[^\s/@'\"`]+(?=@)"),
    re.compile(r"(?i)(\b\w*(?:passw(?:or)?d|secret|token|api_?key|access_?key)\w*['\"]?\s*[:=]\s*)[^\s,`'\"]+"),
    re.compile(r"(?i)(\b\w*(?:passw(?:or)?d|secret|token|api_?key|access_?key)\w*['\"]?\s*[:=]\s*['\"])[^'\"`]+"),
)


def without_secrets(text: Text) -> Text:
    """The text with keys, tokens and passwords replaced."""
    return Text(en=_redacted(text.en), zh=_redacted(text.zh))


def _redacted(text: str) -> str:
    for pattern in _PATTERNS:
        text = pattern.sub(lambda found: f"{found[1]}{_HIDDEN}", text)
    return text
