"""The page that explains every rule, made from the rules themselves."""

from __future__ import annotations

from trainyard.model.text import Language
from trainyard.validation.rules import all_rules
from trainyard.validation.rules.contract import Rule

DOCUMENTATION = "https://trainyard.readthedocs.io/rules.html"
"""Where the page is published. A deployment that serves it itself gives its own address."""


def rule_address(rule_id: str, documentation: str | None = None) -> str:
    return f"{documentation or DOCUMENTATION}#{rule_id}"


def documentation_page(language: Language) -> str:
    """Every rule in Markdown: what it finds, why, and examples."""
    heading = {"en": "Rules", "zh": "规则"}[language]
    sections = [_section(each, language) for each in all_rules()]
    return f"# {heading}\n\n" + "\n\n".join(sections) + "\n"


def _section(rule: Rule, language: Language) -> str:
    severity = {
        "en": {"error": "Error", "warning": "Warning"},
        "zh": {"error": "错误", "warning": "警告"},
    }[language][rule.severity.value]
    lines = [
        f'<a id="{rule.id}"></a>',
        f"## {rule.title.in_language(language)}",
        f"`{rule.id}` · {severity}",
        rule.explanation.in_language(language),
    ]
    labels = {"en": ("Found", "Not found"), "zh": ("会报告", "不会报告")}[language]
    for label, examples in zip(labels, (rule.failing[:1], rule.passing[:1]), strict=True):
        for example in examples:
            blocks = [_block(path, content) for path, content in example.files.items()]
            if blocks:
                lines += [f"**{label}**", *blocks]
    return "\n\n".join(lines)


def _block(path: str, content: str | bytes) -> str:
    if isinstance(content, bytes):
        return f"`{path}`: {len(content):,} bytes"
    kind = {"py": "python", "yaml": "yaml", "json": "json"}.get(path.rpartition(".")[2], "text")
    return f"`{path}`\n\n```{kind}\n{content.rstrip()}\n```"
