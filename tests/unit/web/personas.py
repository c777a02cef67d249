"""Who may come: a house with a private and a public project in it, and everybody who could ask for something there."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from builders import a_repository, a_run, a_spec

from trainyard import clients
from trainyard.evaluation.verdict import judge_run
from trainyard.logs.run import index_logs
from trainyard.model.evaluation import RepeatedEvaluation
from trainyard.model.money import Approval
from trainyard.model.notification import Channel, Notification
from trainyard.model.registry_login import RegistryLogin
from trainyard.model.repository import Scope, Visibility
from trainyard.model.request import RunRequest
from trainyard.model.run import RunState
from trainyard.model.storage import StorageReport, StoredFile
from trainyard.model.text import Text
from trainyard.store import State, layout
from trainyard.store.access import issue_token, token_digest
from trainyard.validation.rules import REGISTRY

PERSONAS = ("anonymous", "revoked", "expired", "other_job", "stranger", "reader", "member_reading", "member", "owner",
            "operator", "own_job")  # fmt: skip
"""The reader and everybody after `stranger` but for him look at the private project; he at the public one."""
PRIVATE, PUBLIC = "ada/secret", "ada/open"
"""Beside each lies one called `-bare`, without runs: only such ones can be removed."""
REPORT_AT = datetime(2026, 1, 1, tzinfo=UTC)


def _id(number: int) -> str:
    return f"run-{number:022d}"


@dataclass
class House:
    state: State
    a_rule: str = next(iter(REGISTRY))
    a_key: str = "a" * 64
    tokens: dict[str, str | None] = field(default_factory=dict)
    token_ids: dict[str, str] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def snapshot(self) -> list[dict[str, Any]]:
        """All rows but the counters of requests, in a fixed order."""
        found = clients.dynamodb().scan(TableName="trainyard")["Items"]
        return sorted(found, key=lambda row: json.dumps(row["pk"], sort_keys=True))

    def keep(self) -> None:
        self.rows = self.snapshot()

    def restore(self) -> None:
        """As it was at `keep`."""
        table = clients.dynamodb()
        for row in self.snapshot():
            if row not in self.rows:
                table.delete_item(TableName="trainyard", Key={"pk": row["pk"]})
        for row in self.rows:
            table.put_item(TableName="trainyard", Item=row)
        put_objects(self.state)

    def runs(self, persona: str) -> dict[str, str]:
        """Ids of runs of the project that this persona looks at."""
        first = 10 if persona == "reader" else 0
        return {"ended": _id(first + 1), "waiting": _id(first + 2), "going": _id(first + 3)}


def build(state: State) -> House:
    house = House(state)
    for name, visibility in (
        *((PRIVATE, Visibility.PRIVATE), (f"{PRIVATE}-bare", Visibility.PRIVATE)),
        *((PUBLIC, Visibility.PUBLIC), (f"{PUBLIC}-bare", Visibility.PUBLIC)),
    ):
        notifications = [Notification(id="n1", channel=Channel.WEBHOOK, target="https://hook.invalid/x", events=[],
                                      created_by="ada", created_at=REPORT_AT)]  # fmt: skip
        state.table.create_repository(
            a_repository(
                name,
                visibility=visibility,
                members=["bob", "carol"],
                notifications=notifications,
                registries=[RegistryLogin(registry="ghcr.io", username="x", created_by="ada", created_at=REPORT_AT)],
                clone_url=f"https://github.com/{name}.git",
                description="secret-description",
            )
        )
    token, expired = "tyj_" + "a" * 43, datetime.now(UTC) - timedelta(hours=1)
    for project, first in ((PRIVATE, 0), (PUBLIC, 10)):
        own, other = (token_digest(token), token_digest("tyj_" + "b" * 43))
        held = Approval(reason=Text(en="Too dear.", zh="太贵。"))
        runs = [
            a_run(_id(first + 1), state=RunState.SUCCEEDED, attempt=1),
            a_run(_id(first + 2), state=RunState.ADMITTED, approval=held),
            a_run(_id(first + 3), state=RunState.RUNNING, attempt=1, job_tokens=[own] if not first else []),
            a_run(_id(first + 4), state=RunState.RUNNING, attempt=1, job_tokens=[other]),
        ]
        for run in runs:
            state.table.create_run(run.model_copy(update={"project": project, "requested_by": "bob"}))
    put_objects(state)
    for number in (1, 11):
        index_logs(state, _id(number))
        judge_run(state, _id(number))
    people = {"stranger": ("eve", [Scope.WRITE]), "reader": ("eve", [Scope.WRITE]), "member": ("bob", [Scope.WRITE]),
              "member_reading": ("bob", [Scope.READ]), "owner": ("ada", [Scope.WRITE]),
              "operator": ("root", [Scope.OPERATE]), "revoked": ("ada", [Scope.WRITE])}  # fmt: skip
    for persona, (user, scopes) in people.items():
        secret, made = issue_token(state.table, user, scopes)
        house.tokens[persona], house.token_ids[persona] = secret, made.id
        if persona == "revoked":
            state.table.delete_token(made.digest)
    house.tokens["expired"] = issue_token(state.table, "ada", [Scope.WRITE], expires_at=expired)[0]
    house.tokens |= {"anonymous": None, "own_job": token, "other_job": "tyj_" + "b" * 43}
    house.keep()
    return house


def put_objects(state: State) -> None:
    for number in (1, 2, 3, 4, 11, 12, 13, 14):
        run_id, objects = _id(number), state.objects
        project = PRIVATE if number < 10 else PUBLIC
        request = RunRequest(run_id=run_id, name="lenet5", project=project, commit="a" * 40, spec=a_spec(),
                             code_key="k", inputs=[])  # fmt: skip
        objects.put(layout.request_key(run_id), request.model_dump_json().encode())
        objects.put(layout.findings_key(run_id), b"[]")
        objects.put(layout.log_chunk_key(run_id, 1, 0), gzip.compress(b"epoch 1 loss: 0.5 accuracy: 0.9\n"))
        objects.put(layout.log_key(run_id), gzip.compress(b"epoch 1 loss: 0.5 accuracy: 0.9\n"))
        objects.put(layout.aim_list_key(run_id), b'{"runs": []}')
        objects.put(layout.output_prefix(run_id) + "a.ckpt", b"12345")
        objects.put(layout.bundle_key(run_id), b"{}")
        asked = RepeatedEvaluation(number=1, require={}, requested_by="bob", at=REPORT_AT)
        objects.put(layout.repeated_evaluation_key(run_id, 1), asked.model_dump_json().encode())
    state.objects.put(layout.public_key_key("a" * 64), b"-----BEGIN PUBLIC KEY-----")
    for project in (PRIVATE, PUBLIC):
        report = StorageReport(repository=project, at=REPORT_AT, files=1, bytes=1, recent=0, reason=Text(en="-", zh="-"),
                               unreferenced=[StoredFile(key="k", size=1, modified=REPORT_AT)])  # fmt: skip
        state.objects.put(layout.storage_report_key(project), report.model_dump_json().encode())
