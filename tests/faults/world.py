"""Everything around the functions, in one process: AWS, a Batch, a git host. It can be put back to what it was."""

from __future__ import annotations

import copy
import gzip
import hashlib
import importlib
import json
import re
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from batch_fixture import batch
from conftest import REGION, ROOT, table_properties
from contracts.hosts.api_server import ApiServer, api_server
from faults.wire import KilledError, Target, Wire
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from unit.validation.git_rig import GitServer

from infra.local.batch import events as batch_events
from infra.local.batch import lifecycle
from infra.local.batch.records import Place, now_ms
from infra.local.batch.server import BatchServer
from trainyard import clients
from trainyard.compute.registry import backend
from trainyard.delivery import MOST_TRIES
from trainyard.model.settings import settings
from trainyard.store import State
from trainyard.store import state as state_of_process
from trainyard.store.bus import changes_in

Record = dict[str, Any]
# Ids and times differ from one run of the same way to the next, and so does what is made of them.
_VARYING = (
    (re.compile(r"run-[0-9a-z]{22}"), "run"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:?\d\d)?"), "time"),
    (re.compile(r'"seconds": ?[\d.]+'), "seconds"),
    (re.compile(r'"usd": ?[\d.e-]+'), "usd"),
    (re.compile(r"keys/[0-9a-f]{64}"), "keys/key"),
    (re.compile(r"journal/.*"), "journal"),
    (re.compile(r"day=\d{4}-\d\d-\d\d"), "day"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "job"),
)
_COUNTED = ("version", "claim", "teller", "at", "job_tokens", "nudges")
"""Of a row: how often and by whom it was written. A fault may cost one more write."""
_SIGNED = ("bundle.json", "code.tar.gz", ".pem", ".jsonl.gz")
"""Objects that are different each time they are made of the same, and the journal, which knows how it came about."""
_FORGOTTEN = ("count",)
"""Rows that come to nothing: how many requests somebody made."""


@dataclass
class Step:
    """One call of a function: an event of its queue, a batch of its stream, a request."""

    function: str
    event: dict[str, Any]
    id: str = ""
    tries: int = 1

    @property
    def is_message(self) -> bool:
        return bool(self.id)


@dataclass(frozen=True)
class Snapshot:
    rows: dict[str, Any]
    objects: dict[str, tuple[bytes, str]]
    parameters: dict[str, str]
    jobs: dict[str, Any]
    told: list[Any]
    pending: tuple[Step, ...]
    unkept: tuple[Any, ...]


@dataclass
class World:
    """See `world`."""

    wire: Wire
    batch: BatchServer
    git: GitServer
    host: ApiServer
    """The git host's API, and a place that notifications go to."""
    state: State
    commit: str = ""
    """What is pushed."""
    pending: deque[Step] = field(default_factory=deque)
    events: Counter[str] = field(default_factory=Counter)
    """What the stream had to say since the last look, by name and run."""
    dead: list[Step] = field(default_factory=list)
    unkept: list[Any] = field(default_factory=list)
    """What the stream said and the journal does not know yet."""
    _numbers: int = 0
    _changes: int = 0

    # One call

    def call(self, step: Step, target: Target | None = None) -> tuple[bool, list[str]]:
        """Whether the step is done with, and the calls that it made. KilledError comes out as it is."""
        event = step.event
        if step.is_message:
            attributes = {"ApproximateReceiveCount": str(step.tries)}
            record = {
                "messageId": step.id, "body": json.dumps(event), "attributes": attributes, "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{DEFAULT_ACCOUNT_ID}:{step.function}", "receiptHandle": "",
                "messageAttributes": {}, "md5OfBody": "", "awsRegion": REGION,
            }  # fmt: skip
            event = {"Records": [record]}
        handler = importlib.import_module(f"{step.function}.app").handler
        context = SimpleNamespace(
            function_name=step.function,
            memory_limit_in_mb=512,
            invoked_function_arn=f"arn:aws:lambda:{REGION}:{DEFAULT_ACCOUNT_ID}:function:{step.function}",
            aws_request_id="request",
            get_remaining_time_in_millis=lambda: 30000,
        )
        answer, calls = self.wire.watch(lambda: handler(event, context), target)
        return self._is_done(step, answer), calls

    def _is_done(self, step: Step, answer: dict[str, Any]) -> bool:
        if "statusCode" in answer:
            assert answer["statusCode"] < 400 or answer["statusCode"] >= 500, answer
            return bool(answer["statusCode"] < 400)
        failures = answer.get("batchItemFailures") or []
        if failures and step.function == "publish_changes":
            at = failures[0]["itemIdentifier"]
            numbers = [record["dynamodb"]["SequenceNumber"] for record in step.event["Records"]]
            step.event["Records"] = step.event["Records"][numbers.index(at) :]
        return not failures

    def through(self, step: Step, target: Target | None = None) -> None:
        """The step until it is done with, as its queue, its stream or its caller would try it again."""
        for number in range(MOST_TRIES):
            try:
                done, _ = self.call(replace(step, tries=number + 1), target if number == 0 else None)
            except KilledError:
                done = False
                self.forget()
            except Exception:
                done = False
            self.drain()
            if done:
                return
        self.dead.append(step)

    def forget(self) -> None:
        """The next call finds a new environment."""
        state_of_process.cache_clear()
        backend.cache_clear()

    def settle(self, most: int = 400) -> None:
        """Everything that is under way comes to its end."""
        for _ in range(most):
            if not self.pending:
                return
            self.through(self.pending.popleft())
        raise AssertionError("it never comes to rest")

    # What comes of it

    def drain(self) -> None:
        """What the table's stream and the bus have to say becomes steps."""
        shard = self._table.stream_shard
        records = [record.to_json() for record in shard.items]
        shard.items.clear()
        for record in records:
            # The emptied shard counts from the beginning again.
            self._changes += 1
            record["dynamodb"]["SequenceNumber"] = str(self._changes)
        self.unkept += records
        kinds, names = _stream_filter()
        heard = [
            record
            for record in records
            if record["eventName"] in names and record["dynamodb"].get("NewImage", {}).get("kind", {}).get("S") in kinds
        ]
        for change in changes_in(heard):
            self.events[f"{change.name} {getattr(change.detail, 'name', '')}"] += 1
        if heard:
            self.pending.append(Step("publish_changes", {"Records": heard}))
        for entry in self.wire.sent:
            event = {
                "source": entry["Source"], "detail-type": entry["DetailType"], "detail": json.loads(entry["Detail"]),
            }  # fmt: skip
            self.publish(event)
        self.wire.sent.clear()

    def journal(self) -> Step:
        """The batch of changes that is kept next: all since the last."""
        records = []
        for record in self.unkept:
            change = record["dynamodb"]
            if change.get("NewImage", change.get("OldImage"))["kind"]["S"] in _FORGOTTEN:
                continue
            at = change["ApproximateCreationDateTime"].replace(tzinfo=UTC).timestamp()
            records.append({**record, "dynamodb": {**change, "ApproximateCreationDateTime": at}})
        self.unkept.clear()
        return Step("keep_journal", {"Records": records})

    def publish(self, event: dict[str, Any]) -> None:
        """An event reaches the queue of every rule that it fits."""
        for function, kinds in rules().items():
            if any(fnmatchcase(event["detail-type"], kind) for kind in kinds):
                self._numbers += 1
                self.pending.append(Step(function, event, f"message-{self._numbers}"))

    # The outside

    def job(self, status: str, **outcome: Any) -> None:
        """The newest job goes on to `status`, and Batch tells of it."""
        job = list(self.batch._state.jobs.values())[-1]
        if status == "STARTING":
            lifecycle.begin(job, "cpu")
        elif status == "RUNNING":
            lifecycle.run(job, now_ms(), "stream")
        elif job.status in ("RUNNING", "STARTING"):
            lifecycle.end_attempt(
                job, lifecycle.Outcome(status_reason="Essential container exited", **outcome), now_ms()
            )
        self.tell(job)

    def tell(self, job: Any) -> None:
        self.publish(batch_events.state_change(job, Place(), "aws.batch"))

    # Looking

    @property
    def _table(self) -> Any:
        from moto.dynamodb.models import dynamodb_backends

        return dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables["trainyard"]

    def rows(self) -> dict[str, Any]:
        answer = clients.client("dynamodb").scan(TableName="trainyard")
        return {item["pk"]["S"]: item for item in answer["Items"]}

    def objects(self) -> dict[str, tuple[bytes, str]]:
        from moto.s3.models import s3_backends

        keys = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets["trainyard"].keys
        return {name: (key.value, _content_type(key)) for name, key in keys.items()}

    def _parameters(self) -> dict[str, str]:
        from moto.ssm.models import ssm_backends

        kept = ssm_backends[DEFAULT_ACCOUNT_ID][REGION]._parameters
        return {name: versions[-1].value for name, versions in kept.items() if name.startswith("/trainyard")}

    def snapshot(self) -> Snapshot:
        jobs = copy.deepcopy(self.batch._state.jobs)
        told = list(self.host.received)
        pending = tuple(copy.deepcopy(self.pending))
        return Snapshot(self.rows(), self.objects(), self._parameters(), jobs, told, pending, tuple(self.unkept))

    def restore(self, to: Snapshot) -> None:
        """Only what differs is written: most of it is as it was."""
        known = self.rows()
        dynamodb, s3, ssm = (clients.client(name) for name in ("dynamodb", "s3", "ssm"))
        for pk in known.keys() - to.rows.keys():
            dynamodb.delete_item(TableName="trainyard", Key={"pk": {"S": pk}})
        for pk, item in to.rows.items():
            if known.get(pk) != item:
                dynamodb.put_item(TableName="trainyard", Item=item)
        objects = self.objects()
        for key in objects.keys() - to.objects.keys():
            s3.delete_object(Bucket="trainyard", Key=key)
        for key, (body, kind) in to.objects.items():
            if objects.get(key) != (body, kind):
                s3.put_object(Bucket="trainyard", Key=key, Body=body, ContentType=kind)
        parameters = self._parameters()
        for name in parameters.keys() - to.parameters.keys():
            ssm.delete_parameter(Name=name)
        for name, value in to.parameters.items():
            if parameters.get(name) != value:
                ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)
        self._table.stream_shard.items.clear()
        with self.batch._lock:
            self.batch._state.jobs.clear()
            self.batch._state.jobs.update(copy.deepcopy(to.jobs))
            self.batch._state.outbox.clear()
        self.host.received[:] = to.told
        self.pending = deque(copy.deepcopy(to.pending))
        self.unkept = list(to.unkept)
        self.wire.sent.clear()
        self.events.clear()
        self.dead.clear()
        self.forget()

    def account(self) -> dict[str, Any]:
        """What is to be the same however it came about: rows, objects, jobs, and what others were told."""
        rows = sorted(
            _plain(json.dumps(_row(item), sort_keys=True))
            for item in self.rows().values()
            if item.get("kind", {}).get("S") not in _FORGOTTEN
        )
        return {
            "rows": rows,
            "objects": sorted((_plain(key), _content(key, body)) for key, (body, _) in self.objects().items()),
            "secrets": sorted(self._parameters()),
            "jobs": Counter(_jobs_place(job.status) for job in self.batch._state.jobs.values()),
            "statuses": self.statuses(),
            "notifications": sorted({self._told(one) for one in self.host.received if "webhook-id" in one.headers}),
        }

    def statuses(self) -> list[str]:
        """Per run what the git host shows one after the other. The same one told twice is the same status."""
        shown: list[str] = []
        for one in self.host.received:
            if "webhook-id" not in one.headers:
                text = _plain(json.dumps(one.payload, sort_keys=True))
                if text not in shown[-1:]:
                    shown.append(text)
        return shown

    @staticmethod
    def _told(one: Any) -> str:
        # Whoever hears it knows by its id that it was told before. The row's version is part of that.
        return _plain(re.sub(r"-\d+-run\.", "-run.", one.headers["webhook-id"]))


def _jobs_place(status: str) -> str:
    """Batch itself moves a job from one queue to the next; when, is nobody's doing."""
    return "waits" if status in ("SUBMITTED", "PENDING", "RUNNABLE") else status


def _content_type(key: Any) -> str:
    return str(key.metadata.get("content-type", "binary/octet-stream"))


def _row(item: dict[str, Any]) -> Any:
    document = json.loads(item["document"]["S"]) if "document" in item else {}
    kept = {name: value for name, value in document.items() if name not in _COUNTED}
    marks = {name: value for name, value in item.items() if name not in ("document", "version", "expires", "amount")}
    return [marks | {"pk": re.sub(r"-\d+-run\.", "-run.", item["pk"]["S"])}, kept]


def _content(key: str, body: bytes) -> str:
    if key.endswith(_SIGNED):
        return ""
    if key.endswith(".gz"):
        body = gzip.decompress(body)
    with suppress(UnicodeDecodeError):
        return hashlib.sha256(_plain(body.decode()).encode()).hexdigest()
    return hashlib.sha256(body).hexdigest()


def _plain(text: str) -> str:
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return text


@cache
def _template() -> Any:
    from samtranslator.yaml_helper import yaml_parse

    return yaml_parse((ROOT / "template.yaml").read_text())["Resources"]


@cache
def rules() -> dict[str, list[str]]:
    """Function -> the kinds of event that its rule sends it, as the template says; `*` for any ending."""
    found: dict[str, list[str]] = {}
    for resource in _template().values():
        if resource["Type"] == "AWS::Events::Rule":
            kinds = resource["Properties"]["EventPattern"]["detail-type"]
            function = resource["Properties"]["Name"]["Fn::Sub"].partition("}-")[2]
            found[function] = [kind if isinstance(kind, str) else f"{kind['prefix']}*" for kind in kinds]
    return found


@cache
def _stream_filter() -> tuple[frozenset[str], frozenset[str]]:
    text = json.dumps(_template()["PublishChanges"])
    pattern = json.loads(json.loads(re.findall(r'"Pattern": ("(?:[^"\\]|\\.)*")', text)[0]))
    return frozenset(pattern["dynamodb"]["NewImage"]["kind"]["S"]), frozenset(pattern["eventName"])


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """A world with nobody in it yet."""
    with pytest.MonkeyPatch.context() as patch, mock_aws(), batch() as (server, chosen, _):
        server.starve("cpu")  # its jobs go on when the way says so
        with GitServer(folder / "git") as git, api_server() as host:
            known = chosen._known
            assert known is not None
            environment = {
                "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION,
                "AWS_ENDPOINT_URL_BATCH": server.endpoint, "POWERTOOLS_SERVICE_NAME": "test",
                "POWERTOOLS_LOG_LEVEL": "CRITICAL", "TRAINYARD_TABLE": "trainyard", "TRAINYARD_BUCKET": "trainyard",
                "TRAINYARD_BUS": "trainyard", "TRAINYARD_ALLOW_LOOPBACK_HTTP": "true",
                "TRAINYARD_JOB_QUEUES": json.dumps(known.job_queues),
                "TRAINYARD_JOB_DEFINITIONS": json.dumps(known.job_definitions),
                "TRAINYARD_PUBLIC_URL": "https://train.example",
            }  # fmt: skip
            for name, value in environment.items():
                patch.setenv(name, value)
            wire = Wire()
            patch.setattr(clients, "client", _kept(wire))
            settings.cache_clear()
            state_of_process.cache_clear()
            backend.cache_clear()
            clients.client("dynamodb").create_table(TableName="trainyard", **table_properties())
            clients.client("s3").create_bucket(Bucket="trainyard")
            clients.client("events").create_event_bus(Name="trainyard")
            yield World(wire, server, git, host, state_of_process())
    settings.cache_clear()
    state_of_process.cache_clear()
    backend.cache_clear()


def _kept(wire: Wire) -> Any:
    @cache
    def client(service: str, region: str | None = None, tries: int = 3) -> Any:
        return clients.make_client(service, region, tries, wire.session)

    return client
