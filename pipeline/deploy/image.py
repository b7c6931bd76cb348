"""The Dockerfile of the project's image: Debian trixie, the packages of the lock file, a user without privileges."""

from typing import Final

from trainer.cluster_jobs.pods import USER

FOLDER: Final = "/app"
CONFIGURATION: Final = f"{FOLDER}/config.yaml"
RUNNER: Final = f"{FOLDER}/tfx_runner.py"
PYTHON: Final = f"{FOLDER}/.venv/bin/python"
PACKAGES: Final = ("config", "pipeline", "serving", "trainer", "transform")
"""The folders with the project's code."""
INSTALLER: Final = ("bootstrap", "requirements.lock", "setup.py")
"""What the environment depends on. It is copied first: a change of code does not install all packages again."""

_DOCKERFILE: Final = """\
# The image of the pipeline and of its training jobs. Rendered by `tfx_runner.py deploy`; build it from the project's
# folder: docker build --file {dockerfile} --tag {image} .
FROM debian:trixie-slim AS environment

# The compiler is for a package without a wheel; it stays in this stage.
RUN apt-get update \\
 && apt-get install --yes --no-install-recommends python3 python3-venv python3-dev g++ ca-certificates
WORKDIR {folder}
COPY {installer} ./
ENV PIP_NO_CACHE_DIR=1
RUN ./bootstrap

FROM debian:trixie-slim

RUN apt-get update \\
 && apt-get install --yes --no-install-recommends python3 ca-certificates \\
 && rm -rf /var/lib/apt/lists/* \\
 && groupadd --gid {user} recommender \\
 && useradd --uid {user} --gid {user} --no-create-home --home-dir /tmp recommender

# Keras 2 has to be chosen before TensorFlow is imported, by whatever program of the image.
ENV TF_USE_LEGACY_KERAS=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ENV PYTHONPATH={folder} PATH={folder}/.venv/bin:$PATH
WORKDIR {folder}

COPY --from=environment {folder}/.venv .venv/
{copies}
COPY tfx_runner.py ./
COPY {configuration} config.yaml

USER {user}:{user}
RUN python tfx_runner.py check --without-data config.yaml
CMD ["python", "tfx_runner.py", "run", "--config", "{folder}/config.yaml"]
"""


def dockerignore(configuration: str) -> str:
    """Returns the file that keeps everything else, such as data and runs, out of the build's context."""
    kept = (*INSTALLER, *PACKAGES, "tfx_runner.py", configuration)
    return "".join(f"{line}\n" for line in ("*", *(f"!{path}" for path in kept), "**/__pycache__"))


def dockerfile(image: str, configuration: str, path: str) -> str:
    """Returns the Dockerfile. Its context is the project's folder.

    Args:
        image: The image's name.
        configuration: The YAML file, relative to the project's folder.
        path: The Dockerfile itself, relative likewise, for its comment.
    """
    return _DOCKERFILE.format(
        dockerfile=path,
        image=image,
        user=USER,
        folder=FOLDER,
        installer=" ".join(INSTALLER),
        copies="\n".join(f"COPY {package} {package}/" for package in PACKAGES),
        configuration=configuration,
    )
