"""What somebody finds: their own repositories, those that are shared with them, the public ones; page by page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from unit.intake.conftest import NOW, make_repository

from trainyard import clients
from trainyard.intake.lists import NAMES_LOOKED_AT, Wanted, public_repositories, repositories_of_user
from trainyard.intake.ownership import RepositoryChanges, add_member, change_repository, remove_member
from trainyard.intake.removal import remove_repository
from trainyard.model.errors import InvalidInput
from trainyard.model.repository import AccessToken, Repository, RepositoryKind, Visibility
from trainyard.store import State
from trainyard.store.places import MAX_MEMBERS

NAME = "ada/lenet5"


def found(state: State, user: str, limit: int = 50, **wanted: Any) -> list[str]:
    """All pages."""
    return _all(lambda cursor: repositories_of_user(state.table, user, Wanted(**wanted), limit, cursor), limit)


def found_public(state: State, limit: int = 50, **wanted: Any) -> list[str]:
    return _all(lambda cursor: public_repositories(state.table, Wanted(**wanted), limit, cursor), limit)


def _all(page_at: Any, limit: int) -> list[str]:
    names, cursor = [], None
    for _ in range(1000):
        page = page_at(cursor)
        assert len(page.rows) <= limit
        names += [one.full_name for one in page.rows]
        cursor = page.cursor
        if cursor is None:
            return names
    raise AssertionError("the list has no end")


def places(state: State) -> set[str]:
    items = clients.dynamodb().scan(TableName=state.table.name)["Items"]
    return {item["pk"]["S"] for item in items if item["kind"]["S"] == "listed"}


def test_a_member_finds_it_from_the_day_they_join_to_the_day_they_leave(
    state: State, project: Repository, ada: AccessToken
) -> None:
    assert (found(state, "ada"), found(state, "eve")) == ([NAME], [])
    add_member(state, NAME, "eve", ada)
    assert (found(state, "ada"), found(state, "eve"), found(state, "bob")) == ([NAME], [NAME], [])
    change_repository(state, NAME, ada, RepositoryChanges(members=["bob", "ada"]))
    assert (found(state, "ada"), found(state, "eve"), found(state, "bob")) == ([NAME], [], [NAME])
    remove_member(state, NAME, "bob", ada)
    assert found(state, "bob") == []
    assert places(state) == set()


def test_public_ones_are_found_by_all_while_they_are_public(
    state: State, project: Repository, ada: AccessToken
) -> None:
    assert found_public(state) == []
    change_repository(state, NAME, ada, RepositoryChanges(visibility=Visibility.PUBLIC, members=["eve"]))
    assert (found_public(state), found(state, "eve")) == ([NAME], [NAME])
    change_repository(state, NAME, ada, RepositoryChanges(visibility=Visibility.PRIVATE))
    assert (found_public(state), found(state, "eve")) == ([], [NAME])


def test_a_removed_one_is_in_no_list(state: State, ada: AccessToken) -> None:
    members = [f"u{number}" for number in range(MAX_MEMBERS)]
    state.table.create_repository(make_repository(visibility=Visibility.PUBLIC, members=members))
    assert len(places(state)) == MAX_MEMBERS + 1
    assert (found(state, "u7"), found_public(state)) == ([NAME], [NAME])
    assert remove_repository(state, NAME, ada, NAME, "https://t.example").finished
    assert places(state) == set()


def test_all_members_may_be_exchanged_for_others(state: State, ada: AccessToken) -> None:
    state.table.create_repository(make_repository(members=[f"u{number}" for number in range(MAX_MEMBERS)]))
    others = [f"v{number}" for number in range(MAX_MEMBERS)]
    changed = change_repository(
        state, NAME, ada, RepositoryChanges(members=others, visibility=Visibility.PUBLIC, description="of v")
    )
    assert (changed.members, changed.description, changed) == (others, "of v", state.table.repository(NAME))
    assert (found(state, "u1"), found(state, "v97"), found_public(state)) == ([], [NAME], [NAME])
    assert len(places(state)) == MAX_MEMBERS + 1


def test_more_members_than_one_transaction_lists_are_a_mistake_of_ours(state: State) -> None:
    with pytest.raises(ValueError, match="lists"):
        state.table.create_repository(make_repository(members=[f"u{number}" for number in range(100)]))
    assert state.table.repository(NAME) is None


def test_what_was_written_meanwhile_is_kept_in_row_and_lists(state: State, project: Repository) -> None:
    interrupted = False

    def with_eve(known: Repository) -> Repository:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            state.table.change_repository(NAME, lambda row: row.model_copy(update={"members": ["bob"]}))
        return known.model_copy(update={"members": [*known.members, "eve"]})

    assert state.table.change_repository(NAME, with_eve)
    assert (found(state, "bob"), found(state, "eve")) == ([NAME], [NAME])


def test_a_row_that_was_left_opens_nothing(state: State, project: Repository) -> None:
    """The repository itself says who is a member and what is public."""
    state.table.change_repository(
        NAME, lambda known: known.model_copy(update={"members": ["eve"], "visibility": Visibility.PUBLIC})
    )
    key = {"pk": {"S": f"REPOSITORY#{NAME}"}}
    document = {":document": {"S": project.model_dump_json(exclude_defaults=True)}}
    clients.dynamodb().update_item(
        TableName=state.table.name,
        Key=key,
        UpdateExpression="SET document = :document",
        ExpressionAttributeValues=document,
    )
    assert (found(state, "eve"), found_public(state)) == ([], [])


def test_own_ones_come_first_whatever_the_size_of_a_page(state: State) -> None:
    for name in ("eve/a", "eve/b", "eve/c"):
        state.table.create_repository(make_repository(name))
    for number in range(4):
        state.table.create_repository(make_repository(f"ada/p{number}", members=["eve"], visibility=Visibility.PUBLIC))
    shared = [f"ada/p{number}" for number in range(4)]
    for limit in range(1, 9):
        assert found(state, "eve", limit) == ["eve/a", "eve/b", "eve/c", *shared]
        assert found_public(state, limit) == shared


@pytest.mark.parametrize("cursor", ["x", "own", "own.", "shared.x", "other.", "own.bnVsbA", ".", "é.é"])
def test_a_cursor_of_another_list_is_refused(state: State, cursor: str) -> None:
    with pytest.raises(InvalidInput):
        repositories_of_user(state.table, "ada", Wanted(), 5, cursor)


def test_a_cursor_does_not_open_somebody_elses_list(state: State) -> None:
    for number in range(3):
        state.table.create_repository(make_repository(f"ada/p{number}", members=["bob"]))
    cursor = repositories_of_user(state.table, "bob", Wanted(), 1, None).cursor
    assert cursor is not None
    for other in (cursor, cursor.partition(".")[2]):
        with pytest.raises(InvalidInput):
            repositories_of_user(state.table, "eve", Wanted(), 1, other)
        with pytest.raises(InvalidInput):
            public_repositories(state.table, Wanted(), 1, other)


_NAMES = st.sampled_from([f"{owner}/{name}" for owner in ("ada", "bob", "eve") for name in ("net", "net2", "data")])
_ROWS = st.dictionaries(
    _NAMES, st.tuples(st.sampled_from(list(RepositoryKind)), st.sampled_from(list(Visibility)), st.booleans())
)


@given(rows=_ROWS, words=st.sampled_from(["", "net", "NET2 ada", "data", "/"]), limit=st.integers(1, 4))
@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_search_finds_what_fits_and_nothing_else(
    state: State, rows: dict[str, tuple[RepositoryKind, Visibility, bool]], words: str, limit: int
) -> None:
    made = [
        make_repository(name, kind=kind, visibility=visibility, members=["zoe"] if shared else [])
        for name, (kind, visibility, shared) in sorted(rows.items())
    ]
    for one in made:
        state.table.create_repository(one)
    try:
        for kind in (None, RepositoryKind.PROJECT):
            wanted = [
                one
                for one in made
                if kind in (None, one.kind) and all(word in one.full_name for word in words.lower().split())
            ]
            asked = {"kind": kind, "words": words}
            assert found_public(state, limit, **asked) == [one.full_name for one in wanted if one.may_read(None)]
            assert found(state, "zoe", limit, **asked) == [one.full_name for one in wanted if one.members]
            assert found(state, "ada", limit, **asked) == [one.full_name for one in wanted if one.owner == "ada"]
    finally:
        for one in made:
            state.table.change_repository(
                one.full_name, lambda known: known.model_copy(update={"members": [], "removed_at": NOW})
            )
            state.table.delete_repository(one.full_name)
        assert places(state) == set()


@contextmanager
def calls(state: State) -> Iterator[Counter[str]]:
    """What the table is asked, by operation, and how many rows it was asked for by name."""
    counted: Counter[str] = Counter()
    events = clients.dynamodb().meta.events

    def count(params: dict[str, Any], model: Any, **_: Any) -> None:
        counted[model.name] += 1
        for table in params.get("RequestItems", {}).values():
            counted["rows"] += len(table["Keys"])

    events.register("before-parameter-build.dynamodb", count)
    try:
        yield counted
    finally:
        events.unregister("before-parameter-build.dynamodb", count)


def test_a_page_costs_the_same_however_long_the_list_is(state: State) -> None:
    for number in range(30):
        state.table.create_repository(
            make_repository(f"ada/p{number:02}", members=["eve", "bob"], visibility=Visibility.PUBLIC)
        )
        if number not in (9, 29):
            continue
        with calls(state) as counted:
            assert len(repositories_of_user(state.table, "eve", Wanted(), 5, None).rows) == 5
        assert counted == {"Query": 2, "BatchGetItem": 1, "rows": 5}
        with calls(state) as counted:
            assert len(public_repositories(state.table, Wanted(words="p0"), 5, None).rows) == 5
        assert counted == {"Query": 1, "BatchGetItem": 1, "rows": 5}
        with calls(state) as counted:
            assert len(repositories_of_user(state.table, "ada", Wanted(), 5, None).rows) == 5
        assert counted == {"Query": 1}


def test_a_search_looks_at_so_many_names_for_one_page(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    assert NAMES_LOOKED_AT * 150 < 1 << 20, "more than DynamoDB reads in one query"
    monkeypatch.setattr("trainyard.intake.lists.NAMES_LOOKED_AT", 4)
    for number in range(9):
        state.table.create_repository(make_repository(f"ada/p{number}", visibility=Visibility.PUBLIC))
    first = public_repositories(state.table, Wanted(words="p8"), 2, None)
    assert first.rows == []
    assert first.cursor is not None
    assert found_public(state, 2, words="p8") == ["ada/p8"]


def test_more_rows_than_one_batch_takes_and_rows_that_were_left_unread(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        state.table.create_repository(make_repository(f"ada/p{number}"))
    dynamodb = clients.dynamodb()
    whole = dynamodb.batch_get_item

    def half(RequestItems: dict[str, Any]) -> Any:  # noqa: N803 - boto3's own name
        keys = RequestItems[state.table.name]["Keys"]
        some, rest = keys[: (len(keys) + 1) // 2], keys[(len(keys) + 1) // 2 :]
        answer = whole(RequestItems={state.table.name: {"Keys": some}})
        return {**answer, "UnprocessedKeys": {state.table.name: {"Keys": rest}} if rest else {}}

    monkeypatch.setattr("trainyard.store.table.rows._KEYS_PER_BATCH", 3)
    monkeypatch.setattr("trainyard.store.table.rows.time.sleep", lambda _: None)
    monkeypatch.setattr(dynamodb, "batch_get_item", half)
    names = [f"ada/p{number}" for number in (5, 1, 7, 0, 3, 9, 2)]
    assert [one.full_name for one in state.table.repositories(names)] == [n for n in names if n != "ada/p9"]
    monkeypatch.setattr(
        dynamodb, "batch_get_item", lambda **asked: {"Responses": {}, "UnprocessedKeys": asked["RequestItems"]}
    )
    with pytest.raises(TimeoutError):
        state.table.repositories(names)
