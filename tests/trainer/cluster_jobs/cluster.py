"""A Kubernetes API server on loopback with controllers for TrainJob and TFJob, whose pods are processes here.

What it is sent is parsed by Kubeflow's own models. Of a TrainJob it does what Kubeflow Trainer's plain runtime does:
indexed pods, which the runtime's failure policy replaces or not; of a TFJob what the training operator does.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections import deque
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import yaml
from aiohttp import web
from kubeflow.training.api_client import ApiClient
from kubeflow.training.models import KubeflowOrgV1TFJob
from kubeflow_trainer_api.models import TrainerV1alpha1TrainingRuntime, TrainerV1alpha1TrainJob

from config.local_cluster import LocalCluster
from config.pod_cluster import HOSTS, INDEX
from trainer.distributed.processes import loopback_addresses, tf_config

POLL = 0.05
BREAK = "break the connection"
"""A line of a pod after which the connection of its log is closed once."""


def parsed(manifest):
    """The manifest through the published model of its kind; raises `ValueError` for what the model does not know."""
    if manifest["kind"] == "TFJob":
        answer = SimpleNamespace(data=json.dumps(manifest))
        read = ApiClient().sanitize_for_serialization(ApiClient().deserialize(answer, KubeflowOrgV1TFJob))
    else:
        kinds = {"TrainJob": TrainerV1alpha1TrainJob, "TrainingRuntime": TrainerV1alpha1TrainingRuntime}
        read = kinds[manifest["kind"]].from_dict(manifest).to_dict()
    if read != manifest:
        raise ValueError(f"unknown fields: sent {manifest}, understood {read}")
    return read


class Pod:
    """A process and its output, as lines with their times."""

    def __init__(self, name, labels, command, env):
        self.name, self.labels, self.lines = name, labels, []
        self.waiting = None
        self.process = None
        self.ended = None
        self.is_replaced = self.was_cut_off = False
        self._command, self._env = command, env

    def start(self):
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **self._env}
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(f"{datetime.now(UTC).isoformat()}000Z {line}".replace("+00:00", ""))
        self.process.wait()
        self.ended = datetime.now(UTC).isoformat()

    @property
    def code(self):
        if self.ended is None:
            return None
        code = self.process.returncode
        return code if code >= 0 else 128 - code

    def manifest(self):
        if self.process is None:
            phase, state = "Pending", {"waiting": self.waiting or {"reason": "ContainerCreating"}}
        elif self.code is None:
            phase, state = "Running", {"running": {}}
        else:
            reason = {0: "Completed", 137: "OOMKilled"}.get(self.code, "Error")
            phase = "Failed" if self.code else "Succeeded"
            state = {"terminated": {"exitCode": self.code, "reason": reason, "finishedAt": self.ended}}
        status = {"name": "node", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        return {
            "metadata": {"name": self.name, "labels": self.labels},
            "spec": {"containers": [{"name": "node"}]},
            "status": {"phase": phase, "containerStatuses": [status]},
        }


class LoopbackCluster:
    """The state of the cluster.

    Attributes:
        jobs: By plural name and name, the jobs.
        pods: The pods, also those that have ended.
        all_pods: The names of all pods that there were.
        faults: Status codes that the next requests get instead of an answer; 0 closes the connection.
        held: What keeps new pods from starting, a container's `waiting` state; None: nothing.
        deleted: The names of deleted jobs.
    """

    def __init__(self, runtime=None):
        self.jobs, self.pods, self.all_pods, self.faults, self.deleted = {}, [], [], deque(), []
        self.held, self.runtime = None, runtime
        self._addresses = {}
        self.url = ""

    def clear(self):
        """Forgets all jobs, and what tests have set."""
        for pod in self.pods:
            _kill(pod)
        for found in (self.jobs, self.pods, self.all_pods, self.faults, self.deleted):
            found.clear()
        self.held = None

    async def handle(self, request):
        if self.faults:
            code = self.faults.popleft()
            if not code:
                request.transport.abort()
            return web.json_response({"message": "injected"}, status=code or 500)
        parts = request.path.strip("/").split("/")
        if parts[-1] == "log":
            return await self._log(request, parts[-2])
        if parts[-1] == "pods":
            key, _, value = request.query["labelSelector"].partition("=")
            found = [pod.manifest() for pod in self.pods if pod.labels.get(key) == value]
            return web.json_response({"items": found})
        plural, name = parts[5], parts[6] if len(parts) > 6 else None
        if plural == "trainingruntimes":
            known = self.runtime is not None and self.runtime["metadata"]["name"] == name
            return web.json_response(self.runtime) if known else _status(404, f"no runtime {name}")
        if request.method == "POST":
            return self._create(plural, await request.json())
        if name is None:
            return web.json_response({"items": []})
        if (plural, name) not in self.jobs:
            return _status(404, f"no job {name}")
        if request.method == "DELETE":
            self._delete(plural, name)
            return web.json_response({})
        return web.json_response(self.jobs[plural, name])

    def _create(self, plural, manifest):
        name = manifest["metadata"]["name"]
        if (plural, name) in self.jobs:
            return _status(409, f"{name} already exists")
        try:
            parsed(manifest)
        except ValueError as error:
            return _status(422, str(error))
        self.jobs[plural, name] = manifest
        for index in range(_workers(manifest)):
            self._start(manifest, index)
        return web.json_response(manifest, status=201)

    def _start(self, manifest, index):
        name, count = manifest["metadata"]["name"], _workers(manifest)
        number = sum(pod.name.startswith(f"{name}-node-0-{index}-") for pod in self.pods)
        addresses = self._addresses.setdefault((name, number), loopback_addresses(LocalCluster({"worker": count})))
        if manifest["kind"] == "TrainJob":
            trainer = manifest["spec"]["trainer"]
            labels = {"jobset.sigs.k8s.io/jobset-name": name, "batch.kubernetes.io/job-completion-index": str(index)}
            (hosts,) = (entry["value"] for entry in trainer["env"] if entry["name"] == HOSTS)
            expected = [f"{name}-node-0-{own}.{name}:2222" for own in range(count)]  # as JobSet names pods
            assert hosts.split(",") == expected
            env = {INDEX: str(index), HOSTS: ",".join(addresses["worker"])}
        else:
            (trainer,) = manifest["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"]
            labels = {"training.kubeflow.org/job-name": name, "training.kubeflow.org/replica-index": str(index)}
            env = {"TF_CONFIG": tf_config(addresses, ("worker", index))}
        command = [sys.executable if part == "python" else part for part in trainer["command"] + trainer["args"]]
        pod = Pod(f"{name}-node-0-{index}-{number}", labels, command, env)
        self.pods.append(pod)
        self.all_pods.append(pod.name)
        if self.held is None:
            pod.start()
        else:
            pod.waiting = self.held

    async def control(self):
        """What the controllers do, again and again."""
        while True:
            for manifest in list(self.jobs.values()):
                self._reconcile(manifest)
            await asyncio.sleep(POLL)

    def _reconcile(self, manifest):
        if "status" in manifest:
            return
        name, count = manifest["metadata"]["name"], _workers(manifest)
        own = [pod for pod in self.pods if pod.name.startswith(f"{name}-node-")]
        for pod in own:
            if pod.code and not pod.is_replaced:
                pod.is_replaced = True
                if self._ends_the_job(manifest, pod.code):
                    for other in own:
                        _kill(other)
                    return _conclude(manifest, "Failed", "PodFailurePolicy", f"Container of pod {pod.name} failed")
                self._start(manifest, int(pod.name.split("-")[-2]))
        if sum(pod.code == 0 for pod in own) == count:
            _conclude(manifest, "Complete" if manifest["kind"] == "TrainJob" else "Succeeded", "Done", "")

    def _ends_the_job(self, manifest, code):
        if manifest["kind"] == "TFJob":
            return code < 128
        spec = self.runtime["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]
        (rule,) = (rule for rule in spec["podFailurePolicy"]["rules"] if rule["action"] == "FailJob")
        return code in rule["onExitCodes"]["values"]

    def _delete(self, plural, name):
        del self.jobs[plural, name]
        self.deleted.append(name)
        for pod in self.pods:
            if pod.name.startswith(f"{name}-node-"):
                _kill(pod)
        self.pods = [pod for pod in self.pods if not pod.name.startswith(f"{name}-node-")]

    async def _log(self, request, name):
        assert request.query in (
            {"follow": "True", "timestamps": "True", "container": container} for container in ("node", "tensorflow")
        )
        pod = next((pod for pod in self.pods if pod.name == name), None)
        if pod is None:
            return _status(404, f"no pod {name}")
        response = web.StreamResponse()
        await response.prepare(request)
        sent = 0
        while True:
            has_ended = pod.ended is not None
            for line in pod.lines[sent:]:
                await response.write(line.encode())
                sent += 1
                if BREAK in line and not pod.was_cut_off:
                    pod.was_cut_off = True
                    request.transport.abort()
                    return response
            if has_ended:
                return response
            await asyncio.sleep(POLL)


def _workers(manifest):
    spec = manifest["spec"]
    return spec["trainer"]["numNodes"] if "trainer" in spec else spec["tfReplicaSpecs"]["Worker"]["replicas"]


def _kill(pod):
    if pod.process is not None:
        pod.process.kill()
        pod.process.wait()


def _conclude(manifest, kind, reason, message):
    manifest["status"] = {"conditions": [{"type": kind, "status": "True", "reason": reason, "message": message}]}


def _status(code, message):
    return web.json_response({"kind": "Status", "code": code, "message": message}, status=code)


@contextmanager
def loopback_cluster(folder, runtime=None):
    """A cluster whose kubeconfig is `folder/kubeconfig`, with the namespace `ml`."""
    cluster, loop = LoopbackCluster(runtime), asyncio.new_event_loop()
    runner = web.AppRunner(_app(cluster), access_log=None, shutdown_timeout=0.1)

    async def begin():
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        cluster.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return asyncio.create_task(cluster.control())

    async def end(control):
        control.cancel()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    control = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    context = {"cluster": "loopback", "user": "nobody", "namespace": "ml"}
    kubeconfig = {
        "current-context": "loopback",
        "contexts": [{"name": "loopback", "context": context}],
        "clusters": [{"name": "loopback", "cluster": {"server": cluster.url}}],
        "users": [{"name": "nobody", "user": {}}],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    try:
        yield cluster
    finally:
        for pod in cluster.pods:
            _kill(pod)
        asyncio.run_coroutine_threadsafe(end(control), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _app(cluster):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", cluster.handle)
    return app
