"""Which installation is meant, and with which token: options, then variables, then what `trainyard login` kept."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainyard.cli.client import ApiError


@dataclass(frozen=True)
class Login:
    url: str
    token: str | None


def login_file(environment: Mapping[str, str]) -> Path:
    """Where `trainyard login` keeps the address and the token."""
    root = environment.get("XDG_CONFIG_HOME") or str(Path(environment.get("HOME", "~")).expanduser() / ".config")
    return Path(root) / "trainyard" / "login.json"


def find_login(url: str | None, environment: Mapping[str, str]) -> Login:
    """ApiError where nobody said where the API is. A kept token is only sent to the address it was kept for."""
    kept = _read(login_file(environment))
    wanted = url or environment.get("TRAINYARD_URL") or (kept.url if kept else None)
    if not wanted:
        raise ApiError(
            0, "no_url", "say where the API is: `trainyard login --url https://HOST`, --url, or TRAINYARD_URL"
        )
    token = environment.get("TRAINYARD_TOKEN")
    if token is None and kept is not None and kept.url.rstrip("/") == wanted.rstrip("/"):
        token = kept.token
    return Login(wanted, token)


def keep_login(login: Login, environment: Mapping[str, str]) -> Path:
    """Write it so that only this user can read it."""
    file = login_file(environment)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = file.with_suffix(".part")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        json.dump({"url": login.url, "token": login.token}, out)
    partial.replace(file)
    return file


def forget_login(environment: Mapping[str, str]) -> bool:
    """False if none was kept."""
    file = login_file(environment)
    there = file.exists()
    file.unlink(missing_ok=True)
    return there


def _read(file: Path) -> Login | None:
    try:
        kept = json.loads(file.read_text())
        return Login(str(kept["url"]), kept["token"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise ApiError(0, "broken_login", f"{file} is not what `trainyard login` wrote; remove it, log in") from None
