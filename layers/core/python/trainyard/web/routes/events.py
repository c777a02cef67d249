"""What happens on the bus, for those who act on it: a JSON Schema of each event."""

from __future__ import annotations

from typing import Any

from trainyard.model.errors import NotFound
from trainyard.model.event_name import EventName
from trainyard.model.events import SOURCE, RunEvent
from trainyard.model.notification import ANNOUNCED
from trainyard.model.text import Text
from trainyard.web.messages import Answer
from trainyard.web.routes.routing import Call, route
from trainyard.web.views import EventList, JsonSchema


@route("GET", "/v1/events", gives=EventList)
def list_events(call: Call) -> Answer:
    """The events `run.*` and where each is described."""
    root = f"{call.request.public_url}/v1/events"
    return Answer(200, {"events": [{"name": name.value, "schema": f"{root}/{name.value}"} for name in ANNOUNCED]})


@route("GET", "/v1/events/{event}", gives=JsonSchema)
def show_event(call: Call) -> Answer:
    """The JSON Schema of an event as EventBridge carries it."""
    found = next((name for name in ANNOUNCED if name.value == call.place["event"]), None)
    if found is None:
        raise NotFound(
            Text(
                en="There is no event of that name. GET /v1/events lists them.",
                zh="没有此名称的事件。可用事件见 GET /v1/events。",
            )
        )
    return Answer(200, event_schema(found))


def event_schema(name: EventName) -> dict[str, Any]:
    """What `name` looks like on the bus."""
    detail = RunEvent.model_json_schema(mode="serialization", ref_template="#/$defs/{model}")
    definitions = detail.pop("$defs", {})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name.value,
        "type": "object",
        "required": ["source", "detail-type", "detail"],
        "properties": {
            "source": {"const": SOURCE},
            "detail-type": {"const": name.value},
            "detail": detail,
            "id": {"type": "string"},
            "time": {"type": "string", "format": "date-time"},
        },
        "$defs": definitions,
    }
