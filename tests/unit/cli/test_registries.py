"""`trainyard registries`: a login is kept without its password being shown."""

from __future__ import annotations

import io
import json

import pytest
from builders import a_repository
from unit.cli.conftest import Call

from trainyard.model.registry_login import RegistryCredentials
from trainyard.model.settings import Settings
from trainyard.store import State
from trainyard.store.registry_logins import registry_credentials

PROJECT = "ada/lenet5"


@pytest.fixture
def password(state: State, monkeypatch: pytest.MonkeyPatch) -> str:
    """Given on standard input."""
    state.table.create_repository(a_repository(PROJECT, owner="ada"))
    allowed = Settings(allowed_image_registries=["ghcr.io", "registry.example:5000/team"])
    monkeypatch.setattr("trainyard.intake.registry_logins.settings", lambda: allowed)
    monkeypatch.setattr("sys.stdin", io.StringIO("p4ss word\r\n"))
    return "p4ss word"


@pytest.mark.parametrize("registry", ["ghcr.io", "registry.example:5000"])
def test_a_login_is_kept_listed_and_removed(
    call: Call, state: State, password: str, registry: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("registries", "add", PROJECT, registry, "--username", "robot", "--token-host", "auth.example") == 0
    kept = registry_credentials(state.secrets, state.table.repository(PROJECT), registry)
    assert kept == RegistryCredentials(username="robot", password=password, token_host="auth.example")
    assert call("registries", "list", PROJECT, "--json") == 0
    shown = capsys.readouterr().out
    assert password not in shown
    assert json.loads(shown.partition("\n}\n")[2])["registries"][0]["registry"] == registry
    assert call("registries", "remove", PROJECT, registry) == 0
    assert registry_credentials(state.secrets, state.table.repository(PROJECT), registry) is None
    assert call("registries", "remove", PROJECT, registry) == 1


def test_one_that_is_not_allowed(call: Call, password: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("registries", "add", PROJECT, "quay.io", "--username", "robot") == 1
    said = capsys.readouterr().err
    assert "ghcr.io" in said
    assert password not in said
