"""One script in several processes, on several machines, and as many children of a sweep."""

from __future__ import annotations

import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from unit.runner.rig import RUN_ID, Rig

from trainyard.model.result import EXIT_NODE_LOST, AttemptResult, Ending
from trainyard.model.text import Text
from trainyard.runner import script
from trainyard.runner.job import Job
from trainyard.runner.stop import Stop
from trainyard.store import layout
from trainyard.store.layout import NodeSign
from trainyard.store.objects import ObjectMissingError

SAVE = """
import argparse, pathlib, time
parser = argparse.ArgumentParser()
parser.add_argument("--output_path")
pathlib.Path(parser.parse_args().output_path, "checkpoint").write_text("epoch 3")
"""


def test_ranks_find_each_other_and_print_into_one_log(rig: Rig) -> None:
    rig.request(
        """
import os, socket, sys
rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
if rank == 0:
    server = socket.create_server(place)
    for other in range(1, world):
        server.accept()[0].sendall(b"hello")
else:
    for attempt in range(200):
        try:
            print(socket.create_connection(place).recv(5).decode(), "to", rank, os.environ["LOCAL_RANK"])
            break
        except ConnectionRefusedError:
            import time; time.sleep(0.05)
    else:
        sys.exit(9)
print("epoch: 1 step: 1, loss is 0.5" if rank == 0 else "done", flush=True)
""",
        processes=3,
    )
    assert rig.run() == 0
    assert sorted(rig.printed().splitlines()) == [
        "[rank 1] done",
        "[rank 1] hello to 1 1",
        "[rank 2] done",
        "[rank 2] hello to 2 2",
        "epoch: 1 step: 1, loss is 0.5",
    ]


def test_machines_of_a_run_agree_where_ranks_meet_and_other_runs_meet_elsewhere(rig: Rig) -> None:
    request = rig.request("print()", processes=2)

    def port(**job: Any) -> str:
        made = Job(**{"run_id": RUN_ID, "bucket": "b", "cache": rig.cache, "job_id": "j", "attempt": 1, **job})
        words = script.command(request, made, Path("python"), [])
        return words[words.index("-c") + 6]

    assert port(nodes=2) == port(nodes=2, node=1)
    assert len({port(), port(run_id="run-another"), port(child=0), port(child=1)}) == 4
    assert 20_000 <= int(port()) < 30_000


def test_a_rank_that_fails_ends_all(rig: Rig) -> None:
    rig.request(
        "import os, time\nif os.environ['RANK'] == '1':\n    raise ValueError('bad card')\ntime.sleep(600)", processes=2
    )
    assert rig.run() == 1
    result = rig.result()
    assert result.ending is Ending.SCRIPT_FAILED
    assert result.last_lines[-1] == "[rank 1] ValueError: bad card"


def test_auto_is_one_process_without_cards(rig: Rig) -> None:
    rig.request("import os; print(os.environ.get('RANK'))", processes="auto")
    assert rig.run() == 0
    assert rig.printed() == "None\n"


def test_machines_count_their_ranks_on(rig: Rig) -> None:
    rig.request("import os; print({n: os.environ[n] for n in ('RANK', 'WORLD_SIZE', 'MASTER_ADDR')})", processes=1)
    assert rig.run(node=1, nodes=2, main_node="10.0.0.7") == 0
    place = layout.node_id(RUN_ID, 1)
    assert rig.printed(run_id=place) == "[rank 1] {'RANK': '1', 'WORLD_SIZE': '2', 'MASTER_ADDR': '10.0.0.7'}\n"
    assert rig.result(run_id=place).ending is Ending.SUCCEEDED
    assert list(rig.objects.find(layout.attempt_prefix(RUN_ID, 1))) == []


def _other(rig: Rig, ending: Ending, **more: object) -> None:
    """What the second machine left."""
    result = {"run_id": RUN_ID, "attempt": 1, "ending": ending, "finished_at": "2026-01-01T00:00:00Z", **more}
    place = layout.result_key(layout.node_id(RUN_ID, 1), 1)
    rig.objects.put(place, AttemptResult.model_validate(result).model_dump_json().encode())


def test_the_main_machine_ends_when_the_others_have(rig: Rig) -> None:
    rig.request("print('done')")
    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(rig.run, node=0, nodes=2)
        with pytest.raises(TimeoutError):
            ending.result(3)
        _other(rig, Ending.SUCCEEDED)
        assert ending.result(30) == 0
    assert rig.result().ending is Ending.SUCCEEDED


def test_a_good_end_is_none_where_another_machine_failed(rig: Rig) -> None:
    rig.request("print('done')")
    _other(rig, Ending.SCRIPT_FAILED, exit_code=3, reason=Text(en="It broke.", zh="出错。"), last_lines=["bad card"])
    assert rig.run(node=0, nodes=2) == 3
    result = rig.result()
    assert result.ending is Ending.SCRIPT_FAILED
    assert result.reason is not None
    assert result.reason.en == "Machine 1 failed. It broke."
    assert result.last_lines == ["bad card"]


def test_the_main_machine_waits_no_longer_than_it_may(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainyard.runner.nodes.WAIT_SECONDS", 0.0)
    rig.request("print('done')")
    assert rig.run(node=0, nodes=2) == 0
    assert rig.result().ending is Ending.SUCCEEDED


def _sign(rig: Rig, sign: NodeSign, content: bytes = b"") -> None:
    rig.objects.put(layout.node_sign_key(RUN_ID, 1, 1, sign), content)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"BEAT_SECONDS": 0.2, "SILENT_SECONDS": 2.0, "_LOOK_SECONDS": 0.1}.items():
        monkeypatch.setattr(f"trainyard.runner.nodes.{name}", seconds)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("sign", [NodeSign.ALIVE, NodeSign.LOST])
def test_a_lost_machine_ends_the_attempt_so_that_it_is_tried_again(rig: Rig, sign: NodeSign) -> None:
    """Its runner falls silent, or the platform says so."""
    rig.request(SAVE + "time.sleep(600)", output=True)
    _sign(rig, sign)
    assert rig.run(node=0, nodes=2) == EXIT_NODE_LOST
    result = rig.result()
    assert result.ending is Ending.NODE_LOST
    assert result.reason is not None
    assert "Machine 1 was lost" in result.reason.en
    assert rig.output("checkpoint") == b"epoch 3"
    assert b"The run was stopped" not in rig.log()


@pytest.mark.usefixtures("quick")
def test_a_script_that_fails_because_another_machine_is_lost_did_not_fail(rig: Rig) -> None:
    rig.request("raise ConnectionResetError('by peer')")
    _sign(rig, NodeSign.ALIVE)
    assert rig.run(node=0, nodes=2) == EXIT_NODE_LOST
    assert rig.result().last_lines[-1] == "ConnectionResetError: by peer"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("sign", [NodeSign.ALIVE, NodeSign.ENDED, None])
def test_while_the_others_are_there_a_failure_is_the_script_s_own(rig: Rig, sign: NodeSign | None) -> None:
    rig.request("import sys; sys.exit(75)")
    over = threading.Event()

    def beat() -> None:
        for number in itertools.count():
            _sign(rig, NodeSign.ALIVE, str(number).encode())
            if sign is NodeSign.ENDED:
                _sign(rig, sign)
            if over.wait(0.1):
                return

    with ThreadPoolExecutor(1) as pool:
        beating = pool.submit(beat) if sign else None
        try:
            # And no exit code of a script reads as a lost machine.
            assert rig.run(node=0, nodes=2) == 1
        finally:
            over.set()
        assert beating is None or beating.result(10) is None
    assert (rig.result().ending, rig.result().exit_code) == (Ending.SCRIPT_FAILED, 75)


@pytest.mark.usefixtures("quick")
def test_a_machine_that_is_lost_after_the_main_script_s_good_end_spoils_it(rig: Rig) -> None:
    rig.request("print('done')")
    _other(rig, Ending.STOPPED)
    assert rig.run(node=0, nodes=2) == EXIT_NODE_LOST


@pytest.mark.usefixtures("quick")
def test_a_stop_is_a_stop_whatever_becomes_of_the_other_machines(rig: Rig) -> None:
    rig.request("import time; time.sleep(600)")
    stop = Stop()
    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(rig.run, stop, node=0, nodes=2)
        stop.request()
        _sign(rig, NodeSign.LOST)
        assert ending.result(60) == 143
    assert rig.result().ending is Ending.STOPPED


@pytest.mark.usefixtures("quick")
def test_the_other_machines_say_that_they_are_there_and_how_they_leave(rig: Rig) -> None:
    rig.request("import time; time.sleep(600)")
    key = layout.node_sign_key(RUN_ID, 1, 1, NodeSign.ALIVE)
    stop = Stop()
    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(rig.run, stop, node=1, nodes=2)
        beats: set[bytes] = set()
        deadline = time.monotonic() + 30
        while len(beats) < 3:
            assert time.monotonic() < deadline
            with suppress(ObjectMissingError):
                beats.add(rig.objects.get(key))
        # What nobody told the main machine of: the host is about to go.
        stop.request()
        assert ending.result(60) == 143
    assert {node_sign for _, node_sign in _signs(rig)} == {NodeSign.ALIVE, NodeSign.LOST}
    rig.objects.delete_prefix("runs/")
    rig.request("print('done')")
    assert rig.run(node=1, nodes=2, job_id="again") == 0
    assert (1, NodeSign.ENDED) in _signs(rig)


def _signs(rig: Rig) -> list[tuple[int, NodeSign]]:
    return [layout.node_sign_of(each.key) for each in rig.objects.find(layout.node_signs_prefix(RUN_ID, 1))]


def test_children_of_a_sweep_have_their_own_hyperparameters_and_places(rig: Rig) -> None:
    request = rig.request(
        "import sys; print(sys.argv[1:5]); open(sys.argv[-1] + '/x', 'w').write('x')", hyperparameters={"epochs": 3}
    )
    swept = request.model_copy(update={"children": [{"lr": 0.1}, {"lr": 0.2, "epochs": 5}]})
    rig.objects.put(layout.request_key(RUN_ID), swept.model_dump_json().encode())
    for child in ("0", "1"):
        assert rig.start(AWS_BATCH_JOB_ARRAY_INDEX=child, AWS_BATCH_JOB_ID=f"job:{child}").wait(60) == 0
    places = [layout.child_id(RUN_ID, index) for index in (0, 1)]
    assert [rig.printed(run_id=place) for place in places] == [
        "['--epochs', '3', '--lr', '0.1']\n",
        "['--epochs', '5', '--lr', '0.2']\n",
    ]
    for place in places:
        result = AttemptResult.model_validate_json(rig.objects.get(layout.result_key(place, 1)))
        assert [file.path for file in result.outputs] == ["x"]
        assert rig.objects.get(layout.output_prefix(place) + "x") == b"x"


def test_a_request_with_children_survives_json(rig: Rig) -> None:
    request = rig.request("print()").model_copy(update={"children": [{"lr": 0.1}]})
    assert json.loads(request.model_dump_json())["children"] == [{"lr": 0.1}]
    assert type(request).model_validate_json(request.model_dump_json()) == request
