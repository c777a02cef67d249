"""How a project signs in to registries of container images."""

from __future__ import annotations

import argparse
import sys
from getpass import getpass
from typing import Any
from urllib.parse import quote

from trainyard.cli.terminal import ago, client, command, print_json, print_pairs, print_table, wants_json, with_json


def add(subparsers: Any) -> None:
    words = "logins of a project to registries of container images: list, add, remove"
    own = subparsers.add_parser("registries", help=words, description=words)
    own = own.add_subparsers(required=True, metavar="COMMAND")
    with_json(command(own, "list", _list, "for which there is one, without passwords", "project"))
    added = with_json(
        command(own, "add", _add, "keep or replace one; the password is asked for, or read from stdin", "project")
    )
    added.add_argument("registry", help="HOST or HOST:PORT as in the images' names, such as ghcr.io")
    added.add_argument("--username", required=True, help="as docker login takes it")
    added.add_argument("--token-host", default="", metavar="HOST", help="who gives out its tokens, if not itself")
    removed = command(own, "remove", _remove, "forget one", "project")
    removed.add_argument("registry")


def _list(options: argparse.Namespace) -> None:
    kept = client(options).get(f"/v1/projects/{options.project}/registries")
    if wants_json(options):
        print_json(kept)
        return
    rows = [(one["registry"], one["username"], one["created_by"], ago(one["created_at"])) for one in kept["registries"]]
    print_table(("REGISTRY", "USER", "KEPT BY", "SINCE"), rows)


def _add(options: argparse.Namespace) -> None:
    password = getpass("password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    wanted = {"username": options.username, "password": password, "token_host": options.token_host}
    kept = client(options).put(_place(options), wanted)
    if wants_json(options):
        print_json(kept)
    else:
        print_pairs([("kept", f"{kept['username']} at {kept['registry']}")])


def _remove(options: argparse.Namespace) -> None:
    client(options).delete(_place(options))


def _place(options: argparse.Namespace) -> str:
    return f"/v1/projects/{options.project}/registries/{quote(options.registry, safe='')}"
