"""In which lists a repository stands besides its owner's: one for each member, and that of the public ones."""

from __future__ import annotations

from trainyard.model.repository import Listed, Repository, Visibility

PUBLIC = "PUBLIC"
# DynamoDB takes 100 actions in one transaction; one is the repository itself.
MAX_CHANGES = 99
MAX_MEMBERS = MAX_CHANGES - 1
"""It may be public as well."""


def shared_with(user: str) -> str:
    return f"SHARED#{user}"


def places_of(repository: Repository) -> set[str]:
    """None for one that is being removed."""
    if repository.removed_at is not None:
        return set()
    places = {shared_with(user) for user in repository.members}
    return places | {PUBLIC} if repository.visibility is Visibility.PUBLIC else places


def listed_at(repository: Repository, place: str) -> Listed:
    return Listed(place=place, repository=repository.full_name, kind=repository.kind)


def within_one_transaction(known: Repository, wanted: Repository) -> Repository:
    """`wanted`, or a step towards it: the first of the members who leave or join."""
    if len(places_of(known) ^ places_of(wanted)) <= MAX_CHANGES:
        return wanted
    stay = wanted.members if wanted.removed_at is None else []
    leave = [user for user in known.members if user not in stay]
    join = [user for user in stay if user not in known.members]
    moving = (leave + join)[:MAX_CHANGES]
    members = [user for user in known.members if user not in moving] + [user for user in join if user in moving]
    return known.model_copy(update={"members": members})
