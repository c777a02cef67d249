"""What a page about a running training asks for again and again: what has changed, was printed, was measured."""

from __future__ import annotations

import json
from collections.abc import Iterator

from trainyard.evaluation.run import stored_metrics
from trainyard.logs.live import load_index, read_bytes
from trainyard.logs.metrics import MetricScanner
from trainyard.logs.viewers import shared_page
from trainyard.model.metric import Metrics
from trainyard.model.run import FacetState, Run, RunState
from trainyard.store.objects import Objects
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.plots import figures
from trainyard.web.pages.routing import Visit, page
from trainyard.web.pages.shown import shown

_LOG_BYTES = 256 << 10
_SCANNED = 16 << 20
"""Bytes of a live log that are looked through for metrics; after the end all of it counts."""
_BLOCK = 4 << 20


@page("GET", "/runs/{run}/live")
def show_live(visit: Visit) -> PageAnswer:
    """`{"version", "settled", "text", "next"}`: the run's version and what was printed from `offset` on."""
    run = visit.run()
    offset = visit.request.number("offset", 0, 10**15)
    printed = shared_page(visit.state.objects, run.id, offset, _LOG_BYTES)
    return as_json(
        {
            "version": run.version,
            "settled": settled(run) and printed.next_offset == printed.offset,
            "text": shown(printed.text),
            "next": printed.next_offset,
        }
    )


@page("GET", "/runs/{run}/plots")
def show_plots(visit: Visit) -> PageAnswer:
    """`{"plots": [...]}`: what the charting library draws."""
    run = visit.run()
    done = run.logs.state is FacetState.DONE
    metrics = stored_metrics(visit.state.objects, run.id) if done else live_metrics(visit.state.objects, run.id)
    return as_json({"plots": [json.loads(one.data) for one in figures(metrics, visit.language)]})


def settled(run: Run) -> bool:
    """Nothing about it will change any more by itself."""
    if run.state is RunState.REJECTED:
        return True
    return run.state.is_final and (run.evaluation.state is not FacetState.NONE or run.reached(RunState.QUEUED) is None)


def live_metrics(objects: Objects, run_id: str) -> Metrics:
    """What can be read from the log as far as it has come."""
    scanner = MetricScanner()
    for block in _blocks(objects, run_id):
        scanner.feed(block)
    return scanner.finish()


def _blocks(objects: Objects, run_id: str) -> Iterator[bytes]:
    offset, index = 0, load_index(objects, run_id)
    while offset < _SCANNED and (block := read_bytes(objects, run_id, offset, _BLOCK, index)):
        yield block
        offset += len(block)


def as_json(document: object) -> PageAnswer:
    return PageAnswer(200, json.dumps(document, ensure_ascii=False), "application/json; charset=utf-8")
