"""创建训练实例: the form, what validation has to say about it, and the run that comes of it.

Nothing is submitted before it was checked. The check is a question of its own (`model/check.py`) that the function with
git answers within a second or two: the page waits for it by loading itself again, a script by asking `/checks/{id}`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from trainyard.intake.budgets import Quotation, quote
from trainyard.intake.lists import Wanted, repositories_of_user
from trainyard.intake.permissions import readable_run, writable_repository
from trainyard.intake.submissions import SubmitRun, submit_run
from trainyard.model.catalogue import load_catalogue
from trainyard.model.check import Check, CheckAnswer, CommitListing
from trainyard.model.errors import InvalidInput, NotFound
from trainyard.model.finding import Finding, Severity
from trainyard.model.ids import is_check_id, new_check_id
from trainyard.model.installation import longest_timeout, missing, timeout_if_none_is_said
from trainyard.model.repository import Push, Repository, RepositoryKind
from trainyard.model.run import Run, RunState
from trainyard.model.settings import settings
from trainyard.model.spec import MAX_TIMEOUT, Machines, Priority, format_duration
from trainyard.model.text import Text
from trainyard.store import layout
from trainyard.store.objects import ObjectMissingError
from trainyard.web.errors import in_language
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.csrf import fields
from trainyard.web.pages.form_fields import KINDS, Filled
from trainyard.web.pages.live import as_json
from trainyard.web.pages.routing import Visit, page
from trainyard.web.pages.shown import money
from trainyard.web.pages.templating import word

MOST_TRIES = 15
"""How often a page without JavaScript loads itself again, every two seconds, while it waits for a check."""
PATIENCE = timedelta(seconds=20)
"""A check that has no answer after that does not keep anybody from submitting; validation checks again anyway."""
_PUSHES_LOOKED_AT = 50
_RUNS_LOOKED_AT = 50


@dataclass(frozen=True)
class Told:
    """Something about one field."""

    severity: str
    message: Text
    fix: Text | None = None
    place: str = ""
    """File and line."""
    url: str = ""


@page("GET", "/projects/{owner}/{name}/new")
def show_form(visit: Visit) -> PageAnswer:
    project = _project(visit)
    check_id = visit.request.query.get("check")
    if check_id:
        check = _own_check(visit, project, check_id)
        return _render(visit, project, Filled.of_fields(check.form), check=check, answer=_answer(visit, check))
    runs = _newest_runs(visit, project)
    return _render(visit, project, _prefilled(visit, runs), runs=runs)


@page("POST", "/projects/{owner}/{name}/new")
def send_form(visit: Visit) -> PageAnswer:
    project = _project(visit)
    given = dict(fields(visit.request))
    filled, action = Filled.of_fields(fields(visit.request)), given.get("action", "create")
    if action == "add":
        return _render(visit, project, filled.with_another_input())
    if action == "load":
        return _checked(visit, _ask(visit, project, filled, None))
    told = {place: [Told("error", text)] for place, text in filled.incomplete_inputs().items()}
    try:
        request = filled.request()
    except InvalidInput as error:
        for one in error.details.get("fields", [{"field": "", "message": error.message}]):
            told.setdefault(filled.place_of(one["field"]), []).append(Told("error", one["message"]))
        request = None
    if told or request is None:
        return _faulty(visit, project, filled, told)
    if action == "create" and (checked := _passed(visit, project, request, given.get("checked", ""))):
        # The check's id as the key: pressing the button twice makes one run.
        run = submit_run(visit.state, project.full_name, visit.token, checked)
        return visit.redirect(f"/runs/{run.id}")
    return _checked(visit, _ask(visit, project, filled, request))


@page("GET", "/projects/{owner}/{name}/checks/{check}")
def show_check(visit: Visit) -> PageAnswer:
    """For the form's script: `{"done", "errors", "told", "listing"}`."""
    project = _project(visit)
    check = _own_check(visit, project, visit.place["check"])
    answer, filled = _answer(visit, check), Filled.of_fields(check.form)
    if answer is None:
        return as_json({"done": False, "late": _late(check)})
    listing = _listing(visit, project, answer.commit)
    told = _told(filled, answer.findings)
    return as_json(
        {
            "done": True,
            "errors": sum(one.severity is Severity.ERROR for one in answer.findings),
            "told": _for_script(visit, told),
            "cost": _said_of_cost(visit, _quotation(visit, project, check)),
            "commit": answer.commit,
            "python_files": listing.python_files if listing else [],
            "folders": listing.folders if listing else [],
        }
    )


def _project(visit: Visit) -> Repository:
    project = writable_repository(visit.state.table, visit.repository_name, visit.token)
    if project.kind is not RepositoryKind.PROJECT:
        raise NotFound(Text(en="Only projects are trained.", zh="只有项目可以训练。"))
    return project


def _ask(visit: Visit, project: Repository, filled: Filled, request: SubmitRun | None) -> Check:
    """Put the question; without a request only for the files of the commit."""
    assert visit.token is not None
    plain = request or _only_the_commit(filled)
    check = Check(
        id=new_check_id(),
        project=project.full_name,
        requested_by=visit.token.user,
        name=request.name if request else "",
        spec=request.spec if request else None,
        ref=plain.ref,
        commit=plain.commit,
        form=filled.fields(),
        requested_at=datetime.now(UTC),
    )
    visit.state.table.create_check(check)
    return check


def _only_the_commit(filled: Filled) -> SubmitRun:
    """The form's ref and commit in a request that is right otherwise. InvalidInput if they are wrong."""
    catalogue = load_catalogue()
    values = {
        "name": "listing",
        "boot_file": "any.py",
        "framework": catalogue.frameworks[0].name,
        "flavor": catalogue.flavors[0].name,
    }
    bare = Filled({**Filled().values, **values, "ref": filled.values["ref"], "commit": filled.values["commit"]})
    return bare.request()


def _checked(visit: Visit, check: Check) -> PageAnswer:
    if _wants_json(visit):
        return as_json({"check": check.id})
    return visit.redirect(f"/projects/{check.project}/new?check={check.id}")


def _faulty(visit: Visit, project: Repository, filled: Filled, told: dict[str, list[Told]]) -> PageAnswer:
    if _wants_json(visit):
        return as_json({"told": _for_script(visit, told)})
    return _render(visit, project, filled, told=told, status=422)


def _wants_json(visit: Visit) -> bool:
    return visit.request.headers.get("accept", "").startswith("application/json")


def _passed(visit: Visit, project: Repository, request: SubmitRun, check_id: str) -> SubmitRun | None:
    """The request on the commit that was checked, if this very request was checked and no error was found."""
    if not is_check_id(check_id):
        return None
    check = visit.state.table.check(check_id)
    asked = (project.full_name, visit.user, request.name, request.spec, request.ref, request.commit)
    if check is None or asked != (
        check.project, check.requested_by, check.name, check.spec, check.ref, check.commit
    ):  # fmt: skip
        return None
    answer = _answer(visit, check)
    if answer is None:
        return request.model_copy(update={"idempotency_key": check_id}) if _late(check) else None
    if any(one.severity is Severity.ERROR for one in answer.findings):
        return None
    return request.model_copy(update={"idempotency_key": check_id, "commit": answer.commit})


def _own_check(visit: Visit, project: Repository, check_id: str) -> Check:
    check = visit.state.table.check(check_id) if is_check_id(check_id) else None
    if check is None or check.project != project.full_name or check.requested_by != visit.user:
        raise NotFound(
            Text(
                en="This check is no longer there. Open the form again.",
                zh="此检查已不存在，请重新打开表单。",
            )
        )
    return check


def _answer(visit: Visit, check: Check) -> CheckAnswer | None:
    try:
        return CheckAnswer.model_validate_json(visit.state.objects.get(layout.check_key(check.id)))
    except ObjectMissingError:
        return None


def _late(check: Check) -> bool:
    return datetime.now(UTC) - check.requested_at > PATIENCE


def _told(filled: Filled, findings: Iterable[Finding]) -> dict[str, list[Told]]:
    """What was found, by field, in the order of the findings."""
    told: dict[str, list[Told]] = {}
    for one in findings:
        place = ":".join(str(part) for part in (one.file, one.line) if part)
        entry = Told(one.severity.value, one.message, one.fix, place, one.url)
        told.setdefault(filled.place_of_finding(one), []).append(entry)
    return told


def _for_script(visit: Visit, told: dict[str, list[Told]]) -> object:
    return in_language({place: [vars(one) for one in entries] for place, entries in told.items()}, visit.language)


def _newest_runs(visit: Visit, project: Repository) -> list[Run]:
    return visit.state.table.runs_of(project.full_name, _RUNS_LOOKED_AT).rows


def _prefilled(visit: Visit, runs: list[Run]) -> Filled:
    """The settings of the run that is to be repeated, else one's own last ones, else anybody's."""
    former = visit.request.query.get("from")
    if former:
        return Filled.of_run(readable_run(visit.state.table, former, visit.token))
    known = [run for run in runs if run.spec]
    own = [run for run in known if run.requested_by == visit.user]
    return Filled.of_run([*own, *known][0]) if known else Filled()


def _listing(visit: Visit, project: Repository, commit: str | None) -> CommitListing | None:
    if commit is None:
        return None
    try:
        key = layout.listing_key(project.full_name, commit)
        return CommitListing.model_validate_json(visit.state.objects.get(key))
    except ObjectMissingError:
        return None


def _commit(filled: Filled, pushes: list[Push], project: Repository) -> str | None:
    """The commit whose files the form offers: the one chosen, else the newest one known of its branch."""
    if filled.values["commit"]:
        return filled.values["commit"] if len(filled.values["commit"]) in (40, 64) else None
    branch = filled.values["ref"] or project.default_branch
    refs = (branch, f"refs/heads/{branch}", f"refs/tags/{branch}")
    return next((push.commit for push in pushes if push.ref in refs), None)


def _render(
    visit: Visit,
    project: Repository,
    filled: Filled,
    *,
    told: dict[str, list[Told]] | None = None,
    check: Check | None = None,
    answer: CheckAnswer | None = None,
    status: int = 200,
    runs: list[Run] | None = None,
) -> PageAnswer:
    """`runs`: the project's newest ones, where they were read already."""
    runs = _newest_runs(visit, project) if runs is None else runs
    pushes = visit.state.table.pushes_of(project.full_name, _PUSHES_LOOKED_AT).rows
    commit = answer.commit if answer and answer.commit else _commit(filled, pushes, project)
    waiting = check is not None and answer is None
    tries = visit.request.number("try", 0, MOST_TRIES) if waiting else 0
    told = _told(filled, answer.findings) if answer else told or {}
    return visit.page(
        "form.html",
        status,
        project=project,
        filled=filled,
        told=told,
        errors=sum(one.severity == "error" for entries in told.values() for one in entries),
        check=check,
        answer=answer,
        cost=_said_of_cost(visit, _quotation(visit, project, check)) if answer else "",
        waiting=waiting and tries < MOST_TRIES,
        late=waiting and tries >= MOST_TRIES,
        tries=tries,
        commit=commit,
        **_choices(visit, filled, pushes, runs, _listing(visit, project, commit)),
    )


def _quotation(visit: Visit, project: Repository, check: Check | None) -> Quotation | None:
    """What the run that was checked would cost; None where only files were asked for."""
    if check is None or check.spec is None:
        return None
    request = SubmitRun(name=check.name, spec=check.spec)
    return quote(visit.state, project.full_name, visit.token, request)


def _said_of_cost(visit: Visit, quotation: Quotation | None) -> str:
    """The same in one sentence, for the script."""
    if quotation is None:
        return ""
    said, known = [], quotation.estimate
    if known is None:
        said.append(word(visit.language, "form.cost_unknown"))
    else:
        said.append(word(visit.language, "form.most", usd=money(known.most_usd)))
        if known.expected_usd is not None:
            expected = money(known.expected_usd)
            said.append(word(visit.language, "form.expected", usd=expected, count=known.past_runs))
    if quotation.needs_approval:
        said.append(quotation.needs_approval.in_language(visit.language))
    return " ".join(said)


def _choices(
    visit: Visit, filled: Filled, pushes: list[Push], runs: list[Run], listing: CommitListing | None
) -> dict[str, Any]:
    """What the fields offer to choose from."""
    catalogue = load_catalogue()
    assert visit.user is not None
    theirs = repositories_of_user(visit.state.table, visit.user, Wanted(), 200, None).rows
    folder = f"{filled.values['code_dir']}/" if filled.values["code_dir"] else ""
    files = listing.python_files if listing else []
    return {
        "frameworks": catalogue.frameworks,
        "image_registries": settings().allowed_image_registries,
        "flavors": [flavor for flavor in catalogue.flavors if missing(flavor) is None],
        "region": settings().region,
        "hints": {
            "timeout": {
                "usual": format_duration(timeout_if_none_is_said()),
                "longest": format_duration(longest_timeout() or MAX_TIMEOUT),
            },
            "image": {"registries": ", ".join(settings().allowed_image_registries) or "-"},
        },
        "machines": list(Machines),
        "priorities": [Priority.NORMAL, *(one for one in Priority if one is not Priority.NORMAL)],
        "kinds": KINDS,
        "listing": listing,
        "boot_files": [path.removeprefix(folder) for path in files if path.startswith(folder)],
        "refs": sorted({push.ref.removeprefix("refs/heads/").removeprefix("refs/tags/") for push in pushes}),
        "pushes": pushes[:20],
        "sources": [(one.full_name, one.kind.value) for one in theirs if one.kind is not RepositoryKind.PROJECT],
        "finished": [run for run in runs if run.state is RunState.SUCCEEDED][:20],
    }
