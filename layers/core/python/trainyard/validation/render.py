"""Findings as text for people, as JSON for programs, and as SARIF for editors and code hosts."""

from __future__ import annotations

import json
from typing import Any

from trainyard import __version__
from trainyard.model.finding import Finding, FindingCount, Severity
from trainyard.model.text import Language
from trainyard.validation.rules import REGISTRY, rule

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_WORDS: dict[Language, dict[Severity, str]] = {
    "en": {Severity.ERROR: "error", Severity.WARNING: "warning"},
    "zh": {Severity.ERROR: "错误", Severity.WARNING: "警告"},
}
_COLOURS = {Severity.ERROR: "\033[31m", Severity.WARNING: "\033[33m"}
_BOLD, _DIM, _PLAIN = "\033[1m", "\033[2m", "\033[0m"


def as_text(findings: list[Finding], language: Language = "en", *, colour: bool = False) -> str:
    """One block for each finding, and a last line that sums them up."""
    blocks = [_block(finding, language, colour=colour) for finding in findings]
    return "\n".join([*blocks, _summary(findings, language)]) + "\n"


def as_json(findings: list[Finding]) -> str:
    """`{"findings": [...], "errors": n, "warnings": n}`; a finding without a line has `"line": null`.

    Which field of a request is at fault is left out: here all is said by file and line.
    """
    count = FindingCount.of(findings)
    listed = [finding.model_dump(mode="json", exclude={"field"}) for finding in findings]
    document = {"findings": listed, "errors": count.errors, "warnings": count.warnings}
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def as_sarif(findings: list[Finding], language: Language = "en") -> str:
    """SARIF 2.1.0. https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html"""
    used = {finding.rule: finding.url for finding in findings}
    places = {rule_id: index for index, rule_id in enumerate(used)}
    log = {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "trainyard",
                        "version": __version__,
                        "rules": [_sarif_rule(*about, language) for about in used.items()],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_sarif_result(finding, places[finding.rule], language) for finding in findings],
            }
        ],
    }
    return json.dumps(log, ensure_ascii=False, indent=2) + "\n"


def _block(finding: Finding, language: Language, *, colour: bool) -> str:
    def painted(text: str, paint: str) -> str:
        return f"{paint}{text}{_PLAIN}" if colour else text

    place = ":".join(str(part) for part in (finding.file, finding.line, finding.column) if part not in (None, ""))
    severity = painted(_WORDS[language][finding.severity], _COLOURS[finding.severity])
    head = f"{painted(_plain(place), _BOLD)}: " if place else ""
    return "\n".join(
        [
            f"{head}{severity}: {_plain(finding.message.in_language(language))} [{finding.rule}]",
            f"    {_plain(finding.fix.in_language(language))}",
            f"    {painted(finding.url, _DIM)}",
        ]
    )


def _summary(findings: list[Finding], language: Language) -> str:
    count = FindingCount.of(findings)
    if not findings:
        return {"en": "No fault found.", "zh": "未发现问题。"}[language]
    if language == "zh":
        return f"{count.errors} 个错误，{count.warnings} 个警告。"
    errors = f"{count.errors} error{'' if count.errors == 1 else 's'}"
    return f"{errors}, {count.warnings} warning{'' if count.warnings == 1 else 's'}."


def _plain(text: str) -> str:
    """Without what a terminal would obey: names of files are the repository's, not ours."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _sarif_rule(rule_id: str, url: str, language: Language) -> dict[str, Any]:
    described: dict[str, Any] = {"id": rule_id, "helpUri": url}
    if rule_id in REGISTRY:
        known = rule(rule_id)
        described["shortDescription"] = {"text": known.title.in_language(language)}
        described["fullDescription"] = {"text": known.explanation.in_language(language)}
        described["defaultConfiguration"] = {"level": known.severity.value}
    return described


def _sarif_result(finding: Finding, rule_index: int, language: Language) -> dict[str, Any]:
    message, fix = finding.message.in_language(language), finding.fix.in_language(language)
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "level": finding.severity.value,
        "message": {"text": f"{message} {fix}"},
    }
    if finding.file:
        from urllib.parse import quote

        location: dict[str, Any] = {"artifactLocation": {"uri": quote(finding.file), "uriBaseId": "%SRCROOT%"}}
        if finding.line is not None:
            location["region"] = {"startLine": finding.line, **_column(finding)}
        result["locations"] = [{"physicalLocation": location}]
    return result


def _column(finding: Finding) -> dict[str, int]:
    return {"startColumn": finding.column} if finding.column is not None else {}
