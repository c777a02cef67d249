"""The table: runs, repositories, pushes, access tokens. One row each, the document as JSON beside what is indexed.

| row        | pk                      | in `by_project` (project, sort)  | in `active` (active, sort) |
|------------|-------------------------|----------------------------------|----------------------------|
| run        | `RUN#{id}`              | project, id                      | `run`, then `ended` [^1]   |
| repository | `REPOSITORY#{name}`     | `REPOSITORY#{owner}`, name       | `project` if it is one     |
| listed     | `LISTED#{place}#{name}` | `SHARED#{user}` or `PUBLIC`, name|                            |
| push       | `PUSH#{id}`             | `PUSH#{repository}`, time        | `asked` [^3]               |
| token      | `TOKEN#{digest}`        | `TOKEN#{user}`, id               |                            |
| lock       | `LOCK#{repository}#{id}`| `LOCK#{repository}`, path        |                            |
| mark       | `MARK#{name}`           |                                  |                            |
| counter    | `COUNT#{name}`          |                                  |                            |
| session    | `SESSION#{digest}`      | `SESSION#{user}`, time           |                            |
| user       | `USER#{name}` [^2]      |                                  |                            |
| identity   | `IDENTITY#{digest}`     |                                  |                            |
| check      | `CHECK#{id}`            | `CHECK#{project}`, time          | `asked`                    |
| report     | `REPORT#{run}`          |                                  |                            |
| storage    | `STORAGE#{id}`          | `STORAGE#{repository}`, time     | `asked`                    |

[^1]: `run` until it has ended, `ended` until its log is indexed, its evaluation made and its host told, then nothing.
[^2]: in lower case: nobody gets a name that looks like another's but for its capitals.
[^3]: until it is answered, or was asked so often that nobody asks again.

Sessions, checks, reports and inspections carry `expires`, at which DynamoDB removes them by itself.

A repository's `listed` rows, one for each member and one if it is public, are written with it in one transaction.

A run's id rises with time, so a project's runs by id are its runs by time.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from trainyard.model.asked import Asked, awaits_answer
from trainyard.model.check import Check
from trainyard.model.errors import InvalidInput
from trainyard.model.ref import Ref
from trainyard.model.report import Report
from trainyard.model.repository import AccessToken, FileLock, Listed, Push, Repository, RepositoryKind
from trainyard.model.run import Run
from trainyard.model.session import Session
from trainyard.model.storage import StorageTask
from trainyard.model.text import Text
from trainyard.model.user import Identity, User
from trainyard.store.places import MAX_CHANGES, PUBLIC, listed_at, places_of, shared_with, within_one_transaction

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Row = TypeVar("Row", bound=BaseModel)

BY_PROJECT = "by_project"
ACTIVE = "active"
# Two functions that write one run at the same time: the slower reads again. More tries would hide a storm.
_TRIES = 8
# DynamoDB takes 100 actions in one transaction; one is the push itself.
MAX_RUNS_PER_PUSH = 99
_KEYS_PER_BATCH = 100
_NOT_MET = frozenset({"None", "ConditionalCheckFailed"})
CHECK_KEPT = timedelta(days=1)
# Longer than a run may last, so that nothing is told twice.
REPORT_KEPT = timedelta(days=60)
_PUT_BACK = "put_back"


class AlreadyThereError(Exception):
    """The row that was to be created exists: a repeated request. Callers treat it as done."""


class TooManyConflictsError(RuntimeError):
    """The same row was changed by others again and again; the event is delivered once more later."""


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows and, where there may be more, the cursor that continues behind them."""

    rows: list[Row]
    cursor: str | None


class PutBack(StrEnum):
    """What came of bringing a row to a former state."""

    WRITTEN = "written"
    REMOVED = "removed"
    SAME = "same"
    NEWER = "newer"
    """It has been changed since, and was left alone."""


class Table:
    """Every read and write of rows."""

    def __init__(self, name: str, client: DynamoDBClient | None = None) -> None:
        self.name = name
        self._given = client

    @property
    def _dynamodb(self) -> DynamoDBClient:
        if self._given is None:
            from trainyard.clients import dynamodb

            self._given = dynamodb()
        return self._given

    # Runs

    def run(self, run_id: str) -> Run | None:
        return self._get(f"RUN#{run_id}", Run)

    def create_run(self, run: Run) -> None:
        """AlreadyThereError if a run has that id."""
        self._create(_run_item(run))

    def change_run(self, run_id: str, change: Callable[[Run], Run], read: Run | None = None) -> Run | None:
        """Apply a pure function to the run and write the outcome, in one conditional write.

        Returns the run as it is afterwards, or None if there is none. Where `change` returns the run as it was, nothing
        is written. Where somebody else wrote meanwhile, `change` is applied to what they wrote. `read`: the run as the
        caller has just read it, which saves reading it again.
        """
        for _ in range(_TRIES):
            run, read = read or self.run(run_id), None
            if run is None:
                return None
            changed = change(run)
            if changed is run:
                return run
            written = changed.model_copy(update={"version": run.version + 1})
            replace = {
                "TableName": self.name,
                "Item": _run_item(written),
                "ConditionExpression": "version = :version",
                "ExpressionAttributeValues": {":version": {"N": str(run.version)}},
            }
            if self._put_if(replace):
                return written
        raise TooManyConflictsError(run_id)

    def report(self, run_id: str) -> Report | None:
        """What the run's git host was told of it."""
        return self._get(_report_pk(run_id), Report)

    def put_report(self, report: Report) -> bool:
        """Write the next version of a report; False if somebody else was quicker."""
        return self._put_if(_next_version(self.name, _report_item(report))["Put"])

    def delete_run(self, run_id: str) -> None:
        self._dynamodb.delete_item(TableName=self.name, Key=_key(f"RUN#{run_id}"))

    def runs_of(self, project: str, limit: int = 50, cursor: str | None = None) -> Page[Run]:
        """A project's runs, newest first."""
        return self._query(Run, BY_PROJECT, "project", project, limit, cursor, newest_first=True)

    def deleted_runs_of(self, project: str, limit: int = 50, cursor: str | None = None) -> Page[Run]:
        """A project's deleted runs, which are kept for the record of what was paid for, newest first."""
        return self._query(Run, BY_PROJECT, "project", f"DELETED#{project}", limit, cursor, newest_first=True)

    def active_runs(self, limit: int = 1000, cursor: str | None = None) -> Page[Run]:
        """Runs that have not ended, oldest first."""
        return self._query(Run, ACTIVE, "active", "run", limit, cursor, newest_first=False)

    def unsettled_runs(self, limit: int = 100, cursor: str | None = None) -> Page[Run]:
        """Runs that have ended and whose log or evaluation is still to come, oldest first."""
        return self._query(Run, ACTIVE, "active", "ended", limit, cursor, newest_first=False)

    # Pushes

    def push(self, push_id: str) -> Push | None:
        return self._get(push_key(push_id), Push)

    def ref(self, repository: str, name: str) -> Ref | None:
        return self._get(_ref_pk(repository, name), Ref)

    def create_push(self, push: Push, ref: Ref) -> bool:
        """Write the push and `ref` as the push left it, together. False if another push to the ref was quicker."""
        return self._all_or_none([_create(self.name, _push_item(push)), _next_version(self.name, _ref_item(ref))])

    def put_ref(self, ref: Ref) -> bool:
        """Write the next version of a ref to which nobody pushed; False if somebody else was quicker."""
        return self._put_if(_next_version(self.name, _ref_item(ref))["Put"])

    def create_lost_push(self, push: Push) -> bool:
        """Write the row of a push that its ref remembers; False if it is there."""
        return self._put_if(_create(self.name, _push_item(push))["Put"])

    def finish_push(self, push: Push, runs: Sequence[Run]) -> bool:
        """Write all runs of a push and mark it checked, together or not at all. False if that was done before."""
        if len(runs) > MAX_RUNS_PER_PUSH:
            raise ValueError(f"a push starts at most {MAX_RUNS_PER_PUSH} runs")
        unchecked = "attribute_exists(pk) AND attribute_not_exists(checked)"
        finished = {"Put": {"TableName": self.name, "Item": _push_item(push), "ConditionExpression": unchecked}}
        return self._all_or_none([finished, *(_create(self.name, _run_item(run)) for run in runs)])

    def unanswered(self, limit: int = 100, cursor: str | None = None) -> Page[Asked]:
        """Pushes, checks and inspections without an answer, oldest first."""
        items, following = self._find(ACTIVE, "active", "asked", limit, cursor)
        return Page([row for row in map(row_of, items) if row is not None and not isinstance(row, Run)], following)

    def nudge(self, row: Asked) -> bool:
        """Have it said again. False if it was answered meanwhile. Nothing else of it changes before that."""
        item = _asked_item(row.model_copy(update={"nudges": row.nudges + 1}))
        asked = {":asked": {"S": "asked"}}
        return self._put_if(
            {
                "TableName": self.name,
                "Item": item,
                "ConditionExpression": "active = :asked",
                "ExpressionAttributeValues": asked,
            }
        )

    def mark_answered(self, row: Check | StorageTask, at: datetime) -> None:
        """Nobody needs to ask again. A second time it does nothing, nor where the row's own time has run out."""
        if row.answered_at is not None:
            return
        item = _asked_item(row.model_copy(update={"answered_at": at}))
        self._put_if({"TableName": self.name, "Item": item, "ConditionExpression": "attribute_exists(pk)"})

    def refs_of(self, repository: str, limit: int = 50, cursor: str | None = None) -> Page[Ref]:
        """The refs of a repository to which somebody pushed, by name."""
        return self._query(Ref, BY_PROJECT, "project", f"REF#{repository}", limit, cursor, newest_first=False)

    def delete_ref(self, repository: str, name: str) -> None:
        self._dynamodb.delete_item(TableName=self.name, Key=_key(_ref_pk(repository, name)))

    def delete_push(self, push_id: str) -> None:
        self._dynamodb.delete_item(TableName=self.name, Key=_key(push_key(push_id)))

    def pushes_of(self, repository: str, limit: int = 50, cursor: str | None = None) -> Page[Push]:
        return self._query(Push, BY_PROJECT, "project", f"PUSH#{repository}", limit, cursor, newest_first=True)

    # Repositories

    def repository(self, full_name: str) -> Repository | None:
        """None also for one that is being removed: nobody may see it any more."""
        known = self.repository_row(full_name)
        return None if known is None or known.removed_at is not None else known

    def repository_row(self, full_name: str) -> Repository | None:
        """The row whether the repository is being removed or not: for the removal itself."""
        return self._get(f"REPOSITORY#{full_name}", Repository)

    def repositories(self, full_names: Sequence[str]) -> list[Repository]:
        """Those of these names that are there, in their order."""
        found: dict[str, Repository] = {}
        for start in range(0, len(full_names), _KEYS_PER_BATCH):
            found |= self._batch_of_repositories(full_names[start : start + _KEYS_PER_BATCH])
        return [found[name] for name in full_names if name in found and found[name].removed_at is None]

    def create_repository(self, repository: Repository) -> None:
        """AlreadyThereError if one has that name. ValueError for more members than one transaction lists."""
        item, places = _repository_item(repository), places_of(repository)
        if len(places) > MAX_CHANGES:
            raise ValueError(f"a repository stands in at most {MAX_CHANGES} lists")
        if not places:
            self._create(item)
        elif not self._all_or_none([_create(self.name, item), *self._moves(repository, places, set())]):
            raise AlreadyThereError(item["pk"]["S"])

    def change_repository(self, full_name: str, change: Callable[[Repository], Repository]) -> Repository | None:
        """Apply a pure function to the repository in one conditional write, as `change_run` does to a run.

        What lists it stands in changes with it, at once. Where that is more than one transaction takes, as when all
        members are exchanged, some of it goes first, and `change` is applied to what came of that.
        """
        for _ in range(_TRIES):
            item = self._item(f"REPOSITORY#{full_name}")
            if item is None:
                return None
            known = Repository.model_validate_json(item["document"]["S"])
            wanted = change(known)
            if wanted == known:
                return known
            step = within_one_transaction(known, wanted)
            if self._replace_repository(known, step, item["document"]) and step == wanted:
                return wanted
        raise TooManyConflictsError(full_name)

    def _replace_repository(self, known: Repository, wanted: Repository, document: Any) -> bool:
        """False if somebody else wrote meanwhile. `document` is `known` as it is stored."""
        replace = {
            "TableName": self.name,
            "Item": _repository_item(wanted),
            # The document is small and has no version of its own: it is compared as a whole.
            "ConditionExpression": "document = :known",
            "ExpressionAttributeValues": {":known": document},
        }
        before, after = places_of(known), places_of(wanted)
        # A transaction costs twice as much, also where it is of one row.
        if before == after:
            return self._put_if(replace)
        actions = [{"Put": replace}, *self._moves(wanted, after - before, before - after)]
        # Two that write the same row at the same moment: neither may have come through.
        return self._all_or_none(actions, _NOT_MET | {"TransactionConflict"})

    def _moves(self, repository: Repository, joined: set[str], left: set[str]) -> list[dict[str, Any]]:
        """A transaction's actions: where the repository is listed from now on, and where no more."""
        added = [_listed_item(listed_at(repository, place)) for place in sorted(joined)]
        gone = [_key(_listed_pk(place, repository.full_name)) for place in sorted(left)]
        return [
            *({"Put": {"TableName": self.name, "Item": item}} for item in added),
            *({"Delete": {"TableName": self.name, "Key": key}} for key in gone),
        ]

    def _batch_of_repositories(self, full_names: Sequence[str]) -> dict[str, Repository]:
        keys: Any = [_key(f"REPOSITORY#{name}") for name in dict.fromkeys(full_names)]
        found: list[Repository] = []
        for attempt in range(_TRIES):
            answer: Any = self._dynamodb.batch_get_item(RequestItems={self.name: {"Keys": keys}})
            items = answer["Responses"].get(self.name, [])
            found += [Repository.model_validate_json(item["document"]["S"]) for item in items]
            keys = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            if not keys:
                return {each.full_name: each for each in found}
            time.sleep(0.02 * 2**attempt)
        raise TimeoutError(f"DynamoDB leaves {len(keys)} rows unread")

    def delete_repository(self, full_name: str) -> None:
        """One that is marked as removed: that took it out of every list."""
        self._dynamodb.delete_item(TableName=self.name, Key=_key(f"REPOSITORY#{full_name}"))

    def repositories_of(self, owner: str, limit: int = 50, cursor: str | None = None) -> Page[Repository]:
        return self._query(Repository, BY_PROJECT, "project", f"REPOSITORY#{owner}", limit, cursor, newest_first=False)

    def shared_with(self, user: str, limit: int = 50, cursor: str | None = None) -> Page[Listed]:
        """The repositories that a user is a member of, by name."""
        return self._listed(shared_with(user), limit, cursor)

    def public_repositories(self, limit: int = 50, cursor: str | None = None) -> Page[Listed]:
        """By name."""
        return self._listed(PUBLIC, limit, cursor)

    def projects(self, limit: int, cursor: str | None = None) -> Page[Repository]:
        """All projects by name."""
        return self._query(Repository, ACTIVE, "active", "project", limit, cursor, newest_first=False)

    # Tokens

    def token(self, digest: str) -> AccessToken | None:
        return self._get(f"TOKEN#{digest}", AccessToken)

    def create_token(self, token: AccessToken) -> None:
        self._create(_token_item(token))

    def tokens_of(self, user: str) -> list[AccessToken]:
        """All of a user's tokens, up to a thousand."""
        tokens: list[AccessToken] = []
        cursor = None
        for _ in range(5):
            page = self._query(AccessToken, BY_PROJECT, "project", f"TOKEN#{user}", 200, cursor, newest_first=False)
            tokens += page.rows
            cursor = page.cursor
            if cursor is None:
                break
        return tokens

    def delete_token(self, digest: str) -> None:
        self._dynamodb.delete_item(TableName=self.name, Key=_key(f"TOKEN#{digest}"))

    # Users

    def user(self, name: str) -> User | None:
        return self._get(_user_pk(name), User)

    def create_user(self, user: User) -> None:
        """AlreadyThereError if the name is taken."""
        self._create(_user_item(user))

    def identity(self, digest: str) -> Identity | None:
        return self._get(_identity_pk(digest), Identity)

    def create_identity(self, identity: Identity, user: User) -> bool:
        """Write both together. False, and nothing is written, if the identity has a user or the name somebody."""
        item = _document("identity", _identity_pk(identity.digest), identity)
        return self._all_or_none([_create(self.name, item), _create(self.name, _user_item(user))])

    # Sessions of the pages

    def session(self, digest: str) -> Session | None:
        return self._get(f"SESSION#{digest}", Session)

    def create_session(self, session: Session) -> None:
        self._create(_session_item(session))

    def delete_session(self, digest: str) -> None:
        self._dynamodb.delete_item(TableName=self.name, Key=_key(f"SESSION#{digest}"))

    # Checks

    def check(self, check_id: str) -> Check | None:
        return self._get(f"CHECK#{check_id}", Check)

    def create_check(self, check: Check) -> None:
        self._create(_check_item(check))

    # Inspections of storage

    def storage_task(self, task_id: str) -> StorageTask | None:
        return self._get(f"STORAGE#{task_id}", StorageTask)

    def create_storage_task(self, task: StorageTask) -> None:
        self._create(_storage_task_item(task))

    # Locks of files

    def lock(self, repository: str, lock_id: str) -> FileLock | None:
        return self._get(_lock_pk(repository, lock_id), FileLock)

    def create_lock(self, lock: FileLock) -> None:
        """AlreadyThereError if the file is locked."""
        self._create(_item("lock", _lock_pk(lock.repository, lock.id), f"LOCK#{lock.repository}", lock.path, lock))

    def locks_of(self, repository: str, limit: int = 100, cursor: str | None = None) -> Page[FileLock]:
        """A repository's locks by path."""
        return self._query(FileLock, BY_PROJECT, "project", f"LOCK#{repository}", limit, cursor, newest_first=False)

    def delete_lock(self, lock: FileLock) -> None:
        self._dynamodb.delete_item(TableName=self.name, Key=_key(_lock_pk(lock.repository, lock.id)))

    # Counters

    def count(self, name: str, by: int, expires: int) -> int:
        """Raise the counter by `by` and return what it is now. It is forgotten after `expires`, a Unix time."""
        answer = self._dynamodb.update_item(
            TableName=self.name,
            Key=_key(f"COUNT#{name}"),
            UpdateExpression="ADD amount :by SET expires = :expires, kind = :kind",
            ExpressionAttributeValues={
                ":by": {"N": str(by)},
                ":expires": {"N": str(expires)},
                ":kind": {"S": "count"},
            },
            ReturnValues="ALL_NEW",
        )
        return int(answer["Attributes"]["amount"]["N"])

    def mark(self, name: str, expires: int) -> bool:
        """Note that something was done; False if that was noted before. Forgotten after `expires`, a Unix time."""
        try:
            self._create(_key(f"MARK#{name}") | {"kind": {"S": "mark"}, "expires": {"N": str(expires)}})
        except AlreadyThereError:
            return False
        return True

    def is_marked(self, name: str) -> bool:
        return self._item(f"MARK#{name}") is not None

    # Bringing back what was lost

    @staticmethod
    def without_mark(item: dict[str, Any]) -> dict[str, Any]:
        """The row as the one who changed it wrote it, whether or not it was put back since."""
        return {name: value for name, value in item.items() if name != _PUT_BACK}

    def put_back(
        self, pk: str, row: dict[str, Any] | None, is_former: Callable[[dict[str, Any]], bool], *, write: bool = True
    ) -> PutBack:
        """Bring one row to `row`, or remove it for None, if it is absent or `is_former` knows what it is now.

        It carries a mark, by which `publish_changes` knows that nothing new has happened. Without `write` it only says
        what would come of it.
        """
        there = self._item(pk)
        if (self.without_mark(there) if there else None) == row:
            return PutBack.SAME
        if there is not None and not is_former(there):
            return PutBack.NEWER
        if write and not self._replace(there, row):
            return PutBack.NEWER
        return PutBack.REMOVED if row is None else PutBack.WRITTEN

    def _replace(self, there: dict[str, Any] | None, row: dict[str, Any] | None) -> bool:
        """False if somebody else was quicker."""
        if there is None:
            condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        elif "document" in there:
            known = {":known": there["document"]}
            condition = {"ConditionExpression": "document = :known", "ExpressionAttributeValues": known}
        else:
            condition = {"ConditionExpression": "attribute_exists(pk)"}
        if row is not None:
            return self._put_if({"TableName": self.name, "Item": {**row, _PUT_BACK: {"BOOL": True}}, **condition})
        assert there is not None
        return _is_met(self._dynamodb.delete_item, {"TableName": self.name, "Key": {"pk": there["pk"]}, **condition})

    def _listed(self, place: str, limit: int, cursor: str | None) -> Page[Listed]:
        return self._query(Listed, BY_PROJECT, "project", place, limit, cursor, newest_first=False)

    def _item(self, pk: str) -> Any:
        return self._dynamodb.get_item(TableName=self.name, Key=_key(pk), ConsistentRead=True).get("Item")

    def _get(self, pk: str, model: type[Row]) -> Row | None:
        item = self._item(pk)
        return model.model_validate_json(item["document"]["S"]) if item else None

    def _all_or_none(self, actions: list[Any], refusals: frozenset[str] = _NOT_MET) -> bool:
        """One transaction; False, and nothing written, if a condition of it does not hold.

        `refusals`: DynamoDB's reasons for which it is False and no error.
        """
        from botocore.exceptions import ClientError

        try:
            self._dynamodb.transact_write_items(TransactItems=actions)
        except ClientError as error:
            reasons = error.response.get("CancellationReasons", [])
            codes = {reason.get("Code", "None") for reason in reasons}
            if codes and codes <= refusals:
                return False
            raise
        return True

    def _create(self, item: dict[str, Any]) -> None:
        new = {"TableName": self.name, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
        if not self._put_if(new):
            raise AlreadyThereError(item["pk"]["S"])

    def _put_if(self, arguments: Any) -> bool:
        """Write one row; False, and nothing written, if its condition does not hold.

        A transaction of one would do the same for twice the price.
        """
        return _is_met(self._dynamodb.put_item, arguments)

    def _query(
        self,
        model: type[Row],
        index: str,
        attribute: str,
        value: str,
        limit: int,
        cursor: str | None,
        *,
        newest_first: bool,
    ) -> Page[Row]:
        items, following = self._find(index, attribute, value, limit, cursor, newest_first=newest_first)
        return Page([model.model_validate_json(item["document"]["S"]) for item in items], following)

    def _find(
        self, index: str, attribute: str, value: str, limit: int, cursor: str | None, *, newest_first: bool = False
    ) -> tuple[list[Any], str | None]:
        """One page of an index, and the cursor that goes on behind it."""
        from botocore.exceptions import ClientError

        arguments: dict[str, Any] = {}
        if cursor:
            arguments["ExclusiveStartKey"] = _read_cursor(cursor, attribute, value)
        try:
            answer = self._dynamodb.query(
                TableName=self.name,
                IndexName=index,
                KeyConditionExpression="#name = :value",
                ExpressionAttributeNames={"#name": attribute},
                ExpressionAttributeValues={":value": {"S": value}},
                ScanIndexForward=not newest_first,
                Limit=limit,
                **arguments,
            )
        except ClientError as error:
            # A cursor that was tampered with: its key is of the right shape and yet none of this index.
            if cursor and error.response["Error"]["Code"] == "ValidationException":
                raise wrong_cursor() from None
            raise
        last = answer.get("LastEvaluatedKey")
        return list(answer["Items"]), _write_cursor(last) if last else None


def _is_met(act: Callable[..., Any], arguments: Any) -> bool:
    """Whether the condition of a write of one row held, so that it was done."""
    from botocore.exceptions import ClientError

    try:
        act(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True


def push_key(push_id: str) -> str:
    """The key of a push's row."""
    return f"PUSH#{push_id}"


def deleted_project(project: str) -> str:
    """What a project's deleted runs are listed under."""
    return f"DELETED#{project}"


def is_put_back(image: dict[str, Any] | None) -> bool:
    """Whether a stream record's image is of a row that was brought back, which is no news."""
    return image is not None and _PUT_BACK in image


def cursor_behind(listed: Listed) -> str:
    """The cursor that goes on behind this one, in the list that it came from."""
    item = _listed_item(listed)
    return _write_cursor({name: item[name] for name in ("pk", "project", "sort")})


def row_of(image: dict[str, Any] | None) -> Run | Asked | None:
    """The run, push, check or inspection in an item or a stream record's image; None for others and for none."""
    if not image:
        return None
    document = image["document"]["S"]
    match image["kind"]["S"]:
        case "run":
            return Run.model_validate_json(document)
        case "push":
            return Push.model_validate_json(document)
        case "check":
            return Check.model_validate_json(document)
        case "storage":
            return StorageTask.model_validate_json(document)
    return None


def _create(table: str, item: dict[str, Any]) -> dict[str, Any]:
    """A transaction's action: the row must be new."""
    return {"Put": {"TableName": table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}


def _next_version(table: str, item: dict[str, Any]) -> dict[str, Any]:
    """A transaction's action: the row must have the version before `item`'s; the first one must be new."""
    version = int(item["version"]["N"])
    if version == 1:
        return _create(table, item)
    before = {":before": {"N": str(version - 1)}}
    return {
        "Put": {
            "TableName": table,
            "Item": item,
            "ConditionExpression": "version = :before",
            "ExpressionAttributeValues": before,
        }
    }


def _ref_pk(repository: str, name: str) -> str:
    return f"REF#{repository}#{name}"


def _listed_pk(place: str, full_name: str) -> str:
    return f"LISTED#{place}#{full_name}"


def _lock_pk(repository: str, lock_id: str) -> str:
    return f"LOCK#{repository}#{lock_id}"


def _key(pk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}}


def _user_pk(name: str) -> str:
    return f"USER#{name.lower()}"


def _identity_pk(digest: str) -> str:
    return f"IDENTITY#{digest}"


def _document(kind: str, pk: str, document: BaseModel) -> dict[str, Any]:
    """A row that is found by its key alone."""
    return {"pk": {"S": pk}, "kind": {"S": kind}, "document": {"S": document.model_dump_json(exclude_defaults=True)}}


def _item(kind: str, pk: str, project: str, sort: str, document: BaseModel) -> dict[str, Any]:
    return _document(kind, pk, document) | {"project": {"S": project}, "sort": {"S": sort}}


def _run_item(run: Run) -> dict[str, Any]:
    # A deleted run keeps its row for the record of what was paid for, but no list shows it.
    project = deleted_project(run.project) if run.deleted_at else run.project
    item = _item("run", f"RUN#{run.id}", project, run.id, run)
    item |= {"version": {"N": str(run.version)}, "state": {"S": run.state.value}}
    if not run.state.is_final:
        item["active"] = {"S": "run"}
    elif not run.is_settled:
        item["active"] = {"S": "ended"}
    return item


def _report_pk(run_id: str) -> str:
    return f"REPORT#{run_id}"


def _report_item(report: Report) -> dict[str, Any]:
    item = _document("report", _report_pk(report.run), report)
    return item | {"version": {"N": str(report.version)}, "expires": _seconds(report.at + REPORT_KEPT)}


def _asked_item(row: Asked) -> dict[str, Any]:
    match row:
        case Push():
            return _push_item(row)
        case Check():
            return _check_item(row)
        case StorageTask():
            return _storage_task_item(row)


def _asked_mark(row: Asked) -> dict[str, Any]:
    return {"active": {"S": "asked"}} if awaits_answer(row) else {}


def _push_item(push: Push) -> dict[str, Any]:
    sort = f"{push.received_at.isoformat()}#{push.id}"
    item = _item("push", push_key(push.id), f"PUSH#{push.repository}", sort, push)
    if push.checked_at:
        item["checked"] = {"S": push.checked_at.isoformat()}
    return item | _asked_mark(push)


def _ref_item(ref: Ref) -> dict[str, Any]:
    item = _item("ref", _ref_pk(ref.repository, ref.name), f"REF#{ref.repository}", ref.name, ref)
    return item | {"version": {"N": str(ref.version + ref.claims)}}


def _repository_item(repository: Repository) -> dict[str, Any]:
    name = repository.full_name
    # No list shows one that is being removed.
    owner = f"REMOVED#{repository.owner}" if repository.removed_at else f"REPOSITORY#{repository.owner}"
    item = _item("repository", f"REPOSITORY#{name}", owner, name, repository)
    if repository.kind is RepositoryKind.PROJECT and not repository.removed_at:
        item["active"] = {"S": "project"}
    return item


def _listed_item(listed: Listed) -> dict[str, Any]:
    pk = _listed_pk(listed.place, listed.repository)
    return _item("listed", pk, listed.place, listed.repository, listed)


def _token_item(token: AccessToken) -> dict[str, Any]:
    item = _item("token", f"TOKEN#{token.digest}", f"TOKEN#{token.user}", token.id, token)
    if token.expires_at is not None:
        # DynamoDB removes the row some time after this; until then the token is refused by its own date.
        item["expires"] = {"N": str(int(token.expires_at.timestamp()))}
    return item


def _user_item(user: User) -> dict[str, Any]:
    return _document("user", _user_pk(user.name), user)


def _session_item(session: Session) -> dict[str, Any]:
    item = _item(
        "session", f"SESSION#{session.digest}", f"SESSION#{session.user}", session.created_at.isoformat(), session
    )
    return item | {"expires": _seconds(session.expires_at)}


def _check_item(check: Check) -> dict[str, Any]:
    at = check.requested_at
    item = _item("check", f"CHECK#{check.id}", f"CHECK#{check.project}", at.isoformat(), check)
    return item | {"expires": _seconds(at + CHECK_KEPT)} | _asked_mark(check)


def _storage_task_item(task: StorageTask) -> dict[str, Any]:
    at = task.requested_at
    item = _item("storage", f"STORAGE#{task.id}", f"STORAGE#{task.repository}", at.isoformat(), task)
    return item | {"expires": _seconds(at + CHECK_KEPT)} | _asked_mark(task)


def _seconds(at: datetime) -> dict[str, str]:
    return {"N": str(int(at.timestamp()))}


def _write_cursor(key: dict[str, Any]) -> str:
    plain = {name: value["S"] for name, value in key.items()}
    return base64.urlsafe_b64encode(json.dumps(plain, sort_keys=True).encode()).decode().rstrip("=")


def _read_cursor(cursor: str, attribute: str, value: str) -> dict[str, Any]:
    """The start key in a cursor, only for the very list it came from: a cursor must not open another one."""
    try:
        plain = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        key = {name: {"S": str(plain[name])} for name in ("pk", "sort", attribute)}
    except (ValueError, KeyError, TypeError):
        plain, key = None, {}
    if plain is None or plain[attribute] != value:
        raise wrong_cursor()
    return key


def wrong_cursor() -> InvalidInput:
    return InvalidInput(Text(en="The cursor is not valid; start again without it.", zh="游标无效，请去掉它重新查询。"))
