"""What each page shows, and to whom."""

from __future__ import annotations

import gzip
import json
import re
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from builders import NOW, a_run, a_spec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.web.pages.conftest import Browser, signed_in

from trainyard.evaluation.standard import evaluate
from trainyard.model.budget import Budget
from trainyard.model.finding import Finding, FindingCount, Severity
from trainyard.model.metric import MetricGroup, Metrics, Point
from trainyard.model.money import Approval, Cost, Estimate
from trainyard.model.repository import Repository, RepositoryKind, Scope, Visibility
from trainyard.model.run import EvaluationFacet, FacetState, FailureReason, LogsFacet, Run, RunState, Transition
from trainyard.model.text import Text
from trainyard.store import State, layout
from trainyard.store.access import issue_token
from trainyard.web.pages.answers import CONTENT_SECURITY_POLICY
from trainyard.web.pages.shown import shown
from trainyard.web.static_files import static_file

RUN = "run-0123456789abcdefghjkmn"
OTHER = "run-0123456789abcdefghjkmp"
HOSTILE = "<script>alert(1)</script></textarea>\u202e'\"&{{ 7*7 }}"


def finished(run_id: str = RUN, **changes: Any) -> Run:
    steps = (RunState.REQUESTED, RunState.ADMITTED, RunState.QUEUED, RunState.RUNNING, RunState.SUCCEEDED)
    timeline = [
        Transition(state=state, attempt=int(number > 1), at=NOW + timedelta(seconds=number))
        for number, state in enumerate(steps)
    ]
    values: dict[str, Any] = {
        "project": "ada/lenet5",
        "state": RunState.SUCCEEDED,
        "attempt": 1,
        "ref": "refs/heads/main",
        "timeline": timeline,
        "logs": LogsFacet(state=FacetState.DONE, lines=2, bytes=40),
        "evaluation": EvaluationFacet(
            state=FacetState.DONE, verdict="passed", best={"loss": 0.1}, key_metric="loss", curve=[1, 0.5, 0.1]
        ),
    }
    return a_run(run_id, **{**values, **changes})


def store(state: State, run: Run, name: str = "loss") -> None:
    state.table.create_run(run)
    metrics = Metrics([MetricGroup({}, {name: [Point(n, float(n), 1 / n) for n in range(1, 5)]})])
    state.objects.put(layout.metrics_key(run.id), metrics.to_json())
    evaluation = evaluate(metrics, {name: "< 0.5"})
    state.objects.put(layout.evaluation_key(run.id), evaluation.model_dump_json().encode())
    state.objects.put(layout.log_chunk_key(run.id, 1, 0), gzip.compress(b"first line\nsecond <b>line</b>\n"))
    state.objects.put(f"{layout.output_prefix(run.id)}model.ckpt", b"weights")


@pytest.fixture
def run(pages: State, project: Repository) -> Run:
    made = finished()
    store(pages, made)
    return made


ALL = [
    "/", "/sign-in", "/catalogue", "/guide", "/account", "/repositories/new",
    "/repositories/new?kind=dataset", "/repositories/ada/lenet5", "/projects/ada/lenet5",
    "/projects/ada/lenet5?state=succeeded&q=lenet", "/projects/ada/lenet5?branch=nothing", "/projects/ada/lenet5/new",
    f"/projects/ada/lenet5/new?from={RUN}", f"/projects/ada/lenet5/compare?run={RUN}&run={OTHER}", f"/runs/{RUN}",
    f"/runs/{RUN}/log", f"/runs/{RUN}/log?q=line", f"/runs/{RUN}/log?line=2", f"/runs/{RUN}/log?q=(&kind=regex",
    f"/runs/{RUN}/outputs", f"/runs/{RUN}/delete", "/nothing",
]  # fmt: skip


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_in_both_languages(pages: State, ada: Browser, run: Run, language: str) -> None:
    store(pages, finished(OTHER))
    ada.language = language
    for path in ALL:
        page = ada.get(path)
        expected = 404 if path == "/nothing" else 303 if path == "/sign-in" else 200
        assert page.status == expected, (path, page.words())
        assert page.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        if expected != 303:
            assert f'lang="{"zh-CN" if language == "zh" else "en"}"' in page.text
            assert "<script>" not in page.text
            assert " style=" not in page.text
            assert not re.search(r"\son\w+=", page.text)


def test_a_button_that_is_pressed_twice_makes_one_run(pages: State, ada: Browser, run: Run) -> None:
    def button() -> str:
        return re.search(r'name="once" value="([^"]+)"', ada.get(f"/runs/{RUN}").text)[1]  # type: ignore[index]

    before, first = len(pages.table.runs_of("ada/lenet5").rows), button()
    places = [ada.post(f"/runs/{RUN}/rerun", {"once": first}).headers["location"] for _ in range(2)]
    assert places[0] == places[1]
    assert len(pages.table.runs_of("ada/lenet5").rows) == before + 1
    assert ada.post(f"/runs/{RUN}/rerun", {"once": button()}).headers["location"] != places[0]


def test_what_strangers_see_of_a_private_project_is_that_it_is_not_there(eve: Browser, run: Run) -> None:
    stranger = Browser()
    for browser in (eve, stranger):
        for path in (
            "/projects/ada/lenet5", f"/projects/ada/lenet5/compare?run={RUN}&run={OTHER}", f"/runs/{RUN}",
            f"/runs/{RUN}/live", f"/runs/{RUN}/plots", f"/runs/{RUN}/log", f"/runs/{RUN}/log.gz",
            f"/runs/{RUN}/outputs", f"/runs/{RUN}/outputs/model.ckpt", f"/runs/{RUN}/delete",
            "/repositories/ada/lenet5",
        ):  # fmt: skip
            page = browser.get(path)
            assert page.status == 404, path
            assert "first line" not in page.text
    for path in ("stop", "rerun", "delete", "approve"):
        assert eve.post(f"/runs/{RUN}/{path}", {}).status == 404
        assert stranger.post(f"/runs/{RUN}/{path}", {}).status in (401, 404)
    assert eve.get("/projects/ada/lenet5/new").status == 404
    assert (
        stranger.get("/projects/ada/lenet5/new").headers["location"] == "/sign-in?to=%2Fprojects%2Fada%2Flenet5%2Fnew"
    )


def test_a_public_project_is_read_by_all_and_commanded_by_its_members(pages: State, eve: Browser, run: Run) -> None:
    public = {"visibility": Visibility.PUBLIC}
    assert pages.table.change_repository("ada/lenet5", lambda known: known.model_copy(update=public))
    page = Browser().get(f"/runs/{RUN}")
    assert page.status == 200
    assert "second <b>" not in page.text
    assert "second &lt;b&gt;line" in page.text
    assert "/rerun" not in page.text
    assert eve.post(f"/runs/{RUN}/delete", {}).status == 403
    assert pages.table.run(RUN) == run


def test_somebody_who_may_only_read_changes_nothing(pages: State, run: Run) -> None:
    reader = signed_in(pages, "ada", Scope.READ)
    assert reader.get(f"/runs/{RUN}").status == 200
    assert reader.post(f"/runs/{RUN}/delete", {}).status == 403
    assert reader.post("/repositories/new", {"name": "x", "kind": "project"}).status == 422
    assert reader.post("/account/tokens", {"scope": "write", "days": "30"}).status == 403
    assert pages.table.repository("ada/x") is None


def test_a_form_without_its_token_does_nothing(pages: State, ada: Browser, eve: Browser, run: Run) -> None:
    for path in (f"/runs/{RUN}/delete", f"/runs/{RUN}/stop", "/sign-out", "/account/tokens", "/repositories/new"):
        for csrf in (None, "0" * 64, eve.get("/account").csrf()):
            assert ada.post(path, {"name": "new"}, csrf=csrf).status == 403, path
    assert pages.table.run(RUN) == run
    assert ada.get("/account").status == 200
    assert Browser().post("/sign-in", {"token": "x"}, csrf=None).status == 403


def test_the_cookie_is_neither_the_token_nor_for_scripts(pages: State) -> None:
    secret, _ = issue_token(pages.table, "ada", [Scope.READ])
    browser = Browser()
    answer = browser.sign_in(secret)
    (cookie,) = answer.cookies
    assert cookie.startswith("__Host-session=")
    assert {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"} <= set(cookie.split("; "))
    assert secret not in cookie
    assert secret not in browser.get("/").text
    assert "ada" in browser.get("/").text
    browser.post("/sign-out", {})
    assert browser.get("/account").status == 303


def test_signing_out_ends_the_session_itself(pages: State, ada: Browser) -> None:
    kept = dict(ada.cookies)
    ada.post("/sign-out", {})
    assert Browser(cookies=kept).get("/account").status == 303


@pytest.mark.parametrize("to", ["//evil.example", "/\\evil.example", "https://evil.example", "/a b", "javascript:1"])
def test_signing_in_leads_to_no_other_site(pages: State, to: str) -> None:
    secret, _ = issue_token(pages.table, "ada", [Scope.READ])
    assert Browser().post("/sign-in", {"token": secret, "to": to}).headers["location"] == "/"
    assert Browser().post("/sign-in", {"token": secret, "to": "/guide"}).headers["location"] == "/guide"


def test_a_wrong_token_is_told_beside_the_field(pages: State) -> None:
    page = Browser().post("/sign-in", {"token": "ty_wrong", "to": "/guide"})
    assert page.status == 401
    assert "token is wrong" in page.text
    assert 'value="/guide"' in page.text


def test_the_language_follows_the_browser_until_one_is_chosen(pages: State) -> None:
    browser = Browser(language="zh-CN,zh;q=0.9")
    assert "教程" in browser.get("/").text
    answer = browser.get("/catalogue?a=1&language=en")
    assert answer.headers["location"] == "/catalogue?a=1"
    assert "Guide" in browser.get("/").text


def test_files_are_named_by_their_content_kept_for_ever_and_compressed(pages: State) -> None:
    browser = Browser()
    address = re.search(r'href="(/static/app\.[0-9a-f]{10}\.css)"', browser.get("/").text)
    assert address
    plain = browser.get(address[1])
    assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
    browser.gzip = True
    packed = browser.get(address[1])
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text
    assert browser.get("/static/app.0000000000.css").status == 404
    assert browser.get("/static/..%2f..%2fwords.py").status == 404


def test_a_first_view_is_small(pages: State, ada: Browser, run: Run) -> None:
    """Everything that a run's page loads, compressed."""
    ada.gzip = True
    page = ada.get(f"/runs/{RUN}")
    addresses = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    assert any("uPlot" in address for address in addresses)
    files = [static_file(address.rsplit("/", 1)[1]) for address in addresses]
    sizes = [len(file.compressed) for file in files if file is not None]
    assert len(sizes) == len(addresses)
    assert sum(sizes) + len(gzip.compress(page.text.encode())) < 150_000


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"cost": Cost(seconds=60, usd=0.42)}, "$0.42"),
        ({"cost": Cost(seconds=60, usd=0.42, at_most=True)}, "at most $0.42"),
        ({"cost": Cost(seconds=60, usd=0.0)}, "$0.00"),
        ({"cost": Cost(seconds=60)}, "unknown"),
        ({}, "unknown"),
        ({"state": RunState.REJECTED, "timeline": []}, "–"),
    ],
)  # fmt: skip
def test_what_a_run_cost_or_that_nobody_knows(
    pages: State, ada: Browser, project: Repository, changes: dict[str, Any], shown: str
) -> None:
    store(pages, finished(**changes))
    assert re.search(
        rf'class="cost number( nothing)?">(<[^>]*>)?{re.escape(shown)}<', ada.get("/projects/ada/lenet5").text
    )
    assert re.search(rf"<dt>Cost</dt><dd>(<[^>]*>)?{re.escape(shown)}<", ada.get(f"/runs/{RUN}").text)
    store(pages, finished(OTHER))
    compared = ada.get(f"/projects/ada/lenet5/compare?run={RUN}&run={OTHER}").words()
    assert re.search(rf"Cost\s+{re.escape(shown)}\s+unknown", compared)


def test_a_price_that_nobody_knows_is_called_so(pages: State, ada: Browser, project: Repository) -> None:
    npu = a_spec(framework="mindspore-ascend", flavor="ascend-910")
    store(pages, finished(state=RunState.RUNNING, spec=npu, timeline=[]))
    assert re.search(r"<dt>Cost</dt><dd><[^>]*>unknown<", ada.get(f"/runs/{RUN}").text)
    row = next(row for row in ada.get("/catalogue").text.split("<tr") if "<code>ascend-910</code>" in row)
    assert "unknown" in row
    ada.language = "zh"
    row = next(row for row in ada.get("/catalogue").text.split("<tr") if "<code>ascend-910</code>" in row)
    assert "未知" in row


def test_while_it_runs_a_run_says_the_most_that_it_may_cost(pages: State, ada: Browser, project: Repository) -> None:
    most = Estimate(region="us-east-1", usd_per_hour=0.2, price_date="2026-01-02", most_usd=0.4)
    store(pages, finished(state=RunState.RUNNING, cost=Cost(seconds=0, usd=0.0), estimate=most))
    assert "<dt>Cost</dt><dd>at most $0.4</dd>" in ada.get(f"/runs/{RUN}").text


def test_lists_say_which_run_waits_for_approval_and_only_who_may_approves(
    pages: State, ada: Browser, eve: Browser, project: Repository
) -> None:
    held = Approval(reason=Text(en="It may cost too much.", zh="费用过高。"))
    store(pages, finished(state=RunState.ADMITTED, approval=held))
    pages.table.change_repository("ada/lenet5", lambda known: known.model_copy(update={"members": ["eve"]}))
    for place in ("/", "/projects/ada/lenet5", f"/runs/{RUN}"):
        assert "cost to be approved" in ada.get(place).words()
    assert "Approve the cost" in ada.get(f"/runs/{RUN}").words()
    assert "Approve the cost" not in eve.get(f"/runs/{RUN}").words()


def test_lists_read_a_bounded_number_of_rows(pages: State, ada: Browser, project: Repository) -> None:
    for number in range(130):
        pages.table.create_run(finished(f"run-{number:022d}", name=f"n{number % 2}", requested_by="ada"))
    first = ada.get("/projects/ada/lenet5")
    assert first.text.count('name="run"') == 50
    older = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert older
    second = ada.get(older[1].replace("&amp;", "&"))
    assert second.text.count('name="run"') == 50
    filtered = ada.get("/projects/ada/lenet5?name=n1&by=ada&state=succeeded&branch=main&q=N1%20main")
    assert filtered.status == 200
    assert filtered.text.count('name="run"') == 50
    assert "100 trainings were looked through" in filtered.words()


def test_deleting_says_what_will_be_lost_and_does_it(pages: State, ada: Browser, run: Run) -> None:
    page = ada.get(f"/runs/{RUN}/delete")
    assert "1 files, 7 B" in page.words()
    assert "2 lines" in page.words()
    assert ada.post(f"/runs/{RUN}/delete", {}).headers["location"] == "/projects/ada/lenet5"
    assert ada.get(f"/runs/{RUN}").status == 404
    assert not list(pages.objects.find(layout.run_prefix(RUN)))


def test_downloads_come_from_another_origin(ada: Browser, run: Run) -> None:
    answer = ada.get(f"/runs/{RUN}/outputs/model.ckpt")
    assert answer.status == 302
    assert "api.example" not in answer.headers["location"]
    assert "attachment" in answer.headers["location"]
    assert ada.get(f"/runs/{RUN}/outputs/../request.json").status == 404


def test_a_failure_is_explained(pages: State, ada: Browser, project: Repository) -> None:
    reason = FailureReason(
        kind="script", message=Text(en="It broke.", zh="出错。"), file="train.py", line=3, last_lines=["x"]
    )
    pages.table.create_run(finished(state=RunState.FAILED, failure=reason, exit_code=1))
    said = ada.get(f"/runs/{RUN}").words()
    assert "It broke." in said
    assert "train.py:3" in said
    assert "exit status 1" in said


def hostile_run(text: str) -> Run:
    facet = EvaluationFacet(state=FacetState.DONE, best={text: 1.0}, last={text: 1.0}, key_metric=text, curve=[1.0])
    reason = FailureReason(kind=text, message=Text(en=text, zh=text), file=text, last_lines=[text])
    spec = a_spec(description=text[:500], hyperparameters={"a": text}, env={"A": text})
    return finished(
        ref=text, requested_by=text, spec=spec, evaluation=facet, failure=reason, state=RunState.FAILED,
        findings=FindingCount(errors=1),
    )  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(
    st.sampled_from([HOSTILE, "\u202e<img src=x onerror=alert(1)>", "</pre><script>", "'\" autofocus onfocus='x"])
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60)
)
def test_whatever_somebody_wrote_is_shown_as_text(pages: State, ada: Browser, project: Repository, text: str) -> None:
    class Elements(HTMLParser):
        """Every element and the names of its attributes, and the text between them."""

        def __init__(self) -> None:
            super().__init__()
            self.elements: list[tuple[str, tuple[str, ...]]] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.elements.append((tag, tuple(name for name, _ in attrs)))

    def elements(said: str) -> list[tuple[str, tuple[str, ...]]]:
        run = hostile_run(said)
        pages.table._dynamodb.delete_item(TableName="trainyard", Key={"pk": {"S": f"RUN#{run.id}"}})
        store(pages, run, said)
        finding = Finding(
            rule="x", severity=Severity.ERROR, file=said, message=Text(en=said, zh=said), fix=Text(en=said, zh=said)
        )
        document = {"findings": [finding.model_dump(mode="json")], "errors": 1, "warnings": 0}
        pages.objects.put(layout.findings_key(run.id), json.dumps(document).encode())
        found = Elements()
        for path in (f"/runs/{RUN}", "/projects/ada/lenet5", f"/projects/ada/lenet5/new?from={RUN}"):
            page = ada.get(path)
            assert page.status == 200
            assert not re.search("[\u202a-\u202e\u2066-\u2069]", page.text if "/new" not in path else "")
            found.feed(page.text)
        # `code` is what a sentence may put between backquotes.
        return [one for one in found.elements if one[0] != "code"]

    plain = re.sub(r"[^\s`]", "a", text)
    if text.strip():
        assert set(elements(text)) == set(elements("a" if not plain.strip() else "a" * 3))


def test_characters_that_hide_are_shown() -> None:
    assert shown("a\u202eb\x1b[31m\x00") == "a⟦U+202E⟧b␛[31m␀"
    assert shown("你好\t\n") == "你好\t\n"


def test_a_repository_is_created_and_says_where_to_push(pages: State, ada: Browser) -> None:
    wrong = ada.post("/repositories/new", {"name": "a b", "kind": "dataset"})
    assert wrong.status == 422
    assert 'aria-describedby="name-error"' in wrong.text
    made = ada.post("/repositories/new", {"name": "digits", "kind": "dataset", "visibility": "private"})
    assert made.status == 201
    assert "git clone http://127.0.0.1:3000/ada/digits.git" in made.words()
    assert "ada/digits" in ada.get("/").words()


def test_a_budget_is_set_by_the_owner_and_seen_by_members(
    pages: State, ada: Browser, eve: Browser, project: Repository
) -> None:
    place = f"/repositories/{project.full_name}"
    wrong = ada.post(f"{place}/budget", {"per_run_usd": "much", "per_month_usd": "100"})
    assert wrong.status == 422
    assert 'aria-describedby="per_run_usd-error"' in wrong.text
    assert 'value="much"' in wrong.text
    assert ada.post(f"{place}/budget", {"per_run_usd": "", "per_month_usd": "100"}).status == 303
    stored = pages.table.repository(project.full_name)
    assert stored is not None
    assert stored.budget == Budget(per_month_usd=100)
    assert 'value="100"' in ada.get(place).text

    pages.table.change_repository(project.full_name, lambda known: known.model_copy(update={"members": ["eve"]}))
    assert "All runs of a calendar month, USD at most 100" in " ".join(eve.get(place).words().split())
    assert "Save" not in eve.get(place).words()
    assert ada.post(f"{place}/budget", {"per_run_usd": "", "per_month_usd": ""}).status == 303
    assert "Budget" not in Browser().get(place).words()


def test_the_first_page_shows_ones_own_and_what_is_shared_with_one(pages: State, eve: Browser, run: Run) -> None:
    assert "ada/lenet5" not in eve.get("/").words()
    eve.post("/repositories/new", {"name": "own", "kind": "project", "visibility": "private"})
    pages.table.change_repository("ada/lenet5", lambda known: known.model_copy(update={"members": ["eve"]}))
    words = eve.get("/").words()
    assert words.index("eve/own") < words.index("Shared with you") < words.index("ada/lenet5")
    assert run.name in words
    assert "Shared with you" not in signed_in(pages, "ada").get("/").words()


def test_public_ones_are_found_without_signing_in(pages: State, project: Repository) -> None:
    stranger = Browser()
    assert "Nothing here is public yet" in stranger.get("/public").words()
    for number in range(60):
        made = project.model_copy(
            update={
                "full_name": f"ada/p{number:02}",
                "visibility": Visibility.PUBLIC,
                "description": "<b>bold</b>",
                "kind": RepositoryKind.DATASET if number % 2 else RepositoryKind.PROJECT,
            }
        )
        pages.table.create_repository(made)
    page = stranger.get("/public")
    assert "ada/lenet5" not in page.text
    assert "<b>bold" not in page.text
    assert ('href="/projects/ada/p02"' in page.text, 'href="/repositories/ada/p03"' in page.text) == (True, True)
    following = re.search(r'href="(/public\?cursor=[^"]+)"', page.text)
    assert following
    rest = stranger.get(unescape(following[1])).words()
    assert ("ada/p49" in rest, "ada/p50" in rest, "ada/p59" in rest) == (False, True, True)
    found = stranger.get("/public?q=P59+ada").words()
    assert ("ada/p59" in found, "ada/p02" in found) == (True, False)
    assert "Nothing more of that name" in stranger.get("/public?q=nothing").words()
    assert stranger.get("/public?cursor=x").status == 422


def test_a_token_is_shown_once_and_can_be_taken_back(pages: State, ada: Browser) -> None:
    made = ada.post("/account/tokens", {"name": "laptop", "scope": "write", "days": "30"})
    secret = re.search(r"ty_[A-Za-z0-9_-]{40,}", made.text)
    assert secret
    assert secret[0] not in ada.get("/account").text
    (token,) = [one for one in pages.table.tokens_of("ada") if one.name == "laptop"]
    assert token.expires_at is not None
    ada.post(f"/account/tokens/{token.id}/revoke", {})
    assert "laptop" not in [one.name for one in pages.table.tokens_of("ada")]


def test_whatever_goes_wrong_a_page_answers(pages: State, ada: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the table is out of reach")

    monkeypatch.setattr(type(pages.table), "session", broken)
    page = ada.get("/")
    assert page.status == 500
    assert "out of reach" not in page.text
