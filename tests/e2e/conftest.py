"""One embedded stack for every test that drives it whole; each test makes repositories of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ascend_image import make_image
from openid_provider import CLIENT, SECRET, OpenIdProvider, openid_provider
from registry_fake import FakeRegistry, registry_fake

from infra.local.inside import state_of
from infra.local.stack import Stack
from trainyard.identity.sign_in import CLIENT_SECRET

LAKE = "e2e-data-lake"
"""A bucket beside the platform's own; runs may use what lies under `digits/` in it."""


@pytest.fixture(scope="session")
def openid() -> Iterator[OpenIdProvider]:
    """Whom the stack takes word from, about people of example.org."""
    with openid_provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def registry() -> Iterator[FakeRegistry]:
    """Where images lie that runs may bring: those under `team/`."""
    with registry_fake() as fake:
        yield fake


@pytest.fixture(scope="session")
def stack(openid: OpenIdProvider, registry: FakeRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Functions may do only what their roles allow; presigned addresses carry those roles' credentials.

    A ModelArts is there, too. Nobody calls its schedule: what it does comes of SMN's messages.
    """
    image = make_image(tmp_path_factory.mktemp("ascend"))
    lake = {"InputObjects": f"arn:aws:s3:::{LAKE}/digits/*", "InputBuckets": f"arn:aws:s3:::{LAKE}"}
    who = {"OidcIssuer": openid.issuer, "OidcClientId": CLIENT, "OidcEmailDomains": "example.org"}
    # Ranks on several machines meet over the network.
    nodes = {"NodesNatGateway": "nat-0", "ScriptNetwork": "open"}
    images = {"AllowedImageRegistries": f"{registry.host}/team"}
    with Stack("e2e", keep=False, ascend=image, parameters={**lake, **who, **nodes, **images}) as running:
        state_of(running.addresses).secrets.put(CLIENT_SECRET, SECRET)
        openid.redirects.append(f"{running.addresses.api}/sign-in/openid/callback")
        yield running
