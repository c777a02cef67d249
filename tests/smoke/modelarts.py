"""`make smoke-modelarts`: one small run by way of a real account at Huawei Cloud. It costs money, and says how much first.

Carriers, boot file and the clients of ModelArts and OBS are production's; only AWS's part is played, by a bucket in
memory, so that no AWS account is needed. Whatever happens, the job and the objects are removed at the end, or named.
Not yet run against a real account: nobody had one. `tests/unit/local/test_smoke.py` runs it against the embedded one.
"""

from __future__ import annotations

import hashlib
import io
import os
import signal
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from trainyard.compute.modelarts.client import ModelArtsClient
from trainyard.compute.modelarts.credentials import Credentials, operators_key
from trainyard.compute.modelarts.obs import obs_client
from trainyard.compute.modelarts.place import Place
from trainyard.compute.modelarts.states import seen
from trainyard.model.catalogue import Accelerator, Catalogue, Flavor, Framework, load_catalogue
from trainyard.model.errors import InvalidInput, UserError
from trainyard.model.ids import new_run_id
from trainyard.model.request import InputFile, PinnedInput, RunRequest
from trainyard.model.result import AttemptResult, Ending
from trainyard.model.spec import RunSpec
from trainyard.model.text import Text
from trainyard.runner.ascend.clearing import clear
from trainyard.runner.carrier import Carrier
from trainyard.runner.job import Job
from trainyard.runner.stop import Stop
from trainyard.store import layout
from trainyard.store.objects import Objects

CONSENT = "HUAWEI_SMOKE_SPENDS_MONEY"
SCRIPT_MINUTES, MOST_MINUTES = 5, 40
"""Time limit of the script; and how long the whole is waited for, a place in the queue included."""
_REMOVAL_SECONDS = 600.0
_BUCKET = "smoke"
_DATA = b"carried there and back"
_SCRIPT = """
import argparse, os, pathlib, sys
parser = argparse.ArgumentParser()
parser.add_argument("--data_url")
parser.add_argument("--output_path")
parser.add_argument("--epochs", type=int)
given = parser.parse_args()
print("python", sys.version.split()[0], "rank", os.environ["RANK"], "of", os.environ["WORLD_SIZE"], "epochs", given.epochs)
content = pathlib.Path(given.data_url, "data.bin").read_bytes()
pathlib.Path(given.output_path, "copy.bin").write_bytes(content)
print("Eval result: epoch 1, metrics: {'accuracy': 0.5}")
"""


class NotRightError(Exception):
    """The account did not do what was expected of it."""


def main(environment: Mapping[str, str], tell: Callable[[str], None] = print, poll_seconds: float = 10.0) -> int:
    """0: the run went there and home, and nothing of it is left. 1: it did not. 2: something has to be set first."""
    try:
        credentials = operators_key(environment, "HUAWEI_OBS_BUCKET")
        smoke = Smoke(credentials, environment, tell, poll_seconds)
        estimate = smoke.estimate()
    except UserError as error:
        tell(str(error))
        return 2
    tell(estimate)
    if environment.get(CONSENT) != "yes":
        tell(f"Nothing was done. Set {CONSENT}=yes to go on.")
        return 2
    return smoke.run()


class Smoke:
    """One run, from its estimate to the last thing that is removed."""

    def __init__(
        self, credentials: Credentials, environment: Mapping[str, str], tell: Callable[[str], None], poll_seconds: float
    ) -> None:
        self._environment, self._tell, self._poll = environment, tell, poll_seconds
        self._minutes = float(environment.get("HUAWEI_SMOKE_MINUTES") or MOST_MINUTES)
        self._client = ModelArtsClient(credentials, environment.get("HUAWEI_MODELARTS_ENDPOINT") or "")
        bucket, endpoint = environment["HUAWEI_OBS_BUCKET"], environment.get("HUAWEI_OBS_ENDPOINT") or ""
        self._obs = Objects(bucket, obs_client(credentials, endpoint))
        self._run_id = new_run_id(datetime.now(UTC))
        self._framework, self._flavor = self._choice(load_catalogue())

    def estimate(self) -> str:
        """What it may cost at most. The account's price is nowhere to be read; who knows it may say it."""
        hours = SCRIPT_MINUTES / 60
        told = self._environment.get("HUAWEI_PRICE_PER_HOUR")
        price = (
            f"{float(told) * hours:.2f} at {told} an hour" if told else "unknown; HUAWEI_PRICE_PER_HOUR works it out"
        )
        return (
            f"One run of {self._flavor.instance} with {self._framework.version}, named {self._run_id}: at most "
            f"{SCRIPT_MINUTES} minutes of the machine ({price}), and some kB in OBS for as long as it takes."
        )

    def run(self) -> int:
        wrong = ""
        try:
            with s3_in_memory() as objects, tempfile.TemporaryDirectory() as cache:
                self._go(objects, Path(cache))
        except (Exception, KeyboardInterrupt) as error:
            wrong = f"{type(error).__name__}: {error}"
        left = self._remove()
        if wrong or left:
            self._tell(f"not right: {'; '.join(filter(None, [wrong, left]))}")
            return 1
        self._tell("The run went to ModelArts and came home, and nothing of it is left there.")
        return 0

    def _choice(self, catalogue: Catalogue) -> tuple[Framework, Flavor]:
        """The smallest machine and an engine that both the account and the catalogue have."""
        engines = {engine["engine_version"] for engine in self._client.engines()}
        flavors = {flavor["flavor_id"] for flavor in self._client.flavors()}
        wanted = self._environment.get("HUAWEI_FRAMEWORK"), self._environment.get("HUAWEI_FLAVOR")
        frameworks = [one for one in catalogue.frameworks if one.version in engines and wanted[0] in (None, one.name)]
        machines = [
            one for one in catalogue.flavors
            if one.accelerator is Accelerator.ASCEND and one.instance in flavors and wanted[1] in (None, one.name)
        ]  # fmt: skip
        if not frameworks or not machines:
            raise InvalidInput(
                Text(
                    en="The account offers no engine or no flavor of the catalogue that fits; "
                    "`trainyard ascend catalog --write FILE` adds what it offers.",
                    zh="账号不提供目录中合适的引擎或规格；可用 `trainyard ascend catalog --write FILE` 添加。",
                )
            )
        return frameworks[-1], min(machines, key=lambda one: one.accelerators)

    def _go(self, objects: Objects, cache: Path) -> None:
        objects.put(layout.request_key(self._run_id), self._request(objects).model_dump_json().encode())
        self._require(self._carrier(objects, cache, "out").send() == 0, lambda: f"not sent: {self._said(objects)}")
        self._tell("code and data are in OBS, and the job is created")
        self._await_end()
        self._carrier(objects, cache, "home").fetch()
        result = AttemptResult.model_validate_json(objects.get(layout.result_key(self._run_id, 1)))
        self._require(result.ending is Ending.SUCCEEDED, lambda: f"it ended as {result.ending}: {result.last_lines}")
        copied = objects.get(layout.output_prefix(self._run_id) + "copy.bin")
        self._require(copied == _DATA, lambda: "what came home is not what was sent")
        self._require(result.log_bytes > 0, lambda: "it left no log")

    def _await_end(self) -> None:
        deadline, before = time.monotonic() + self._minutes * 60, None
        while time.monotonic() < deadline:
            (training,) = self._client.find(self._run_id)
            now = seen(training)
            if training["status"]["phase"] != before:
                before = training["status"]["phase"]
                self._tell(f"ModelArts says: {before}")
            if now.has_ended:
                return
            time.sleep(self._poll)
        raise NotRightError(f"it had not ended after {self._minutes:g} minutes (HUAWEI_SMOKE_MINUTES)")

    def _remove(self) -> str:
        """Stop and delete the job, remove the objects; what could not be removed, in words."""
        left = []
        try:
            for training in self._client.find(self._run_id):
                self._end_and_delete(training["metadata"]["id"])
        except (Exception, KeyboardInterrupt) as error:
            left.append(f"the training job {self._run_id} may be left ({error}): delete it in ModelArts' console")
        place = Place(self._obs.bucket, self._run_id)
        try:
            clear(self._obs, place)
        except Exception as error:
            left.append(f"objects may be left under {place.url(place.prefix)} ({error})")
        return "; ".join(left)

    def _end_and_delete(self, job_id: str) -> None:
        self._client.stop(job_id)
        deadline = time.monotonic() + _REMOVAL_SECONDS
        while (training := self._client.get(job_id)) is not None and time.monotonic() < deadline:
            if seen(training).has_ended:
                self._client.delete(job_id)
                self._tell("the job is deleted")
                return
            time.sleep(self._poll)
        if training is not None:
            raise NotRightError("it does not end")

    def _request(self, objects: Objects) -> RunRequest:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            member = tarfile.TarInfo("train/train.py")
            member.size = len(_SCRIPT.encode())
            tar.addfile(member, io.BytesIO(_SCRIPT.encode()))
        objects.put(layout.code_key(self._run_id), archive.getvalue())
        digest = hashlib.sha256(_DATA).hexdigest()
        objects.put(layout.content_key("smoke/data", digest), _DATA)
        file = InputFile(path="data.bin", size=len(_DATA), sha256=digest, key=layout.content_key("smoke/data", digest))
        spec = RunSpec(
            code_dir="train", boot_file="train.py", framework=self._framework.name, flavor=self._flavor.name,
            hyperparameters={"epochs": 1}, timeout=timedelta(minutes=SCRIPT_MINUTES),
        )  # fmt: skip
        return RunRequest(
            run_id=self._run_id, name="smoke", project="smoke/test", commit="0" * 40, spec=spec,
            code_key=layout.code_key(self._run_id),
            inputs=[PinnedInput(argument="data_url", source="smoke", is_file=False, files=[file])],
        )  # fmt: skip

    def _carrier(self, objects: Objects, cache: Path, job_id: str) -> Carrier:
        return Carrier(Job(self._run_id, _BUCKET, cache, job_id, 1), objects, self._obs, self._client, "", Stop())

    def _said(self, objects: Objects) -> str:
        result = AttemptResult.model_validate_json(objects.get(layout.result_key(self._run_id, 1)))
        return str(result.reason)

    def _require(self, holds: bool, otherwise: Callable[[], str]) -> None:
        if not holds:
            raise NotRightError(otherwise())


@contextmanager
def s3_in_memory() -> Iterator[Objects]:
    """AWS's part."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        client: Any = boto3.client(
            "s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", aws_access_key_id="a",
            aws_secret_access_key="b",
        )  # fmt: skip
        client.create_bucket(Bucket=_BUCKET)
        yield Objects(_BUCKET, client)
    finally:
        server.stop()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main(os.environ))
