"""Every route of the API, one short function each, one file for each kind of thing. `GET /v1` lists them."""

from trainyard.web.routes import (  # noqa: F401 - each registers its routes
    badge,
    evaluation,
    events,
    jobs,
    metrics,
    notifications,
    parts,
    registries,
    repositories,
    results,
    rules,
    runs,
    search,
    service,
    tokens,
)
from trainyard.web.routes.routing import ROUTES, Call

__all__ = ["ROUTES", "Call"]
