"""How a project signs in to registries of container images."""

from __future__ import annotations

from urllib.parse import unquote

from trainyard.intake.registry_logins import (
    NewRegistryLogin,
    keep_registry_login,
    list_registry_logins,
    remove_registry_login,
)
from trainyard.model.registry_login import RegistryLogin
from trainyard.web.messages import Answer
from trainyard.web.routes.routing import Call, body, route
from trainyard.web.views import RegistryLoginList


@route("GET", "/v1/projects/{owner}/{name}/registries", gives=RegistryLoginList)
def registry_logins(call: Call) -> Answer:
    found = list_registry_logins(call.state, call.repository, call.token)
    return Answer(200, {"registries": [one.model_dump(mode="json") for one in found]})


@route("PUT", "/v1/projects/{owner}/{name}/registries/{registry}", takes=NewRegistryLogin, gives=RegistryLogin)
def keep_login(call: Call) -> Answer:
    """Runs of the project pull private images of the registry like this from now on."""
    wanted = body(call, NewRegistryLogin)
    kept = keep_registry_login(call.state, call.repository, _registry(call), call.token, wanted)
    return Answer(200, kept.model_dump(mode="json"))


@route("DELETE", "/v1/projects/{owner}/{name}/registries/{registry}", status=204)
def remove_login(call: Call) -> Answer:
    remove_registry_login(call.state, call.repository, _registry(call), call.token)
    return Answer(204)


def _registry(call: Call) -> str:
    """Its colon may come escaped."""
    return unquote(call.place["registry"])
