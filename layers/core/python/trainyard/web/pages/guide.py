"""The tutorial for this system."""

from __future__ import annotations

from trainyard.model.settings import settings
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.routing import Visit, page


@page("GET", "/guide")
def show_guide(visit: Visit) -> PageAnswer:
    own_host = settings().git_base_url.rstrip("/")
    registries = settings().allowed_image_registries
    return visit.page("guide.html", own_host=own_host, api=visit.request.public_url, image_registries=registries)
