"""`python -m trainyard.runner.carrier`: brings a run to Huawei Cloud and creates its job there, or brings it home.

Which of them it is, or that it only clears up after a way that led nowhere, the job's own name says
(compute/modelarts/backend.py).
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from trainyard.compute.contract import JobEnd, SubmissionRefusedError
from trainyard.compute.modelarts.backend import CLEAR, OUT, errand_of_carrier, our_client, run_of_carrier
from trainyard.compute.modelarts.client import ModelArtsClient
from trainyard.compute.modelarts.credentials import Credentials, stored_parameter
from trainyard.compute.modelarts.obs import obs_client
from trainyard.compute.modelarts.place import Place
from trainyard.compute.modelarts.states import seen
from trainyard.compute.modelarts.training import create_once, description
from trainyard.model.catalogue import load_catalogue
from trainyard.model.request import RunRequest
from trainyard.model.result import AttemptResult, Ending
from trainyard.model.text import Text
from trainyard.runner import reasons
from trainyard.runner.ascend.clearing import clear, is_being_cleared
from trainyard.runner.ascend.homeward import ATTEMPT, carry_home
from trainyard.runner.ascend.outward import carry_out
from trainyard.runner.errors import SetupError, StopRequestedError
from trainyard.runner.fence import claim
from trainyard.runner.job import Job
from trainyard.runner.stop import Stop
from trainyard.store import layout
from trainyard.store.objects import Objects


@dataclass(frozen=True)
class Carrier:
    """One run's way, with everything it needs."""

    job: Job
    objects: Objects
    obs: Objects
    client: ModelArtsClient
    topic: str
    stop: Stop

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], stop: Stop) -> Carrier:
        job = Job.from_environment({**environment, "TRAINYARD_RUN_ID": run_of_carrier(environment["TRAINYARD_RUN_ID"])})
        credentials = Credentials(stored_parameter(environment["TRAINYARD_HUAWEI_ACCOUNT"]))
        obs = Objects(
            environment["TRAINYARD_OBS_BUCKET"],
            obs_client(credentials, environment.get("TRAINYARD_OBS_ENDPOINT") or ""),
        )
        topic = environment.get("TRAINYARD_SMN_TOPIC") or ""
        return cls(job, Objects(job.bucket), obs, our_client(), topic, stop)

    def send(self) -> int:
        """Bring it there and create its job. A failure that is the user's is stored as the attempt's result."""
        try:
            request = self._request()
            self.job.cache.mkdir(parents=True, exist_ok=True)
            carry_out(self.objects, self.obs, request, self.job.cache, self.stop)
            self.stop.check()
            self._create(request)
        except StopRequestedError:
            return self._fail(Ending.STOPPED, reasons.EXIT_STOPPED, reasons.STOPPED)
        except SetupError as error:
            return self._fail(Ending.SETUP_FAILED, reasons.EXIT_SETUP_FAILED, error.message)
        except SubmissionRefusedError as error:
            return self._fail(Ending.SETUP_FAILED, reasons.EXIT_SETUP_FAILED, error.reason)
        return 0

    def fetch(self) -> int:
        """Bring home what it left, then clear its place. 0 also where another carrier does."""
        if not claim(self.objects, self.job):
            return 0
        jobs = self.client.find(self.job.run_id)
        if not jobs:
            raise RuntimeError(f"ModelArts has no job {self.job.run_id} any more")
        training = seen(jobs[0])
        if not self._is_home():
            result = carry_home(self.objects, self.obs, self._request(), training, self.stop)
            # Of a machine that was lost nobody can say how its script ended.
            if training.end is not JobEnd.HOST:
                self._store(result)
        clear(self.obs, self._place)
        return 0

    def clear(self) -> int:
        """Remove what was brought to OBS for a job that was never created."""
        for job in self.client.find(self.job.run_id):
            # The answer to its creation was lost, and its run is over. Whoever stops it must not take its files away.
            self.client.stop(job["metadata"]["id"])
            raise RuntimeError(f"ModelArts has a job {self.job.run_id}; it is stopped, and its files stay in OBS")
        clear(self.obs, self._place)
        return 0

    @property
    def _place(self) -> Place:
        return Place(self.obs.bucket, self.job.run_id)

    def _is_home(self) -> bool:
        """An earlier try of this carrier was interrupted after everything had been stored, while it cleared up."""
        if is_being_cleared(self.obs, self._place):
            return True
        is_empty = next(self.obs.find(self._place.prefix, limit=1), None) is None
        return is_empty and self.objects.size(layout.result_key(self.job.run_id, ATTEMPT)) is not None

    def _request(self) -> RunRequest:
        return RunRequest.model_validate_json(self.objects.get(layout.request_key(self.job.run_id)))

    def _create(self, request: RunRequest) -> None:
        catalogue = load_catalogue()
        framework, flavor = catalogue.framework(request.spec.framework), catalogue.flavor(request.spec.flavor)
        assert framework is not None, "validation admits only frameworks of the catalogue"
        assert flavor is not None, "validation admits only flavors of the catalogue"
        create_once(self.client, description(request, framework, flavor, self._place, self.topic))

    def _fail(self, ending: Ending, code: int, reason: Text) -> int:
        print(reason, flush=True)
        result = AttemptResult(
            run_id=self.job.run_id,
            attempt=ATTEMPT,
            ending=ending,
            exit_code=code,
            reason=reason,
            finished_at=datetime.now(UTC),
        )
        self._store(result)
        return code

    def _store(self, result: AttemptResult) -> None:
        key = layout.result_key(self.job.run_id, ATTEMPT)
        self.objects.put(key, result.model_dump_json().encode(), "application/json")


def main() -> int:
    stop = Stop()
    stop.listen()
    try:
        carrier = Carrier.from_environment(os.environ, stop)
        errand = {"": carrier.send, OUT: carrier.fetch, CLEAR: carrier.clear}
        return errand[errand_of_carrier(os.environ["TRAINYARD_RUN_ID"])]()
    except Exception:  # noqa: BLE001 - the container's own log is all that is left
        traceback.print_exc()
        return reasons.EXIT_SETUP_FAILED


if __name__ == "__main__":
    sys.exit(main())
