"""What a run left, to download. The bytes come from the bucket's own address, never from the pages' origin."""

from __future__ import annotations

from urllib.parse import unquote

from trainyard.model.errors import NotFound
from trainyard.model.text import Text
from trainyard.store import layout
from trainyard.store.table import wrong_cursor
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.routing import Visit, page
from trainyard.web.parts import part_of

_SHOWN = 200


@page("GET", "/runs/{run}/outputs")
def list_outputs(visit: Visit) -> PageAnswer:
    run = visit.run()
    part = part_of(visit.request, run)
    prefix = layout.output_prefix(part.place)
    behind = visit.request.query.get("after", "")
    if len(behind) > 1000 or "\x00" in behind:  # no file has such a name
        raise wrong_cursor()
    found = list(visit.state.objects.find(prefix, f"{prefix}{behind}" if behind else None, _SHOWN))
    outputs = [(one.key.removeprefix(prefix), one.size) for one in found]
    after = outputs[-1][0] if len(found) == _SHOWN else None
    return visit.page("outputs.html", run=run, part=part, outputs=outputs, after=after)


@page("GET", "/runs/{run}/outputs/{rest}")
def download_output(visit: Visit) -> PageAnswer:
    part = part_of(visit.request, visit.run())
    path = unquote(visit.place["rest"])
    return _download(visit, layout.output_prefix(part.place) + path, path.rsplit("/", 1)[-1])


@page("GET", "/runs/{run}/log.gz")
def download_log(visit: Visit) -> PageAnswer:
    run = visit.run()
    part = part_of(visit.request, run)
    return _download(visit, layout.log_key(part.place), f"{part.name_of(run.id)}.log.gz")


@page("GET", "/runs/{run}/bundle.json")
def download_bundle(visit: Visit) -> PageAnswer:
    run = visit.run()
    return _download(visit, layout.bundle_key(run.id), f"{run.id}.bundle.json")


def _download(visit: Visit, key: str, name: str) -> PageAnswer:
    """Sent on to an address that is good for a quarter of an hour and always saves, never shows."""
    if visit.state.objects.size(key) is None:
        raise NotFound(Text(en="The run left no such file.", zh="该训练没有留下此文件。"))
    return PageAnswer(302, headers={"location": visit.state.objects.download_address(key, name)})
