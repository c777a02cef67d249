"""What validation looks for, for everyone: every rule's explanation, and the schema of `trainyard.yaml`."""

from __future__ import annotations

import re

from trainyard.model.errors import NotFound
from trainyard.model.text import Language, Text
from trainyard.validation.rules import REGISTRY
from trainyard.validation.rules.documentation import (
    rule_address,
    rule_document,
    rule_documents,
    rule_page,
    rules_page,
)
from trainyard.validation.schema import schema_text
from trainyard.validation.suggestion import nearest
from trainyard.web.messages import Answer
from trainyard.web.routes.routing import Call, route
from trainyard.web.views import RuleList, RuleView

_HTML = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
}
_WEIGHT = re.compile(r";\s*q=([0-9.]{1,5})")


@route("GET", "/v1/rules", gives=RuleList)
def list_rules(call: Call) -> Answer:
    if _prefers_html(call):
        return _page(rules_page(_language(call)))
    root = call.request.public_url
    return _public({"rules": [{**one, "url": rule_address(one["id"], root)} for one in rule_documents()]})


@route("GET", "/v1/rules/{rule}", gives=RuleView)
def show_rule(call: Call) -> Answer:
    rule_id = call.place["rule"]
    if rule_id not in REGISTRY:
        raise _no_rule(rule_id)
    if _prefers_html(call):
        return _page(rule_page(rule_id, _language(call)))
    return _public({**rule_document(rule_id), "url": rule_address(rule_id, call.request.public_url)})


@route("GET", "/v1/schema/trainyard.json", media="application/schema+json")
def show_schema(_call: Call) -> Answer:
    """For editors: `# yaml-language-server: $schema=ADDRESS` in the first line of trainyard.yaml."""
    headers = {"content-type": "application/schema+json; charset=utf-8", "access-control-allow-origin": "*"}
    return _public(schema_text().encode(), headers)


def _public(body: object, headers: dict[str, str] | None = None) -> Answer:
    """The same for everyone until the next deployment."""
    return Answer(200, body, {"cache-control": "public, max-age=300", "vary": "accept", **(headers or {})})


def _page(html: str) -> Answer:
    return _public(html.encode(), {**_HTML, "vary": "accept, accept-language"})


def _language(call: Call) -> Language:
    wanted = call.request.query.get("lang")
    return ("zh" if wanted == "zh" else "en") if wanted in ("zh", "en") else call.language


def _prefers_html(call: Call) -> bool:
    """Whether `Accept` names HTML and gives JSON no more weight, as browsers do and programs do not."""
    weights: dict[str, float] = {}
    for part in call.request.headers.get("accept", "").split(","):
        kind = part.partition(";")[0].strip().lower()
        found = _WEIGHT.search(part)
        weights[kind] = _number(found[1]) if found else 1.0
    html = weights.get("text/html", 0.0)
    return html > 0 and html >= weights.get("application/json", 0.0)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _no_rule(rule_id: str) -> NotFound:
    meant = nearest(rule_id, REGISTRY)
    hint_en, hint_zh = (f" Did you mean {meant}?", f"是否想写 {meant}？") if meant else ("", "")
    return NotFound(
        Text(
            en=f"There is no rule {rule_id[:60]!r}.{hint_en} See GET /v1/rules.",
            zh=f"没有规则 {rule_id[:60]!r}。{hint_zh}全部规则见 GET /v1/rules。",
        )
    )
