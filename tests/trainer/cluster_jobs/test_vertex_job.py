"""CustomJobs by Vertex AI's own client and REST transport, against a server on loopback that parses its messages."""

import asyncio
import json
import re
import threading
from collections import deque
from datetime import UTC, datetime

import pytest
import requests
from aiohttp import web
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.aiplatform_v1.services.job_service import JobServiceClient
from google.cloud.aiplatform_v1.types import CustomJob as CustomJobProto
from google.protobuf import json_format

from config.cluster import Cluster
from config.cluster_jobs import CustomJobConfig
from trainer.cluster_jobs.vertex_job import CustomJob, VertexApi
from trainer.cluster_jobs.waiting import ClusterJobError, run_job

NAME = "shop-1a2b"
SETTINGS = CustomJobConfig(kind="custom_job", image="shop:1", project="p", region="europe-west4", workers=3)
COMMAND = ("python", "-m", "trainer.job_process", "gs://bucket/job.json")
RESOURCE = "projects/p/locations/europe-west4/customJobs/7"


class Vertex:
    """The state of the service.

    Attributes:
        jobs: By resource name.
        states: Those that the job takes at the next requests for it; the last one stays.
        entries: Of Cloud Logging.
        faults: Status codes that the next requests get.
    """

    def __init__(self):
        self.jobs, self.states, self.entries, self.faults, self.cancelled = {}, deque(), [], deque(), []
        self.error = {}

    async def handle(self, request):
        if self.faults:
            return web.json_response({"error": {"message": "injected"}}, status=self.faults.popleft())
        if request.path == "/v2/entries:list":
            query = await request.json()
            assert query["resourceNames"] == ["projects/p"]
            assert 'resource.labels.job_id="7"' in query["filter"]
            return web.json_response(self._page(query))
        name = request.path.removeprefix("/v1/")
        if name.endswith(":cancel"):
            self.cancelled.append(name.removesuffix(":cancel"))
            return web.json_response({})
        if request.method == "POST":
            return web.json_response(self._create(await request.json()))
        if name.endswith("customJobs"):
            wanted = re.fullmatch('display_name="(.*)"', request.query["filter"])[1]
            found = [job for job in self.jobs.values() if job["displayName"] == wanted]
            return web.json_response({"customJobs": found})
        state = self.states.popleft() if len(self.states) > 1 else self.states[0]
        return web.json_response(self.jobs[name] | {"state": state, "error": self.error})

    def _create(self, job):
        json_format.ParseDict(job, CustomJobProto.pb(CustomJobProto()))  # unknown fields are errors
        self.jobs[RESOURCE] = job | {"name": RESOURCE, "state": "JOB_STATE_QUEUED"}
        return self.jobs[RESOURCE]

    def _page(self, query):
        start = int(query.get("pageToken", 0))
        page = {"entries": self.entries[start : start + 2]}
        return page | ({"nextPageToken": str(start + 2)} if start + 2 < len(self.entries) else {})

    def say(self, worker, text):
        labels = {"job_id": "7", "task_name": worker}
        self.entries.append(
            {
                "insertId": str(len(self.entries)),
                "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "123Z"),
                "resource": {"type": "ml_job", "labels": labels},
                "jsonPayload": {"message": text},
            }
        )


@pytest.fixture(scope="module")
def served():
    """A server and its address."""
    vertex, loop = Vertex(), asyncio.new_event_loop()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", lambda request: vertex.handle(request))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def begin():
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    yield vertex, f"http://127.0.0.1:{runner.addresses[0][1]}"
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def vertex(served):
    served[0].__init__()
    return served[0]


@pytest.fixture
def job(vertex, served):
    options = ClientOptions(api_endpoint=served[1])
    client = JobServiceClient(credentials=AnonymousCredentials(), transport="rest", client_options=options)
    api = VertexApi(client, requests.Session(), f"{served[1]}/v2/entries:list")
    return CustomJob(api, SETTINGS, NAME, COMMAND)


def test_a_job_of_two_pools_is_waited_for_and_its_output_is_printed_here(vertex, job, capfd):
    vertex.states.extend(["JOB_STATE_PENDING", "JOB_STATE_RUNNING", "JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"])
    vertex.say("workerpool0-0", "progress: epoch 1")
    vertex.say("workerpool1-0", "step 1")
    vertex.say("workerpool1-1", "step 1")
    vertex.faults.append(503)
    run_job(job, 20, 0.01)
    chief, others = vertex.jobs[RESOURCE]["jobSpec"]["workerPoolSpecs"]
    assert [int(pool["replicaCount"]) for pool in (chief, others)] == [1, 2]
    assert chief["containerSpec"] == {"imageUri": "shop:1", "command": ["python"], "args": [*COMMAND[1:]]}
    out = capfd.readouterr().out
    assert [line for line in out.splitlines() if "epoch" in line or "step 1" in line] == [
        "progress: epoch 1",
        "[workerpool1-0] step 1",
        "[workerpool1-1] step 1",
    ]
    assert "now: CustomJob shop-1a2b in projects/p/locations/europe-west4" in out
    assert vertex.cancelled == []


def test_its_workers_find_their_place():
    hosts = {"chief": ["cmle-training-workerpool0-0:2222"], "worker": ["cmle-training-workerpool1-0:2222"]}
    task = {"type": "worker", "index": 0, "trial": ""}
    found = Cluster.read(
        {"TF_CONFIG": json.dumps({"cluster": hosts, "task": task, "environment": "cloud", "job": "{}"})}
    )
    assert found.index == 1


def test_a_failure_names_job_reason_and_the_workers_last_lines(vertex, job):
    vertex.states.append("JOB_STATE_FAILED")
    vertex.error = {"code": 3, "message": "The replica workerpool1-0 exited with a non-zero status of 1."}
    vertex.say("workerpool0-0", "epoch 1")
    vertex.say("workerpool1-0", "loss is nan")
    with pytest.raises(ClusterJobError) as error:
        run_job(job, 20, 0.01)
    assert str(error.value) == (
        f"CustomJob shop-1a2b in projects/p/locations/europe-west4 ({RESOURCE}) failed: JOB_STATE_FAILED: The replica"
        " workerpool1-0 exited with a non-zero status of 1. Its last lines:\nloss is nan"
    )


def test_a_job_that_does_not_start_is_cancelled(vertex, job):
    vertex.states.append("JOB_STATE_PENDING")
    with pytest.raises(ClusterJobError, match=r"has not started within 0.001 minutes: JOB_STATE_PENDING"):
        run_job(job, 0.06, 0.01)
    assert vertex.cancelled == [RESOURCE]


@pytest.mark.parametrize(("state", "submitted"), [("JOB_STATE_RUNNING", "found"), ("JOB_STATE_FAILED", "submitted")])
def test_a_second_try_attaches_to_an_unfinished_job(vertex, job, state, submitted):
    vertex.jobs[RESOURCE] = {"name": RESOURCE, "displayName": NAME, "state": state}
    assert job.submit().startswith(submitted)


def test_what_vertex_refuses_is_an_error(vertex, job):
    vertex.faults.append(403)
    with pytest.raises(ClusterJobError, match=r"europe-west4 was refused: 403 .*injected"):
        run_job(job, 20, 0.01)
