"""What a commit holds is noted once for each commit, for forms that let a person choose from it."""

from __future__ import annotations

from trainyard.model.check import CommitListing
from trainyard.store import State, layout
from trainyard.validation.snapshot import Snapshot

MOST_LISTED = 2000
"""A menu with more is of no use to anybody."""


def store_listing(state: State, repository: str, snapshot: Snapshot) -> None:
    """Write which folders and Python files the commit holds. The same commit gives the same object."""
    assert snapshot.commit is not None
    listing = listing_of(snapshot, snapshot.commit)
    key = layout.listing_key(repository, snapshot.commit)
    state.objects.put(key, listing.model_dump_json().encode(), "application/json")


def listing_of(snapshot: Snapshot, commit: str) -> CommitListing:
    python = [entry.path for entry in snapshot.entries.values() if entry.is_file and entry.path.endswith(".py")]
    folders = sorted({path.rpartition("/")[0] for path in python})
    return CommitListing(
        commit=commit,
        folders=folders[:MOST_LISTED],
        python_files=python[:MOST_LISTED],
        complete=len(python) <= MOST_LISTED,
    )
