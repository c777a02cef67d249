"""Events: their shape, their order, and that none is lost while the receiver fails."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from infra.local.batch.events import to_event_bridge
from tests.unit.local.batch.conftest import wait_for


def test_an_event_has_batchs_shape(make_bench: Any) -> None:
    bench = make_bench(event_source="local.batch")
    job_id = bench.submit(tags={"run": "r"})
    bench.states(job_id)
    event = bench.events[-1]
    job = bench.job(job_id)
    assert event["detail"] == job
    assert event["resources"] == [job["jobArn"]]
    assert (event["source"], event["detail-type"]) == ("local.batch", "Batch Job State Change")
    assert set(event) == {"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}
    assert "startedAt" not in bench.events[0]["detail"]
    assert len({each["id"] for each in bench.events}) == len(bench.events)
    json.dumps(bench.events)


def test_a_failing_receiver_gets_every_event_in_order(make_bench: Any) -> None:
    got: list[str] = []
    failures = iter([True, True, False, True, False, False, False, False])

    def flaky(event: dict[str, Any]) -> None:
        if next(failures):
            raise ConnectionError
        got.append(event["detail"]["status"])

    bench = make_bench(on_event=flaky)
    bench.submit()
    assert bench.server.wait_idle(30)
    assert got == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]


def test_events_not_delivered_before_the_stop_come_after_the_restart(make_bench: Any, tmp_path: Path) -> None:
    stuck = threading.Event()

    def never(_event: dict[str, Any]) -> None:
        stuck.set()
        raise ConnectionError

    kept = {"state_file": tmp_path / "batch.json"}
    one = make_bench(on_event=never, **kept)
    job_id = one.submit()
    one.until(job_id)
    assert stuck.wait(10)
    one.server.stop()
    two = make_bench(prepared=False, **kept)
    assert two.states(job_id) == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]


class Bus:
    """A stand-in for the `events` client that keeps what it is given."""

    def __init__(self, failed: int = 0) -> None:
        self.entries: list[dict[str, Any]] = []
        self.failed = failed

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.entries += Entries
        return {"FailedEntryCount": self.failed, "Entries": [{"ErrorCode": "NotAuthorizedForSourceException"}]}


def test_to_event_bridge(make_bench: Any) -> None:
    bus = Bus()
    bench = make_bench(on_event=to_event_bridge(bus, "jobs"), event_source="local.batch")
    job_id = bench.submit()
    assert bench.server.wait_idle(30)
    assert [json.loads(each["Detail"])["status"] for each in bus.entries][-1] == "SUCCEEDED"
    entry = bus.entries[-1]
    assert json.loads(entry["Detail"]) == bench.job(job_id)
    assert (entry["Source"], entry["EventBusName"]) == ("local.batch", "jobs")


def test_an_entry_that_the_bus_refuses_is_an_error() -> None:
    event = {"time": "t", "source": "aws.batch", "resources": [], "detail-type": "x", "detail": {}}
    with pytest.raises(RuntimeError, match="NotAuthorized"):
        to_event_bridge(Bus(failed=1), "default")(event)


def test_job_output_reaches_cloudwatch_logs(make_bench: Any) -> None:
    logs = Logs()
    bench = make_bench(logs_client=logs)
    job_id = bench.submit("for n in range(200): print('line', n)\nprint(); print('end 完', end='', flush=True)")
    stream = bench.until(job_id)["container"]["logStreamName"]
    wait_for(lambda: len(logs.messages.get(stream, [])) == 202)
    assert logs.messages[stream] == [*[f"line {n}" for n in range(200)], " ", "end 完"]


class Exists(Exception):
    pass


class Logs:
    """A stand-in for the `logs` client: keeps messages by stream, refuses what CloudWatch refuses, fails once."""

    exceptions = type("Exceptions", (), {"ResourceAlreadyExistsException": Exists})

    def __init__(self) -> None:
        self.messages: dict[str, list[str]] = {}
        self.failed = False

    def create_log_group(self, logGroupName: str) -> None:  # noqa: N803
        raise Exists

    def create_log_stream(self, logGroupName: str, logStreamName: str) -> None:  # noqa: N803
        if logStreamName in self.messages:
            raise Exists
        self.messages[logStreamName] = []

    def put_log_events(self, logGroupName: str, logStreamName: str, logEvents: list[dict[str, Any]]) -> None:  # noqa: N803
        assert all(each["message"] for each in logEvents)
        if not self.failed:
            self.failed = True
            raise ConnectionError
        self.messages[logStreamName] += [each["message"] for each in logEvents]
