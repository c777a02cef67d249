"""Which user somebody becomes: bound for good, to a name that nobody else has."""

from __future__ import annotations

import re
from typing import Any

import pytest
from builders import NOW
from hypothesis import given
from hypothesis import strategies as st

from trainyard.identity.users import plain_name, user_of
from trainyard.model.repository import USER_NAME, Scope
from trainyard.model.user import User
from trainyard.store import State
from trainyard.store.access import issue_token
from trainyard.store.table import Table

ISSUER = "https://accounts.example"


def claims(subject: str = "1", **more: Any) -> dict[str, Any]:
    return {"sub": subject, "preferred_username": "bob", **more}


def user(table: Table, subject: str = "1", issuer: str = ISSUER, **more: Any) -> str:
    return user_of(table, issuer, claims(subject, **more), "preferred_username", NOW)


@given(st.text(max_size=200))
def test_whatever_a_provider_calls_somebody_becomes_a_name(text: str) -> None:
    name = plain_name(text)
    assert re.fullmatch(USER_NAME, name)
    assert re.fullmatch(USER_NAME, f"{name}-0123456789")
    assert name == name.lower()
    assert plain_name(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ada.Lovelace@example.org", "ada.lovelace"), ("Zoë Müller", "zoe-muller"), ("张三", "user"), ("", "user"),
        ("../../etc/passwd", "etc-passwd"), ("-rf", "rf"), ("a" * 300, "a" * 50), ("<b>", "b"), ("DOMAIN\\bob", "domain-bob"),
    ],
)  # fmt: skip
def test_names_as_people_expect_them(text: str, name: str) -> None:
    assert plain_name(text) == name


def test_issuer_and_subject_say_who_it_is(state: State) -> None:
    assert user(state.table) == "bob"
    assert user(state.table, preferred_username="root") == "bob"
    assert user(state.table, "2") == "bob-2"
    assert user(state.table, issuer="https://other.example") == "bob-3"
    assert user(state.table) == "bob"


def test_where_every_number_is_taken_there_is_a_name_left(state: State) -> None:
    names = {user(state.table, str(number)) for number in range(12)}
    assert len(names) == 12
    assert {"bob", "bob-2", "bob-9"} <= names
    assert len([name for name in names if re.fullmatch(r"bob-[0-9a-f]{10}", name)]) == 3


def test_capitals_make_no_other_name(state: State) -> None:
    issue_token(state.table, "Bob", [Scope.READ])
    assert user(state.table) == "bob-2"


def test_a_token_from_before_users_had_rows_keeps_its_name(state: State) -> None:
    issue_token(state.table, "bob", [Scope.READ])
    state.table._dynamodb.delete_item(TableName="trainyard", Key={"pk": {"S": "USER#bob"}})
    assert user(state.table) == "bob-2"


def test_a_claim_that_is_not_there_or_no_text(state: State) -> None:
    assert user_of(state.table, ISSUER, {"sub": "1", "email": "eve@example.org"}, "nickname", NOW) == "eve"
    assert user_of(state.table, ISSUER, {"sub": "2", "nickname": ["x"]}, "nickname", NOW) == "user"


class Beaten(Table):
    """Somebody else writes in the moment between our look and our write."""

    def __init__(self, table: Table, quicker: Any) -> None:
        super().__init__(table.name)
        self.quicker = quicker

    def create_identity(self, *arguments: Any) -> bool:
        quicker, self.quicker = self.quicker, lambda: None
        quicker()
        return super().create_identity(*arguments)


def test_two_sign_ins_of_one_person_at_the_same_moment_make_one_user(state: State) -> None:
    assert user(Beaten(state.table, lambda: user(state.table))) == "bob"
    assert state.table.user("bob-2") is None


def test_a_token_that_is_made_at_the_same_moment_wins_the_name_whole(state: State) -> None:
    beaten = Beaten(state.table, lambda: issue_token(state.table, "bob", [Scope.READ]))
    assert user(beaten) == "bob-2"
    assert state.table.user("bob") == User(name="bob", created_at=state.table.user("bob").created_at)  # type: ignore[union-attr]
    assert user(state.table) == "bob-2"
