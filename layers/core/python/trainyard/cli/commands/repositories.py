"""Repositories, projects and access tokens."""

from __future__ import annotations

import argparse
from typing import Any

from trainyard.cli.terminal import ago, client, command, print_json, print_pairs, print_table, wants_json, with_json


def add(subparsers: Any) -> None:
    _group(subparsers, "projects", "projects: list, show, add, budget", kinds=())
    _group(subparsers, "repositories", "repositories of every kind: list, show, add", ("project", "model", "dataset"))
    _tokens(subparsers)


def _group(subparsers: Any, name: str, words: str, kinds: tuple[str, ...]) -> None:
    own = subparsers.add_parser(name, help=words, description=words).add_subparsers(required=True, metavar="COMMAND")
    for added in (
        with_json(_finding(command(own, "list", _list, "yours and those that are shared with you"))),
        with_json(command(own, "show", _show, "one of them", "repository")),
        with_json(command(own, "add", _add, "make one, or connect one of another git host")),
    ):
        added.set_defaults(place=name)
    added.add_argument("name", help="NAME or OWNER/NAME")
    if not kinds:
        _budget_of(own)
    if kinds:
        added.add_argument("--kind", choices=kinds, default="project")
    added.add_argument("--clone-url", help="where it lies already, at another git host")
    added.add_argument("--visibility", choices=("public", "private"), default="private")
    added.add_argument("--licence", default="")
    added.add_argument("--description", default="")


def _budget_of(own: Any) -> None:
    words = "what runs may cost before somebody has to approve them; shown, or changed by its owner"
    added = with_json(command(own, "budget", _budget, words, "project"))
    for name, what in (("run", "one run"), ("month", "all runs of a calendar month")):
        added.add_argument(f"--per-{name}", type=_usd, metavar="USD", help=f"{what}, at most; `none`: any sum")


def _usd(text: str) -> float | str:
    try:
        return text if text == "none" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no sum; write a number, or none") from None


def _finding(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--public", action="store_true", help="everybody's public ones")
    parser.add_argument("--search", metavar="WORDS", help="only those with these words in their name")
    return parser


def _list(options: argparse.Namespace) -> None:
    wanted = {"visibility": "public" if options.public else None, "search": options.search}
    rows = list(client(options).pages(f"/v1/{options.place}", options.place, **wanted))
    if wants_json(options):
        print_json({options.place: rows})
        return
    cells = [(one["full_name"], one["kind"], one["visibility"], one["host"], ago(one["created_at"])) for one in rows]
    print_table(("NAME", "KIND", "VISIBILITY", "HOST", "MADE"), cells)


def _show(options: argparse.Namespace) -> None:
    one = client(options).get(f"/v1/{options.place}/{options.repository}")
    if wants_json(options):
        print_json(one)
    else:
        print_pairs((name.replace("_", " "), value) for name, value in one.items())


def _budget(options: argparse.Namespace) -> None:
    api, path = client(options), f"/v1/projects/{options.project}"
    budget = api.get(path)["budget"] or {"per_run_usd": None, "per_month_usd": None}
    given = {"per_run_usd": options.per_run, "per_month_usd": options.per_month}
    changes = {name: None if usd == "none" else usd for name, usd in given.items() if usd is not None}
    if changes:
        budget = api.put(f"{path}/budget", {**budget, **changes})["budget"] or dict.fromkeys(budget)
    if wants_json(options):
        print_json(budget)
    else:
        print_pairs((name.replace("_", " "), "no limit" if usd is None else usd) for name, usd in budget.items())


def _add(options: argparse.Namespace) -> None:
    wanted = {name: getattr(options, name) for name in ("name", "visibility", "licence", "description")}
    wanted |= {name: value for name in ("kind", "clone_url") if (value := getattr(options, name, None))}
    made = client(options).post(f"/v1/{options.place}", wanted)
    if wants_json(options):
        print_json(made)
        return
    print_pairs([("made", made["repository"]["full_name"]), ("clone", made["repository"]["clone_url"])])
    if made["webhook"]:
        print_pairs([(f"webhook {name}", value) for name, value in made["webhook"].items()])


def _tokens(subparsers: Any) -> None:
    words = "access tokens: list, add, revoke"
    own = subparsers.add_parser("tokens", help=words, description=words)
    own = own.add_subparsers(required=True, metavar="COMMAND")
    with_json(command(own, "list", _list_tokens, "yours, without their secrets"))
    added = with_json(command(own, "add", _add_token, "make one; it is shown this once"))
    added.add_argument("name", nargs="?", default="", help="what it is for")
    added.add_argument("--scope", action="append", choices=("read", "write", "operate"), help="read, if left out")
    added.add_argument("--user", help="for whom, if not for yourself (operators)")
    added.add_argument("--expires", metavar="TIME", help="when it ends, such as 2027-01-31T00:00:00Z")
    command(own, "revoke", _revoke_token, "make one useless at once").add_argument("token", help="its id")


def _list_tokens(options: argparse.Namespace) -> None:
    found = client(options).get("/v1/tokens")
    if wants_json(options):
        print_json(found)
        return
    rows = [(one["id"], one["name"], ", ".join(one["scopes"]), one["expires_at"]) for one in found["tokens"]]
    print_table(("ID", "NAME", "SCOPES", "EXPIRES"), rows)


def _add_token(options: argparse.Namespace) -> None:
    wanted: dict[str, Any] = {"name": options.name, "scopes": options.scope or ["read"]}
    wanted |= {"user": options.user} if options.user else {}
    wanted |= {"expires_at": options.expires} if options.expires else {}
    made = client(options).post("/v1/tokens", wanted)
    if wants_json(options):
        print_json(made)
    else:
        print(made["token"])


def _revoke_token(options: argparse.Namespace) -> None:
    client(options).delete(f"/v1/tokens/{options.token}")
