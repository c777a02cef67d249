"""Where a branch or tag has pointed: what tells a push that is told twice from one that brings a commit back."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from trainyard.model.repository import FullName, Sha

MOVES_KEPT = 10
"""A delivery that is repeated after more pushes to its ref than these counts as a new push."""


class Move(BaseModel):
    """One push to the ref."""

    model_config = ConfigDict(extra="forbid")

    push: str
    """The push's id."""
    before: str | None = None
    commit: Sha
    delivery: str = ""
    """The host's id, the same each time it delivers this push; empty where there is none, as with a sweep."""


class Ref(BaseModel):
    """A ref of a repository with its last pushes, oldest first."""

    model_config = ConfigDict(extra="forbid")

    repository: FullName
    name: str
    moves: list[Move] = []
    version: int = 0
    """Pushes to the ref so far."""

    def known(self, before: str | None, commit: str, delivery: str) -> Move | None:
        """The push that this one is once more; None if the ref was moved again.

        Deliveries that both have an id are the same push if the ids are. Without one, the ref that points to `commit`
        already was not moved; and a move that was seen before is old news unless the ref is back where it began.
        """
        here = self.moves[-1].commit if self.moves else None
        for move in reversed(self.moves):
            if delivery and move.delivery:
                same = (move.delivery, move.commit) == (delivery, commit)
            elif here == commit:
                same = move is self.moves[-1]
            else:
                same = (move.before, move.commit) == (before, commit) and here != before
            if same:
                return move
        return None

    def points_to(self, commit: str) -> bool:
        """Whether the last push left the ref at `commit`, even if an earlier one was heard of after it."""
        if not self.moves:
            return False
        *earlier, last = self.moves
        if last.commit == commit:
            return True
        # It began where nobody had seen the ref, and what came of where it led to was heard of before.
        is_late = bool(earlier) and last.before != earlier[-1].commit
        return is_late and any((move.before, move.commit) == (last.commit, commit) for move in earlier)

    def moved(self, move: Move) -> Ref:
        """The ref after one more push."""
        return self.model_copy(update={"moves": [*self.moves, move][-MOVES_KEPT:], "version": self.version + 1})
