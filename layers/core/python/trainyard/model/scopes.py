"""What a script that sweeps by itself went through: the values that name the trainings in its one log."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Annotated

from pydantic import AllowInfNan, BaseModel, ConfigDict, Field

from trainyard.model.metric import MetricGroup, Metrics, Parameter

MOST_VALUES = 100
_Rate = Annotated[float, AllowInfNan(False)]


class Scopes(BaseModel):
    """Nested in this order: for each batch size every learning rate, for each of those every momentum."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_size: list[int] = Field([], max_length=MOST_VALUES, description="Batch sizes, in the order of the script.")
    learning_rate: list[_Rate] = Field([], max_length=MOST_VALUES, description="Learning rates, for each batch size.")
    momentum: list[_Rate] = Field([], max_length=MOST_VALUES, description="Momentums, for each learning rate.")

    def named(self, metrics: Metrics, *, anew: bool = False) -> Metrics:
        """The metrics, whose groups are given their values in that order. Groups beyond the last get nothing.

        What the log itself stated stays, unless they are to be named `anew`.
        """
        groups = [MetricGroup(dict(group.parameters), group.series, group.counts) for group in metrics.groups]
        for group, values in zip(groups, self._combinations(), strict=False):
            group.parameters = {**group.parameters, **values} if anew else {**values, **group.parameters}
        return Metrics(groups)

    def _combinations(self) -> Iterator[dict[str, Parameter]]:
        """A scope that is empty is left out."""
        scopes = [[(name, value) for value in values] for name, values in self if values]
        return (dict(combination) for combination in product(*scopes)) if scopes else iter(())
