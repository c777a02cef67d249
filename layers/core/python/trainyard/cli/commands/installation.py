"""The installation itself: log in, its catalogue, the embedded stack, completion for shells."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from getpass import getpass
from pathlib import Path
from typing import Any

from trainyard.cli.client import ApiError, Client
from trainyard.cli.config import Login, find_login, forget_login, keep_login
from trainyard.cli.terminal import client, command, language, print_json, print_table, unknown, wants_json, with_json


def add(subparsers: Any) -> None:
    command(subparsers, "login", _login, "keep the address and a token, for this user alone")
    command(subparsers, "logout", _logout, "forget them")
    with_json(command(subparsers, "whoami", _whoami, "whom the token stands for"))
    with_json(command(subparsers, "catalog", _catalog, "frameworks and flavors"))
    command(subparsers, "up", _up, "start the embedded stack (in a checkout of Trainyard)")
    command(subparsers, "down", _down, "stop it")
    completion = command(subparsers, "completion", _completion, "completion for a shell, to be sourced by it")
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def _login(options: argparse.Namespace) -> None:
    """The token comes from TRAINYARD_TOKEN, a pipe, or a prompt; never from the command line, which others can see."""
    url = find_login(options.url, os.environ).url
    token = os.environ.get("TRAINYARD_TOKEN") or (getpass("token: ") if sys.stdin.isatty() else sys.stdin.readline())
    login = Login(url.rstrip("/"), token.strip())
    user = Client(login.url, login.token, language()).get("/v1/user")["user"]
    print(f"{user}: kept in {keep_login(login, os.environ)}")


def _logout(_options: argparse.Namespace) -> None:
    print("forgotten" if forget_login(os.environ) else "nothing was kept")


def _whoami(options: argparse.Namespace) -> None:
    known = client(options).get("/v1/user")
    if wants_json(options):
        print_json(known)
    else:
        print(f"{known['user']} ({', '.join(known['scopes'])})")


def _catalog(options: argparse.Namespace) -> None:
    catalogue = client(options).get("/v1/catalog")
    if wants_json(options):
        print_json(catalogue)
        return
    chosen = language()
    frameworks = [one for one in catalogue["frameworks"] if not one.get("retired")]
    print_table(("FRAMEWORK", "", "PYTHON"), [(one["name"], one["title"][chosen], one["python"]) for one in frameworks])
    print()
    flavors = [
        (
            one["name"],
            one["title"][chosen],
            one["vcpus"],
            f"{one['memory_mib'] / 1024:g} GB",
            one["accelerators"] or "",
            _price(one["prices"]),
        )
        for one in catalogue["flavors"]
    ]
    print_table(("FLAVOR", "", "VCPUS", "MEMORY", "ACCELERATORS", "USD/H"), flavors)
    if registries := catalogue.get("image_registries"):
        print(f"\nimage: of your own, in place of a framework, from {', '.join(registries)}")


def _price(prices: dict[str, Any]) -> str:
    """From the lowest to the highest of the regions."""
    dollars = sorted(price["usd_per_hour"] for price in prices.values())
    return "-".join(f"{each:g}" for each in dict.fromkeys(dollars[:1] + dollars[-1:])) or unknown()


def _up(_options: argparse.Namespace) -> int:
    return _stack("up")


def _down(_options: argparse.Namespace) -> int:
    return _stack("down")


def _stack(verb: str) -> int:
    """The stack belongs to the repository, not to the package: it runs the repository's own template."""
    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if (folder / "infra/local/stack.py").exists()), None)
    if root is None:
        raise ApiError(0, "no_checkout", f"call `trainyard {verb}` in a checkout of Trainyard's repository")
    return subprocess.run(["make", "--no-print-directory", verb], cwd=root, check=False).returncode


def _completion(options: argparse.Namespace) -> None:
    import shtab

    from trainyard.cli.main import parser

    print(shtab.complete(parser(), shell=options.shell))
