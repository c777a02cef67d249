"""The pages in a real browser on the embedded stack: the tutorial by mouse and keyboard, in both languages."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from openid_provider import OpenIdProvider
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from infra.local.demo.user import User
from infra.local.inside import new_token
from infra.local.stack import Stack

pytestmark = pytest.mark.e2e
WAIT = 60_000
"""Milliseconds: more than any step needs on a busy machine."""
HOSTILE = "<script>alert(1)</script></textarea><img src=x onerror=alert(2)>"
TRAIN = f"""
import argparse, pathlib, time
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--pause", type=float, default=0.0)
parser.add_argument("--data_url", default="")
parser.add_argument("--output_path", required=True)
args = parser.parse_args()
print({HOSTILE!r}, "\\x1b[31mred\\x1b[0m", "\\u202egnp.exe", "你好", flush=True)
for epoch in range(1, args.epochs + 1):
    print(f"epoch: {{epoch}} step: 10, loss is {{1 / epoch}}", flush=True)
    print(f"Eval result: epoch {{epoch}}, metrics: {{{{'accuracy': {{0.9 + min(epoch, 9) / 100}}}}}}", flush=True)
    time.sleep(args.pause)
pathlib.Path(args.output_path, "<b>model & co.ckpt").write_bytes(b"weights")
"""
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert program, "There is no Chromium. Run: make setup   (or: sudo apt-get install chromium)"
    expect.set_options(timeout=WAIT)
    with sync_playwright() as playwright:
        yield _launched(playwright, program)


def _launched(playwright: Playwright, program: str) -> Browser:
    return playwright.chromium.launch(executable_path=program, args=ARGUMENTS)


@pytest.fixture(scope="module")
def ada(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> User:
    return User("ada", new_token(stack.addresses, "ada"), stack.addresses.api, tmp_path_factory.mktemp("ada"))


@dataclass
class Visitor:
    """Somebody at a browser. Whatever a page should never do is kept in `wrongs`."""

    root: str
    context: BrowserContext
    page: Page
    wrongs: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        self.page.goto(self.root + path)

    def sign_in(self, token: str) -> None:
        self.go("/sign-in")
        self.page.locator("#token").focus()
        self.page.keyboard.type(token)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(f"{self.root}/")


@pytest.fixture
def visit(stack: Stack, browser: Browser, ada: User) -> Iterator[Callable[..., Visitor]]:
    """`visit(locale, width, scripts, signed_in)`; at the end no page may have opened a dialog or broken a rule."""
    visitors: list[Visitor] = []

    def begin(locale: str = "en-US", width: int = 1280, *, scripts: bool = True, signed_in: bool = True) -> Visitor:
        context = browser.new_context(
            locale=locale, viewport={"width": width, "height": 900}, java_script_enabled=scripts
        )
        context.set_default_timeout(WAIT)
        visitor = Visitor(stack.addresses.api, context, context.new_page())
        visitor.page.on("dialog", lambda dialog: (visitor.wrongs.append(f"dialog {dialog.message}"), dialog.dismiss()))
        visitor.page.on("pageerror", lambda error: visitor.wrongs.append(f"script {error}"))
        visitor.page.on(
            "console", lambda said: visitor.wrongs.append(said.text) if "Content Security Policy" in said.text else None
        )
        visitors.append(visitor)
        if signed_in:
            visitor.sign_in(ada.token)
        return visitor

    yield begin
    for visitor in visitors:
        visitor.context.close()
        assert visitor.wrongs == []


def push_code(ada: User, clone_url: str) -> None:
    tree = ada.clone(clone_url)
    code = tree / "train" / "trainDir"
    code.mkdir(parents=True)
    (code / "train.py").write_text(TRAIN)
    (code / "pip-requirements.txt").write_text("")
    ada.push(tree, "training")


@pytest.fixture(scope="module")
def project(ada: User) -> str:
    made = ada.api.post("/v1/repositories", {"name": "ada/paged", "kind": "project"})
    push_code(ada, made["repository"]["clone_url"])
    return "ada/paged"


@pytest.fixture(scope="module")
def finished(ada: User, project: str) -> list[str]:
    """Two runs to look at."""
    form = {
        "name": "small", "code_dir": "train/trainDir", "boot_file": "train.py", "framework": "python-cpu",
        "flavor": "cpu-small", "output_path": "on", "description": HOSTILE, "evaluation.accuracy": ">= 0.9",
    }  # fmt: skip
    runs = [
        ada.api.post_form(f"/v1/projects/{project}/runs", {**form, "hyperparameters.epochs": epochs})["id"]
        for epochs in ("2", "3")
    ]
    for run in runs:
        _until(lambda run=run: ada.api.get(f"/v1/runs/{run}")["evaluation"].get("verdict"))
    return runs


def _until(done: Callable[[], Any]) -> None:
    import time

    deadline = time.monotonic() + WAIT / 1000
    while not done():
        assert time.monotonic() < deadline, "it did not come to an end"
        time.sleep(0.2)


def create(visitor: Visitor, kind: str, name: str) -> str:
    """A new repository by the form: its clone address."""
    visitor.go("/")
    visitor.page.get_by_role("link", name=kind).click()
    visitor.page.get_by_label("Name", exact=True).fill(name)
    visitor.page.get_by_role("button", name="Create").click()
    return visitor.page.locator("#clone").inner_text()


def by_hand(ada: User) -> list[Any]:
    """The tutorial's runs, without the one that a push without a run file was rejected as."""
    return [run for run in ada.api.get("/v1/projects/ada/tutorial/runs")["runs"] if run["name"] == "by-hand"]


def test_the_whole_tutorial(visit: Callable[..., Visitor], ada: User, tmp_path: Path) -> None:
    ada_there = visit()
    page = ada_there.page
    push_code(ada, create(ada_there, "New project", "tutorial"))
    data = ada.clone(create(ada_there, "New data set", "tutorial-digits"))
    (data / "digits.csv").write_text("1,2\n")
    ada.push(data, "digits")

    ada_there.go("/projects/ada/tutorial")
    page.get_by_role("link", name="Create a training").click()
    options = page.locator("#folders option")
    expect(options).to_have_count(1)
    assert options.first.get_attribute("value") == "train/trainDir"
    page.get_by_label("Training name").fill("by-hand")
    page.keyboard.press("Tab")
    page.keyboard.type("<b>described</b>")
    page.get_by_label("Code directory").fill("train/trainDir")
    page.get_by_label("Boot file").fill("trian.py")
    page.get_by_label("Framework version").select_option("python-cpu")
    page.get_by_label("Compute resource").select_option("cpu-small")
    page.get_by_role("group", name="Input 2").get_by_label("Repository or training").fill("ada/tutorial-digits")
    page.get_by_label("Hyperparameters").fill("epochs=500\npause=0.2")
    page.get_by_role("button", name="Check and create").click()
    told = page.locator("[data-told=boot_file]")
    expect(told).to_contain_text("train.py")
    expect(page.get_by_label("Boot file")).to_have_attribute("aria-invalid", "true")
    assert by_hand(ada) == [], "nothing is submitted before it is right"

    page.get_by_label("Boot file").fill("train.py")
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/run-*")
    log = page.get_by_role("log")
    expect(log).to_contain_text("epoch: 3 step: 10")
    expect(log).to_contain_text(HOSTILE)
    expect(log).to_contain_text("red ⟦U+202E⟧gnp.exe 你好")
    expect(page.locator(".uplot canvas").first).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("h1 .state")).to_have_text("stopped")
    expect(page.get_by_role("link", name="Download log")).to_be_visible()

    page.get_by_role("link", name="Change and run").click()
    expect(page.get_by_label("Training name")).to_have_value("by-hand")
    page.get_by_label("Hyperparameters").fill("epochs=4")
    page.get_by_label("Evaluation requirements").fill("accuracy >= 0.9")
    page.get_by_role("button", name="Check and create").click()
    page.wait_for_url(re.compile(r"/runs/run-"))
    expect(page.locator("h1 .state")).to_have_text("succeeded")
    expect(page.get_by_text("requirements met")).to_be_visible()
    expect(page.get_by_text("dataset ada/tutorial-digits")).to_be_visible()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="<b>model & co.ckpt").click()
    assert not downloading.value.url.startswith(ada_there.root)
    downloading.value.save_as(tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == b"weights"

    page.get_by_label("Search the log").fill("loss")
    page.keyboard.press("Enter")
    expect(page.get_by_text("4 lines found")).to_be_visible()
    page.get_by_role("link", name="ada/tutorial").click()
    for box in page.get_by_role("checkbox", name="by-hand").all():
        box.check()
    page.get_by_role("button", name="Compare the chosen ones").click()
    expect(page.get_by_role("heading", name="Comparison")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("epochs.*differs"))).to_be_visible()

    page.get_by_role("link", name="by-hand").first.click()
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_text("Training output: 1 files")).to_be_visible()
    page.get_by_role("button", name="Delete for good").click()
    page.wait_for_url("**/projects/ada/tutorial")
    assert len(by_hand(ada)) == 1
    page.get_by_role("button", name="Sign out").click()
    ada_there.go("/projects/ada/tutorial")
    expect(page.get_by_role("heading", name="Not here")).to_be_visible()


def test_the_form_without_javascript_in_chinese(visit: Callable[..., Visitor], ada: User, project: str) -> None:
    there = visit("zh-CN", scripts=False, signed_in=False)
    page = there.page
    there.go("/sign-in?to=%2Fprojects%2Fada%2Fpaged%2Fnew")
    page.get_by_label("访问令牌").fill(ada.token)
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("heading", name="创建训练实例")).to_be_visible()
    page.get_by_label("训练名称").fill("plain")
    page.get_by_label("代码目录").fill("train/trainDir")
    page.get_by_label("启动文件").fill("train.py")
    page.get_by_label("框架版本").select_option("python-cpu")
    page.get_by_label("计算资源").select_option("cpu-small")
    page.get_by_label("超参").fill("epoks=1")
    page.get_by_role("button", name="检查并创建").click()
    expect(page.locator("[data-told=hyperparameters]")).to_contain_text("--epoks")
    assert page.get_by_label("训练名称").input_value() == "plain"
    page.get_by_label("超参").fill("epochs=1")
    page.get_by_role("button", name="检查并创建").click()
    expect(page.get_by_text("未发现错误，可以创建。")).to_be_visible()
    page.get_by_role("button", name="创建", exact=True).click()
    page.wait_for_url("**/runs/run-*")
    run = page.url.rsplit("/", 1)[1]
    _until(lambda: ada.api.get(f"/v1/runs/{run}")["evaluation"].get("verdict"))
    page.reload()
    expect(page.locator("h1 .state")).to_have_text("已完成")
    expect(page.get_by_role("log")).to_contain_text(HOSTILE)
    expect(page.locator(".plot svg").first).to_be_visible()
    page.get_by_role("link", name="English").click()
    expect(page.locator("h1 .state")).to_have_text("succeeded")


@pytest.mark.parametrize(
    ("locale", "button", "out"), [("en-US", "Sign in with 127.0.0.1", "Sign out"), ("zh-CN", "使用 127.0.0.1", "退出")]
)
def test_signing_in_with_openid_connect(
    visit: Callable[..., Visitor], openid: OpenIdProvider, locale: str, button: str, out: str
) -> None:
    openid.people = {
        "1": {"name": "Carol", "preferred_username": "carol", "email": "carol@example.org", "email_verified": True},
        "2": {"name": "Mallory", "email": "mallory@evil.example", "email_verified": True},
    }
    there = visit(locale, signed_in=False)
    page = there.page
    there.go("/sign-in?to=%2Faccount")
    _check(page, "the two ways in")
    page.get_by_role("link", name=button).click()
    page.get_by_role("button", name="Mallory").click()
    expect(page.get_by_role("alert")).to_be_visible()
    _check(page, "not admitted")
    there.go("/sign-in?to=%2Faccount")
    page.get_by_role("link", name=button).click()
    page.get_by_role("button", name="Carol").click()
    page.wait_for_url(f"{there.root}/account")
    expect(page.get_by_role("heading", name="carol")).to_be_visible()
    page.get_by_role("button", name=out).click()
    there.go("/account")
    expect(page.get_by_role("link", name=button)).to_be_visible()


@pytest.mark.parametrize(("locale", "width"), [("en-US", 1280), ("zh-CN", 375)])
def test_every_page_can_be_used_by_everybody(
    visit: Callable[..., Visitor], project: str, finished: list[str], locale: str, width: int
) -> None:
    """No serious finding of axe, nothing beyond a phone's edge, in light and dark."""
    there = visit(locale, width)
    run, other = finished
    paths = [
        "/", f"/projects/{project}", f"/projects/{project}?state=failed", f"/projects/{project}/new",
        f"/projects/{project}/new?from={run}", f"/projects/{project}/compare?run={run}&run={other}", f"/runs/{run}",
        f"/runs/{run}/log", f"/runs/{run}/log?q=loss", f"/runs/{run}/outputs", f"/runs/{run}/delete", "/catalogue",
        "/guide", "/account", "/repositories/new", f"/repositories/{project}", "/public", "/nothing",
    ]  # fmt: skip
    for number, path in enumerate(paths):
        there.page.emulate_media(color_scheme="dark" if number % 2 else "light")
        there.go(path)
        _check(there.page, path)
    there.page.emulate_media(color_scheme="dark")
    there.go(f"/runs/{run}")
    _check(there.page, "a run in the dark")
    there.page.get_by_role("button", name=re.compile("Sign out|退出")).click()
    for path in ("/", "/sign-in"):
        there.go(path)
        _check(there.page, path)


def _check(page: Page, path: str) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the window"
    found = Axe().run(page).response["violations"]
    serious = [
        (one["id"], [node["target"] for node in one["nodes"]][:5])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == [], path
