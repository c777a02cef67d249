"""The commands against the API itself, over HTTP on this machine."""

from __future__ import annotations

import gzip
import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.simple_server import make_server

import pytest
from unit.cli.conftest import Quiet
from unit.web.conftest import Send, project, send, web_state  # noqa: F401 - fixtures

from trainyard.cli.client import ApiError, Client
from trainyard.cli.config import Login, find_login, keep_login
from trainyard.cli.main import run
from trainyard.model import lifecycle
from trainyard.model.money import Cost
from trainyard.model.run import EvaluationFacet, FacetState, RunState
from trainyard.store import State, layout

RUN_FILE = """
runs:
  lenet5: {boot_file: train.py, framework: mindspore-cpu, flavor: cpu, hyperparameters: {epochs: 10, lr: 0.1}}
"""
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def trainyard(
    address: str,
    send: Send,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Call:
    """`trainyard(words)`: exit status, output, errors."""
    token = send("POST", "/v1/tokens", {"scopes": ["write"]}).json["token"]
    monkeypatch.setenv("TRAINYARD_URL", address)
    monkeypatch.setenv("TRAINYARD_TOKEN", token)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = run(words)
        except SystemExit as left:
            status = int(left.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def started(trainyard: Call, project: str, tmp_path: Path) -> str:  # noqa: F811
    (tmp_path / "trainyard.yaml").write_text(RUN_FILE)
    status, out, err = trainyard("run", project, "lenet5", "--set", "epochs=3", "--set", "name=x=y", "-q")
    assert status == 0, err
    return out.strip()


def test_a_run_of_the_file_with_other_settings(trainyard: Call, started: str) -> None:
    shown = json.loads(trainyard("show", started)[1])
    assert shown["spec"]["hyperparameters"] == {"epochs": 3, "lr": 0.1, "name": "x=y"}
    listed = json.loads(trainyard("list", "ada/lenet5", "--state", "requested")[1])
    assert [one["id"] for one in listed["runs"]] == [started]
    assert json.loads(trainyard("list", "ada/lenet5", "--state", "failed")[1]) == {"runs": []}


@pytest.mark.usefixtures("terminal")
def test_what_a_person_sees(trainyard: Call, started: str, web_state: State) -> None:  # noqa: F811
    facet = EvaluationFacet(state=FacetState.DONE, verdict="passed", best={"[bold]acc": 0.5})
    web_state.table.change_run(started, lambda known: lifecycle.evaluated(known, facet, known.updated_at))
    _, out, _ = trainyard("list", "ada/lenet5")
    assert out.splitlines()[0].split() == ["RUN", "NAME", "STATE", "VERDICT", "COMMIT", "BY", "REQUESTED"]
    assert out.splitlines()[1].split()[:4] == [started, "lenet5", "requested", "passed"]
    _, out, _ = trainyard("show", started)
    assert "best [bold]acc" in out
    assert trainyard("stop", started)[1] == "stopped\n"
    assert "mindspore-cpu" in trainyard("catalog")[1]
    assert trainyard("whoami")[1] == "ada (write)\n"
    assert "ada/lenet5" in trainyard("projects", "list")[1]


@pytest.mark.usefixtures("terminal")
def test_on_a_narrow_terminal_the_id_is_whole(trainyard: Call, started: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert started in trainyard("list", "ada/lenet5")[1].replace("\n", " ").split()


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("chosen", "word"), [("C.UTF-8", "unknown"), ("zh_CN.UTF-8", "未知")])
def test_a_price_that_nobody_knows_is_called_so(
    trainyard: Call,
    started: str,
    web_state: State,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    chosen: str,
    word: str,
) -> None:
    monkeypatch.setenv("LC_ALL", chosen)
    flavors = {line.split()[0]: line for line in trainyard("catalog")[1].splitlines() if line}
    assert flavors["ascend-910"].rstrip().endswith(word)
    assert word not in flavors["cpu"]

    def cost(**changes: Any) -> str:
        web_state.table.change_run(started, lambda known: known.model_copy(update=changes))
        lines = trainyard("show", started)[1].splitlines()
        return next((line.split(maxsplit=1)[1].strip() for line in lines if line.startswith("cost")), "")

    assert cost().startswith("at most ")
    assert cost(estimate=None) == ""
    assert cost(state=RunState.ADMITTED) == word
    assert cost(state=RunState.FAILED, cost=Cost(seconds=60, usd=0.42, at_most=True)) == "at most 0.42 USD"


def test_the_end_of_a_followed_run_is_the_exit_status(trainyard: Call, started: str) -> None:
    assert trainyard("stop", started)[0] == 0
    status, _, err = trainyard("rerun", started, "--set", "epochs=1", "-q")
    assert status == 0, err


@pytest.mark.parametrize("lost", ["answered 502", "never answered"])
def test_a_run_whose_answer_was_lost_is_started_once(
    trainyard: Call,
    started: str,
    web_state: State,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    lost: str,
) -> None:
    asked = Client.post
    answers = iter([ApiError(502, "http_error", "?"), ApiError(0, "unreachable", "?")][lost == "never answered" :][:1])

    def post(api: Client, *words: Any) -> Any:
        made = asked(api, *words)
        error = next(answers, None)
        if error:
            raise error
        return made

    monkeypatch.setattr(Client, "post", post)
    before = len(web_state.table.runs_of("ada/lenet5").rows)
    status, made, err = trainyard("rerun", started, "-q")
    assert status == 0, err
    rows = web_state.table.runs_of("ada/lenet5").rows
    assert (len(rows), rows[0].id) == (before + 1, made.strip())
    # Another command is another run.
    trainyard("rerun", started, "-q")
    assert len(web_state.table.runs_of("ada/lenet5").rows) == before + 2


def test_the_log_from_its_end(trainyard: Call, started: str, web_state: State) -> None:  # noqa: F811
    web_state.objects.put(layout.log_chunk_key(started, 1, 0), gzip.compress(b"one\ntwo\nthree\n"))
    assert trainyard("logs", started)[1] == "one\ntwo\nthree\n"
    assert trainyard("logs", started, "--tail", "2")[1] == "two\nthree\n"


def test_a_run_that_never_had_a_log_is_not_followed_for_ever(trainyard: Call, started: str) -> None:
    trainyard("stop", started)
    assert trainyard("logs", "-f", started)[:2] == (0, "")


def test_what_a_run_left_is_downloaded_whole_or_not_at_all(
    trainyard: Call, started: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"weights")
    files = [{"path": path, "size": 7, "address": source.as_uri()} for path in ("a/b.ckpt", "c.ckpt")]
    monkeypatch.setattr(Client, "pages", lambda *_, **__: iter(files))
    assert trainyard("download", started, str(tmp_path / "out"))[0] == 0
    assert (tmp_path / "out/a/b.ckpt").read_bytes() == b"weights"
    files.append({"path": "../evil", "size": 7, "address": source.as_uri()})
    status, out, err = trainyard("download", started, str(tmp_path / "other"))
    assert (status, out, list((tmp_path / "other").iterdir())) == (1, "", [])
    assert "leads out of" in err


def test_repositories_and_tokens(trainyard: Call) -> None:
    made = json.loads(trainyard("repositories", "add", "digits", "--kind", "dataset", "--visibility", "public")[1])
    assert (made["repository"]["kind"], made["repository"]["visibility"]) == ("dataset", "public")
    assert json.loads(trainyard("repositories", "show", "ada/digits")[1])["owner"] == "ada"
    trainyard("repositories", "add", "secret", "--kind", "model")
    for options, names in (
        ((), ["ada/digits", "ada/secret"]), (("--public",), ["ada/digits"]), (("--public", "--search", "sec"), []),
    ):  # fmt: skip
        listed = json.loads(trainyard("repositories", "list", *options)[1])["repositories"]
        assert [one["full_name"] for one in listed] == names
    token = json.loads(trainyard("tokens", "add", "laptop", "--scope", "read")[1])
    assert token["token"] not in trainyard("tokens", "list")[1]
    assert trainyard("tokens", "revoke", token["id"])[0] == 0
    assert trainyard("tokens", "revoke", token["id"])[0] == 1


def test_mistakes_are_told_and_nothing_is_done(trainyard: Call, project: str, tmp_path: Path) -> None:  # noqa: F811
    for words, told in [
        (("run", project, "lenet5"), "there is no trainyard.yaml"),
        (("show", "run-nothing"), "no run run-nothing"),
        (("list", "ada/nothing"), "no repository"),
        (("--url", "ftp://x", "whoami"), "is not an address"),
        (("--url", "http://127.0.0.1:1", "whoami"), "cannot be reached"),
        (("up",), "in a checkout"),
    ]:
        status, out, err = trainyard(*words)
        assert (status, out) == (1, ""), words
        assert told in err, words
    (tmp_path / "trainyard.yaml").write_text("runs: [")
    assert "no readable run" in trainyard("run", project, "lenet5")[2]
    (tmp_path / "trainyard.yaml").write_text(RUN_FILE)
    assert "it has: lenet5" in trainyard("run", project, "lenet6")[2]
    assert "write NAME=VALUE" in trainyard("run", project, "lenet5", "--set", "epochs")[2]


def test_a_login_is_kept_for_this_user_and_this_address_alone(
    trainyard: Call, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, err = trainyard("login")
    assert status == 0, err
    file = Path(out.strip().partition("kept in ")[2])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    monkeypatch.delenv("TRAINYARD_TOKEN")
    monkeypatch.delenv("TRAINYARD_URL")
    assert json.loads(trainyard("whoami")[1])["user"] == "ada"
    assert find_login("https://elsewhere.example", os.environ).token is None
    assert trainyard("logout")[1] == "forgotten\n"
    assert trainyard("whoami")[0] == 1
    file.write_text("{")
    assert "remove it" in trainyard("whoami")[2]


def test_a_wrong_token_is_not_kept(trainyard: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_TOKEN", "ty_wrong")
    assert trainyard("login")[0] == 1
    assert trainyard("logout")[1] == "nothing was kept\n"


def test_a_token_is_never_sent_on_to_another_place(tmp_path: Path) -> None:
    """An answer that leads to the bucket must not take the API's token there."""
    seen: list[dict[str, str]] = []

    def bucket(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ)
        start_response("200 OK", [])
        return [b"log"]

    with make_server("127.0.0.1", 0, bucket, handler_class=Quiet) as store:

        def leads_there(_: dict[str, Any], start_response: Any) -> list[bytes]:
            start_response("302 Found", [("Location", f"http://127.0.0.1:{store.server_port}/log.gz")])
            return []

        with make_server("127.0.0.1", 0, leads_there, handler_class=Quiet) as api:
            for server in (store, api):
                threading.Thread(target=server.handle_request, daemon=True).start()
            client = Client(f"http://127.0.0.1:{api.server_port}", "ty_secret")
            assert client.download_from("/v1/runs/run-x/log.gz", tmp_path / "log.gz") == 3
    assert "HTTP_AUTHORIZATION" not in seen[0]


def test_completion_knows_the_commands(trainyard: Call) -> None:
    for shell in ("bash", "zsh"):
        assert "rerun" in trainyard("completion", shell)[1]


def test_keeping_a_login_replaces_the_one_before(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    for token in ("one", "two"):
        keep_login(Login("https://a.example", token), environment)
    assert find_login(None, environment) == Login("https://a.example", "two")
    with pytest.raises(ApiError):
        find_login(None, {"XDG_CONFIG_HOME": str(tmp_path / "none")})


def test_half_a_name_asks_for_no_other_address(trainyard: Call) -> None:
    status, _, told = trainyard("list", "demo")

    assert status == 2
    assert "'demo' is no OWNER/NAME" in told


def test_a_budget_is_shown_and_changed(trainyard: Call, project: str) -> None:  # noqa: F811
    assert json.loads(trainyard("projects", "budget", "ada/lenet5")[1]) == {"per_run_usd": None, "per_month_usd": None}
    trainyard("projects", "budget", "ada/lenet5", "--per-run", "5", "--per-month", "100")
    status, told, _ = trainyard("projects", "budget", "ada/lenet5", "--per-run", "none")

    assert status == 0
    assert json.loads(told) == {"per_run_usd": None, "per_month_usd": 100}
    assert trainyard("projects", "budget", "ada/lenet5", "--per-run", "-5")[0] == 1
    assert trainyard("projects", "budget", "ada/lenet5", "--per-run", "much")[0] == 2
