"""Starts containers as processes that are forked from one that has imported TFX, which saves 10 CPU seconds for each.

Each line of standard input is a container (`command`, `env`, `cwd` and `log`, as JSON); each line of standard output is
its exit code.
"""

import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

PRELOADED = ("trainer.run", "pipeline.runners.kubeflow.components", "pipeline.infra.validation")


class Processes:
    """Runs commands of the form `python -m module arguments`.

    Args:
      env: What is in the environment when TFX is imported.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **env},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._server.communicate()

    def run(self, command: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> int:
        """Runs one command to its end and returns its exit code."""
        stdin, stdout = self._server.stdin, self._server.stdout
        assert stdin is not None
        assert stdout is not None
        print(json.dumps({"command": command, "env": env, "cwd": str(cwd), "log": str(log)}), file=stdin, flush=True)
        return int(stdout.readline())


def _execute(container: Mapping[str, Any]) -> None:
    """Runs the container in this process."""
    with open(container["log"], "ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.chdir(container["cwd"])
    os.environ.update(container["env"])
    _python, option, module, *arguments = container["command"]
    assert option == "-m"
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _exit_code(container: Mapping[str, Any]) -> int:
    try:
        _execute(container)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # TFX prints when it is imported
    for module in ("tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor", *PRELOADED):
        importlib.import_module(module)
    gc.freeze()  # or children would copy the memory of all objects
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os._exit(_exit_code(json.loads(line)))  # without tearing down what was imported
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
