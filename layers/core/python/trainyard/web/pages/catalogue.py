"""What can be chosen: frameworks, and machines with their prices."""

from __future__ import annotations

from trainyard.model.catalogue import load_catalogue
from trainyard.model.installation import missing
from trainyard.model.settings import settings
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.routing import Visit, page


@page("GET", "/catalogue")
def show_catalogue(visit: Visit) -> PageAnswer:
    registries = settings().allowed_image_registries
    return visit.page("catalogue.html", catalogue=load_catalogue(), missing=missing, image_registries=registries)
