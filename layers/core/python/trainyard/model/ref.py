"""Where a branch or tag has pointed: what tells a push that is told twice from one that brings a commit back.

Webhooks tell of pushes one by one, but late, twice and out of order; a sweep sees where the ref is, but neither each
push nor which one led there. So a push that a sweep found waits for its webhook, whichever of that commit comes first.
"""

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
    """Of one that was found, where the sweep before had seen the ref: there may have been more between."""
    commit: Sha
    delivery: str = ""
    """The host's id, the same each time it delivers this push; empty where there is none, as with a sweep."""
    found: bool = False
    """By a sweep: the ref was there when this was written."""
    told: bool = False
    """Of one that was found: its webhook has come since."""

    @property
    def awaits_webhook(self) -> bool:
        return self.found and not self.told


class Ref(BaseModel):
    """A ref of a repository with its last pushes, in the order in which they were heard of."""

    model_config = ConfigDict(extra="forbid")

    repository: FullName
    name: str
    moves: list[Move] = []
    version: int = 0
    """Pushes to the ref so far."""
    claims: int = 0
    """Of those, how many a sweep found before their webhook came."""

    def known(self, before: str | None, commit: str, delivery: str) -> Move | None:
        """The push that a webhook tells of once more, or that a sweep found; None if the ref was moved again.

        Deliveries that both have an id are the same push if the ids are. Otherwise it is old news, unless the ref is
        known to have gone on from there to where this push begins: then it was brought back.
        """
        alike = [move for move in reversed(self.moves) if move.commit == commit]
        for move in alike:
            if delivery and move.delivery == delivery:
                return move
        open_ones = [move for move in alike if not (delivery and move.delivery) and not self._went_on(move, before)]
        exact = [move for move in open_ones if move.before == before]
        return next(iter(exact + [move for move in open_ones if move.awaits_webhook]), None)

    def may_be_at(self, commit: str) -> bool:
        """Whether one of the pushes brought the ref to `commit` and none is known to have taken it away again."""
        stays = 0
        for move in self.moves:
            stays = 0 if move.found else stays
            if move.commit == commit:
                stays += 1
            elif move.before == commit and stays:
                stays -= 1
        return stays > 0

    def moved(self, move: Move) -> Ref:
        """The ref after one more push."""
        return self.model_copy(update={"moves": [*self.moves, move][-MOVES_KEPT:], "version": self.version + 1})

    def claimed(self, found: Move, before: str | None, delivery: str) -> Ref:
        """The ref when the webhook of a push that a sweep found has come: it is no other push's any more."""
        told = found.model_copy(update={"before": before, "delivery": delivery, "told": True})
        moves = [told if move is found else move for move in self.moves]
        return self.model_copy(update={"moves": moves, "claims": self.claims + 1})

    def _went_on(self, move: Move, commit: str | None) -> bool:
        """Whether what was heard of after `move` leads from there to `commit`."""
        reached = {move.commit}
        later = self.moves[[each is move for each in self.moves].index(True) + 1 :]
        for each in later:
            if each.before in reached:
                reached.add(each.commit)
        return commit != move.commit and commit in reached
