"""The pages, one file for each thing that a person looks at. Without JavaScript they read and submit all the same."""

from trainyard.web.pages import (
    account,
    catalogue,
    comparison,
    form,
    guide,
    home,
    live,
    log,
    openid,
    outputs,
    repositories,
    run,
    runs,
    sign_in,
    static,
)
from trainyard.web.pages.routing import handle_page

__all__ = [
    "account", "catalogue", "comparison", "form", "guide", "handle_page", "home", "live", "log", "openid", "outputs",
    "repositories", "run", "runs", "sign_in", "static",
]  # fmt: skip
