"""What can be chosen: frameworks, and machines with their prices."""

from __future__ import annotations

from trainyard.model.catalogue import load_catalogue
from trainyard.model.installation import missing
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.routing import Visit, page


@page("GET", "/catalogue")
def show_catalogue(visit: Visit) -> PageAnswer:
    return visit.page("catalogue.html", catalogue=load_catalogue(), missing=missing)
