"""What happens to AWS, from outside the server's process: spot reclaims and a lack of machines."""

from typing import Any

import pytest
from unit.local.batch.conftest import wait_for

from infra.local.batch import faults


def test_a_machine_goes_away(bench: Any) -> None:
    job_id = bench.submit("import time; time.sleep(600)")
    wait_for(lambda: bench.job(job_id)["status"] == "RUNNING")
    assert faults.main([bench.server.endpoint, "reclaim", job_id]) == 0
    assert bench.until(job_id)["statusReason"].startswith("Host EC2")


def test_there_is_no_machine_and_then_there_is(bench: Any) -> None:
    assert faults.main([bench.server.endpoint, "starve", "cpu"]) == 0
    job_id = bench.submit()
    wait_for(lambda: bench.job(job_id).get("statusReason", "").startswith("CAPACITY:"))
    assert faults.main([bench.server.endpoint, "feed", "cpu"]) == 0
    assert bench.until(job_id)["status"] == "SUCCEEDED"


def test_what_is_not_known_is_said(bench: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert faults.main([bench.server.endpoint, "reclaim", "none"]) == 1
    assert "does not exist" in capsys.readouterr().err
    with pytest.raises(ValueError, match="does not exist"):
        faults.starve(bench.server.endpoint, "none")
