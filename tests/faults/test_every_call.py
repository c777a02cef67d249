"""Whatever goes wrong with whichever AWS call of whichever function: the same comes of it as of an undisturbed way.

The calls are found by going the way once. For each of them the world is put back to the moment before its function was
called, the call fails, and the event is delivered again as its queue, its stream or its caller would. What is then must
equal what was after the undisturbed call, so that all that follows is the same too.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import ROOT
from faults.way import furnished, scenes
from faults.wire import Fault
from faults.world import Snapshot, Step, World

HANDLERS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))


@dataclass
class Passage:
    """One undisturbed call of a function on the way."""

    before: Snapshot
    step: Step
    calls: list[str]
    after: dict[str, Any]


@dataclass
class Way:
    world: World
    token: str
    start: Snapshot
    passages: list[Passage]
    messages: list[Step]
    finish: Snapshot
    end: dict[str, Any]
    events: Counter[str]


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    """The undisturbed way, with a look at the world before and after each call."""
    with furnished(tmp_path_factory.mktemp("way")) as (around, token):
        around.events.clear()
        start = around.snapshot()
        passages, events = [], Counter[str]()
        for scene in scenes(token):
            step = scene(around)
            around.pending.extend([step] if step else [])
            while around.pending:
                passage = _undisturbed(around, around.pending.popleft())
                passages.append(passage)
                events += around.events
                around.events.clear()
        messages = [passage.step for passage in passages if passage.step.is_message]
        yield Way(around, token, start, passages, messages, around.snapshot(), around.account(), events)


def _undisturbed(around: World, step: Step) -> Passage:
    before = around.snapshot()
    done, calls = around.call(step)
    around.drain()
    assert done, (step.function, calls)
    return Passage(before, step, calls, _outcome(around, before))


def _outcome(around: World, before: Snapshot) -> dict[str, Any]:
    """What a call came to: what is, what was said, and what is to be done now."""
    new = list(around.pending)[len(before.pending) :]
    next_ones = sorted({json.dumps([step.function, _named(step)]) for step in new})
    return {**around.account(), "events": dict(around.events), "next": next_ones, "dead": len(around.dead)}


def _named(step: Step) -> Any:
    detail = step.event.get("detail", {})
    return [step.event.get("detail-type"), detail.get("run_id", detail.get("push_id")), detail.get("state")]


def _different(passages: list[Passage]) -> list[Passage]:
    """One for each sequence of calls: the same calls in the same order fail in the same ways."""
    return list({(one.step.function, tuple(one.calls)): one for one in reversed(passages)}.values())


@pytest.mark.parametrize("function", HANDLERS)
def test_every_fault_of_every_call(way: Way, function: str, record_property: Callable[[str, object], None]) -> None:
    passages = _different([one for one in way.passages if one.step.function == function])
    assert passages, f"the way of tests/faults/way.py does not lead through {function}"
    wrong, tried, calls = [], 0, 0
    known: set[tuple[str, ...]] = set()
    for passage in passages:
        for number, call in enumerate(passage.calls):
            # To fail where something is read is to end behind the last write, which is tried in every passage.
            if _reads(call) and _squeezed(passage.calls[: number + 1]) in known:
                continue
            known.add(_squeezed(passage.calls[: number + 1]))
            calls += 1
            for fault in Fault:
                way.world.restore(passage.before)
                before = way.world.wire.struck
                way.world.through(passage.step, (number, fault))
                tried += way.world.wire.struck > before
                wrong += [f"{call} ({number}) {fault}: {line}" for line in _difference(way, passage)]
    record_property("tried", f"{function}: {calls} calls x {len(Fault)} faults = {tried} cases")
    assert not wrong, "\n".join(wrong)


def _reads(call: str) -> bool:
    return call.partition(".")[2].startswith(("Get", "List", "Query", "Describe", "Head", "BatchGet"))


def _squeezed(calls: list[str]) -> tuple[str, ...]:
    """The way to a call: whoever called the same before it, however often in a row beyond twice, is at the same place."""
    return tuple(call for number, call in enumerate(calls) if number < 2 or {call} != set(calls[number - 2 : number]))


def _difference(way: Way, passage: Passage) -> list[str]:
    now = _outcome(way.world, passage.before)
    return [
        f"{part}: {_only(passage.after[part], now[part])}" for part in passage.after if passage.after[part] != now[part]
    ]


def _only(wanted: Any, found: Any) -> str:
    if isinstance(wanted, list):
        missing, extra = ([str(one)[:600] for one in a if one not in b] for a, b in ((wanted, found), (found, wanted)))
        return f"missing {missing}, and instead {extra}" if missing or extra else f"{len(found)} for {len(wanted)}"
    return f"{wanted} became {found}"


def test_every_event_once_more(way: Way) -> None:
    """Twice, late, in the wrong order: when everything is over, no event changes anything any more."""
    way.world.restore(way.finish)
    again = [*reversed(way.messages), *random.Random(1).sample(way.messages, len(way.messages))]
    for number, message in enumerate(again):
        way.world.through(Step(message.function, message.event, f"again-{number}"))
        assert (way.world.dead, dict(way.world.events)) == ([], {}), (message.function, _named(message))
    assert _parts(way.world.account()) == _parts(way.end)


@pytest.mark.parametrize("seed", range(3))
def test_the_whole_way_out_of_order_and_twice(way: Way, seed: int) -> None:
    """Between two things that happen outside, whatever waits is delivered in any order, every third message twice."""
    chance = random.Random(seed)
    around = way.world
    around.restore(way.start)
    for scene in scenes(way.token):
        step = scene(around)
        around.pending.extend([step] if step else [])
        while around.pending:
            around.pending.rotate(chance.randrange(len(around.pending)))
            step = around.pending.popleft()
            around.through(step)
            if step.is_message and chance.random() < 1 / 3:
                around.pending.append(Step(step.function, step.event, f"{step.id}-again"))
    assert around.dead == []
    assert dict(around.events) == dict(way.events)
    wanted, found = _parts(way.end), _parts(around.account())
    assert [_only(wanted[part], found[part]) for part in wanted if wanted[part] != found[part]] == []


def _parts(account: dict[str, Any]) -> dict[str, Any]:
    """Of the statuses only each run's last: which of those in between was told depends on what was heard when."""
    return account | {"statuses": _last(account["statuses"])}


def _last(statuses: list[str]) -> dict[str, str]:
    return {json.loads(status)["context"]: status for status in statuses}
