"""Whatever is submitted and stopped in whatever order: every job ends, and its events tell one story that holds together."""

from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from infra.local.batch.lifecycle import NEXT

PROGRAMS = {
    "good": "pass",
    "bad": "raise SystemExit(3)",
    "long": "import time; time.sleep(600)",
    "dies": "import os; os.kill(os.getpid(), 9)",
}
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.sampled_from(sorted(PROGRAMS)), st.integers(1, 3)),
        st.tuples(st.sampled_from(["terminate", "cancel", "reclaim"]), st.integers(0, 7), st.just(0)),
    ),
    min_size=1,
    max_size=8,
)


def perform(bench: Any, steps: list[tuple[str, Any, int]]) -> list[str]:
    jobs: list[str] = []
    for what, which, attempts in steps:
        if what == "submit":
            jobs.append(bench.submit(PROGRAMS[which], retryStrategy={"attempts": attempts}))
        elif jobs:
            job_id = jobs[which % len(jobs)]
            if what == "reclaim":
                bench.server.reclaim(job_id)
            else:
                getattr(bench.client, f"{what}_job")(jobId=job_id, reason=f"{what}d")
    return jobs


def test_every_job_ends_and_its_events_hold_together(make_bench: Any) -> None:
    bench = make_bench(grace=0.2)

    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(STEPS)
    @example([("submit", "long", 3), ("reclaim", 0, 0), ("terminate", 0, 0)])
    def holds(steps: list[tuple[str, Any, int]]) -> None:
        jobs = perform(bench, steps)
        for job_id in jobs:
            bench.client.terminate_job(jobId=job_id, reason="the end of the test")
        assert bench.server.wait_idle(30)
        for job_id in jobs:
            check_story(
                [each["detail"] for each in bench.events if each["detail"]["jobId"] == job_id], bench.job(job_id)
            )

    holds()


def check_story(details: list[dict[str, Any]], job: dict[str, Any]) -> None:
    assert job["status"] in ("SUCCEEDED", "FAILED")
    assert details[-1]["status"] == job["status"]
    before = {"status": "SUBMITTED", "attempts": []}
    for detail in details:
        assert detail["status"] in NEXT[before["status"]]
        assert detail["attempts"][: len(before["attempts"])] == before["attempts"]
        assert len(detail["attempts"]) - len(before["attempts"]) in (0, 1)
        before = detail
    assert len(job["attempts"]) <= job["retryStrategy"]["attempts"]
    assert job["stoppedAt"] >= job["createdAt"]
    if job["status"] == "SUCCEEDED":
        assert job["attempts"][-1]["container"]["exitCode"] == 0
