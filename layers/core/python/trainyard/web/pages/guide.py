"""The tutorial for this system, and what each rule of validation means."""

from __future__ import annotations

from trainyard.model.settings import settings
from trainyard.validation.rules import all_rules
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.routing import Visit, page


@page("GET", "/guide")
def show_guide(visit: Visit) -> PageAnswer:
    own_host = settings().git_base_url.rstrip("/")
    return visit.page("guide.html", own_host=own_host, api=visit.request.public_url)


@page("GET", "/guide/rules")
def show_rules(visit: Visit) -> PageAnswer:
    return visit.page("rules.html", rules=all_rules())
