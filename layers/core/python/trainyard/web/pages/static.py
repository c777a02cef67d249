"""The files that the pages refer to."""

from __future__ import annotations

from trainyard.model.errors import NotFound
from trainyard.model.text import Text
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.routing import Visit, page
from trainyard.web.static_files import static_file

# A name stands for one content for ever.
_FOR_EVER = "public, max-age=31536000, immutable"


@page("GET", "/static/{file}")
def serve_static(visit: Visit) -> PageAnswer:
    file = static_file(visit.place["file"])
    if file is None:
        raise NotFound(Text(en="There is no such file.", zh="没有此文件。"))
    headers = {"cache-control": _FOR_EVER, "vary": "accept-encoding"}
    if "gzip" in visit.request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return PageAnswer(200, file.compressed, file.content_type, headers)
    return PageAnswer(200, file.content, file.content_type, headers)
