"""Every rule keeps the contract: it is documented in two languages, and its own examples show what it says."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
from installation import installation

import trainyard.validation.rules as rules_folder
from trainyard.model.finding import Finding, Severity
from trainyard.model.text import Text
from trainyard.validation.engine import check
from trainyard.validation.rules import REGISTRY, all_rules
from trainyard.validation.rules.contract import EXAMPLE_SPEC, Example, Rule
from trainyard.validation.rules.documentation import (
    LANGUAGES,
    LOCAL_PAGE,
    local_page,
    rule_address,
    rule_document,
    rule_page,
    rule_text,
)
from trainyard.validation.snapshot import MemorySnapshot

RULES = all_rules()
FAILING = [(rule, example) for rule in RULES for example in rule.failing]
PASSING = [(rule, example) for rule in RULES for example in rule.passing]


def _id(value: object) -> str | None:
    return value.id if isinstance(value, Rule) else ""


def _findings(example: Example) -> list[Finding]:
    with installation(**example.installation):
        return check(MemorySnapshot(example.tree(), example.links))


def _is_chinese(text: str) -> bool:
    return re.search(r"[\u4e00-\u9fff]", text) is not None


@pytest.mark.parametrize(("rule", "example"), FAILING, ids=_id)
def test_a_failing_example_is_found_at_its_place(rule: Rule, example: Example) -> None:
    found = [finding for finding in _findings(example) if finding.rule == rule.id]

    assert found
    assert all(finding.file for finding in found)
    if example.line is not None:
        assert found[0].line == example.line
    for finding in found:
        for text in (finding.message, finding.fix):
            assert text.en
            assert _is_chinese(text.zh), text.zh
            assert not re.search(r"\{(\d|shown|name)\}", text.en + text.zh)
        assert finding.url == rule_address(rule.id)


@pytest.mark.parametrize(("rule", "example"), PASSING, ids=_id)
def test_a_passing_example_is_not_found_and_has_no_error(rule: Rule, example: Example) -> None:
    findings = _findings(example)

    assert [finding for finding in findings if finding.rule == rule.id] == []
    assert [finding for finding in findings if finding.severity is Severity.ERROR] == []


@pytest.mark.parametrize("rule", RULES, ids=_id)
def test_it_is_documented(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.id)
    for text in (rule.title, rule.explanation):
        assert isinstance(text, Text)
        assert text.en
        assert _is_chinese(text.zh)
    if not rule.needs_platform:
        assert rule.failing
        assert rule.passing


def test_the_registry_is_complete() -> None:
    folder = Path(rules_folder.__file__).parent
    declared = {
        found for file in folder.glob("*.py") for found in re.findall(r'id: ClassVar\[str\] = "(.+)"', file.read_text())
    }

    assert {rule.id: name for name, rule in zip(REGISTRY, RULES, strict=True)} == {name: name for name in REGISTRY}
    assert declared == set(REGISTRY)


@pytest.mark.parametrize("rule", RULES, ids=_id)
def test_it_has_a_page_and_a_text_in_both_languages(rule: Rule) -> None:
    for language in LANGUAGES:
        for shown in (rule_page(rule.id, language), rule_text(rule.id, language)):
            assert rule.id in shown
            assert rule.title.in_language(language) in html.unescape(shown)
    assert json.loads(json.dumps(rule_document(rule.id)))["title"] == rule.title.model_dump()


def test_the_page_for_whoever_has_no_deployment_is_up_to_date() -> None:
    assert LOCAL_PAGE.read_text(encoding="utf-8") == local_page(), (
        "run: python -m trainyard.validation.rules.documentation"
    )
    assert all(f'id="{rule.id}"' in local_page() for rule in RULES)


def test_addresses_lead_to_a_deployment_or_to_that_page() -> None:
    assert rule_address("secret", "https://train.example/") == "https://train.example/v1/rules/secret"
    assert rule_address("secret", "") == "/v1/rules/secret"
    assert rule_address("secret") == f"{LOCAL_PAGE.as_uri()}#secret"


def test_only_what_the_installation_has_machines_for_is_proposed() -> None:
    on_cpu = EXAMPLE_SPEC.replace("framework: mindspore-cpu", "framework: {}")
    no_gpus = {"max_vcpus": dict.fromkeys(("t4", "l4", "a10g", "v100", "a100", "h100", "ascend"), 0)}
    misfit, unknown = (
        _findings(Example({"trainyard.yaml": on_cpu.format(name)}, installation=no_gpus))[0].fix.en
        for name in ("pytorch-cuda", "tensorflow")
    )

    assert "its operator can add them" in misfit
    assert "mindspore-cpu, python-cpu" in misfit
    assert unknown == "Choose one of: mindspore-cpu, python-cpu."
