"""Runs: start, list, show, stop, approve, run again, delete."""

from __future__ import annotations

import argparse
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

from trainyard.cli.client import ApiError, Client
from trainyard.cli.commands.logs import Log
from trainyard.cli.terminal import (
    ago,
    client,
    command,
    language,
    print_json,
    print_pairs,
    print_table,
    unknown,
    wants_json,
    with_json,
    with_json_on_request,
)

_STATES = (
    "requested", "rejected", "admitted", "queued", "starting", "running", "succeeded", "failed", "stopped", "timed_out",
)  # fmt: skip
_VERDICT_SECONDS = 120
"""Indexing and judging a very long log takes that long at most; then the run's state alone is the answer."""


def add(subparsers: Any) -> None:
    run = with_json(command(subparsers, "run", _run, "start a run of trainyard.yaml here", "project"))
    run.add_argument("name", help="name of the run in the file")
    run.add_argument("--file", type=Path, default=Path("trainyard.yaml"), help="the file with the run's settings")
    run.add_argument("--ref", help="branch or tag; the default branch if left out")
    run.add_argument("--commit", help="full id of a commit")
    _changes(run)
    _waiting(run)
    listed = with_json(command(subparsers, "list", _list, "a project's runs, newest first", "project"))
    listed.add_argument("--state", choices=_STATES, help="only runs in this state")
    listed.add_argument("-n", "--limit", type=int, default=30, metavar="N", help="how many at most; 30 if left out")
    with_json(command(subparsers, "show", _show, "one run", "run"))
    with_json(command(subparsers, "stop", _stop, "stop a run", "run"))
    with_json_on_request(command(subparsers, "why", _why, "why a run is not running yet", "run"))
    words = "agree to what a run over its project's budget may cost"
    with_json(command(subparsers, "approve", _approve, words, "run"))
    again = with_json(command(subparsers, "rerun", _rerun, "run it again: same commit, same inputs", "run"))
    _changes(again)
    _waiting(again)
    command(subparsers, "delete", _delete, "delete a run that has ended, with its log and outputs", "run")


def _changes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a hyperparameter; [A, B] makes a sweep"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print the run's id and nothing else")


def _waiting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wait", action="store_true", help="show the log until the end; status 1 unless the run did well"
    )


def _run(options: argparse.Namespace) -> int:
    wanted = {"name": options.name, "spec": _spec(options.file, options.name, _settings(options.set))}
    wanted |= {name: value for name in ("ref", "commit") if (value := getattr(options, name))}
    return _started(options, client(options), f"/v1/projects/{options.project}/runs", wanted)


def _rerun(options: argparse.Namespace) -> int:
    changes = _settings(options.set)
    wanted = {"spec": {"hyperparameters": changes}} if changes else {}
    return _started(options, client(options), f"/v1/runs/{options.run}/rerun", wanted)


def _started(options: argparse.Namespace, api: Client, path: str, wanted: Any) -> int:
    made = api.post_once(path, wanted)
    if options.quiet:
        print(made["id"])
    elif options.wait or not wants_json(options):
        print(f"{made['id']}  {made['state']}", file=sys.stderr if options.wait else sys.stdout)
    else:
        print_json(made)
    return _outcome(api, made["id"]) if options.wait else 0


def _outcome(api: Client, run_id: str) -> int:
    """Follow it to its end: 0 if it succeeded and its evaluation was not failed."""
    Log(api, run_id).follow()
    deadline = time.monotonic() + _VERDICT_SECONDS
    while True:
        run = api.get(f"/v1/runs/{run_id}")
        judged = run["state"] == "rejected" or run["evaluation"]["state"] != "none"
        if run["final"] and (judged or time.monotonic() > deadline):
            break
        time.sleep(1)
    print(f"{run_id}  {run['state']}  {run['evaluation']['verdict'] or ''}", file=sys.stderr)
    return 0 if run["state"] == "succeeded" and run["evaluation"]["verdict"] != "failed" else 1


def _list(options: argparse.Namespace) -> None:
    pages = client(options).pages(f"/v1/projects/{options.project}/runs", "runs")
    chosen = (one for one in pages if options.state in (None, one["state"]))
    runs = list(islice(chosen, max(options.limit, 0)))
    if wants_json(options):
        print_json({"runs": runs})
        return
    rows = [
        (
            one["id"],
            one["name"],
            one["state"],
            one["evaluation"]["verdict"],
            (one["commit"] or "")[:10],
            one["requested_by"],
            ago(one["created_at"]),
        )
        for one in runs
    ]
    print_table(("RUN", "NAME", "STATE", "VERDICT", "COMMIT", "BY", "REQUESTED"), rows)


def _show(options: argparse.Namespace) -> None:
    run = client(options).get(f"/v1/runs/{options.run}")
    if wants_json(options):
        print_json(run)
        return
    failure, waiting = run["failure"] or {}, run["waiting"] or {}
    print_pairs(
        [
            ("run", run["id"]),
            ("project", f"{run['project']} ({run['name']})"),
            ("state", run["state"]),
            ("trainings", _trainings(run.get("children"))),
            ("nodes", _nodes(run.get("spec"))),
            ("verdict", run["evaluation"]["verdict"]),
            ("commit", run["commit"]),
            ("requested", f"{ago(run['created_at'])} by {run['requested_by']}, {run['origin']}"),
            ("cost", _cost(run)),
            ("waiting", waiting.get(language())),
            ("failure", failure.get("message", {}).get(language())),
            ("at", failure.get("file") and f"{failure['file']}:{failure['line']}"),
            *((f"best {name}", value) for name, value in run["evaluation"]["best"].items()),
            *((step["state"], f"{step['at']}  attempt {step['attempt']}") for step in run["timeline"]),
        ]
    )


def _nodes(spec: dict[str, Any] | None) -> int | None:
    """How many machines train together, where it is more than one."""
    return spec["nodes"] if spec and spec.get("nodes", 1) > 1 else None


def _trainings(count: dict[str, int] | None) -> str | None:
    """Where the trainings of a sweep stand."""
    return "{succeeded} succeeded, {failed} failed, {running} running of {total}".format(**count) if count else None


def _cost(run: Any) -> str | None:
    """None before it was checked, and where it never had a machine."""
    known, most = run["cost"] or {}, run["estimate"] or {}
    if known.get("usd") or (run["final"] and known.get("usd") is not None):
        return f"{'at most ' if known['at_most'] else ''}{known['usd']:.4g} USD"
    if most and not run["final"]:
        return f"at most {most['most_usd']:.4g} USD"
    began = any(step["state"] == "running" for step in run["timeline"])
    return unknown() if began or (not run["final"] and run["state"] != "requested") else None


def _stop(options: argparse.Namespace) -> None:
    run = client(options).post(f"/v1/runs/{options.run}/stop")
    if wants_json(options):
        print_json(run)
    else:
        print(run["state"] if run["final"] else f"{run['state']}, will be stopped")


def _why(options: argparse.Namespace) -> None:
    told = client(options).get(f"/v1/runs/{options.run}/waiting")
    if options.json:
        print_json(told)
        return
    print(told["waiting"][language()] if told["waiting"] else told["state"])


def _approve(options: argparse.Namespace) -> None:
    run = client(options).post(f"/v1/runs/{options.run}/approve")
    if wants_json(options):
        print_json(run)
    else:
        print(run["state"])


def _delete(options: argparse.Namespace) -> None:
    client(options).delete(f"/v1/runs/{options.run}")


def _spec(file: Path, name: str, changes: dict[str, Any]) -> Any:
    """The run's settings in the file, as they stand there: whether they hold is the server's to say."""
    import yaml

    try:
        document = yaml.safe_load(file.read_bytes())
        runs = document["runs"]
        spec = dict(runs[name])
    except FileNotFoundError:
        raise ApiError(
            0, "no_file", f"there is no {file} here; go to the project's folder, or name it with --file"
        ) from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError):
        known = ", ".join(runs) if "runs" in locals() and isinstance(runs, dict) else "none"
        raise ApiError(
            0, "no_run", f"{file} has no readable run {name!r} (it has: {known}); `trainyard check` says more"
        ) from None
    spec["hyperparameters"] = {**(spec.get("hyperparameters") or {}), **changes}
    return spec


def _settings(pairs: list[str]) -> dict[str, Any]:
    """`epochs=3` as YAML would read it: a number, true or false, or text."""
    import yaml

    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ApiError(0, "not_a_pair", f"--set {pair}: write NAME=VALUE")
        read = yaml.safe_load(value) if value else ""
        settings[name] = read if isinstance(read, str | int | float | bool | list) else value
    return settings
