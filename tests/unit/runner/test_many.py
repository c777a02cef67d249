"""One script in several processes, on several machines, and as many children of a sweep."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from unit.runner.rig import RUN_ID, Rig

from trainyard.model.result import AttemptResult, Ending
from trainyard.model.text import Text
from trainyard.runner import script
from trainyard.runner.job import Job
from trainyard.store import layout


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
