"""On what Beam runs ingest, statistics, Transform and the evaluation: presets, as Beam's own options."""

from typing import Any, Final, Literal, Self, get_args

from pydantic import Field, model_validator

from config.base import Section

Preset = Literal["local", "multi_processing", "portable", "flink", "spark", "dataflow"]

_ADDRESS: Final = r"^[^\s/:]+:\d+$"
_NEEDED: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "local": (),
    "multi_processing": (),
    "portable": (("endpoint",), ("worker_pool", "image")),
    "flink": (("master", "endpoint"), ("image",)),
    "spark": (("master", "endpoint"), ("image",)),
    "dataflow": (("project",), ("region",), ("temp_location",), ("image",)),
}
"""By preset: of each group exactly one key is given."""
_OPTIONAL: Final[dict[str, tuple[str, ...]]] = {
    "multi_processing": ("workers",),
    "portable": ("workers",),
    "flink": ("workers",),
    "dataflow": ("workers",),
}
_FIXED: Final[dict[str, tuple[str, ...]]] = {
    # Without an image option, TFX packages itself for each component that uses Beam, which takes seconds.
    "local": (
        "--runner=DirectRunner",
        "--direct_running_mode=in_memory",
        "--direct_num_workers=1",
        "--sdk_container_image=none",
    ),
    "multi_processing": (
        "--runner=DirectRunner",
        "--direct_running_mode=multi_processing",
        "--sdk_container_image=none",
    ),
    "portable": ("--runner=PortableRunner",),
    "flink": ("--runner=FlinkRunner", "--environment_type=DOCKER"),
    "spark": ("--runner=SparkRunner", "--environment_type=DOCKER"),
    "dataflow": ("--runner=DataflowRunner",),
}
_OPTIONS: Final[dict[str, dict[str, str]]] = {
    "multi_processing": {"workers": "direct_num_workers"},
    "portable": {"workers": "direct_num_workers", "endpoint": "job_endpoint", "image": "sdk_container_image"},
    "flink": {
        "workers": "parallelism",
        "endpoint": "job_endpoint",
        "master": "flink_master",
        "image": "sdk_container_image",
    },
    "spark": {"endpoint": "job_endpoint", "master": "spark_master_url", "image": "sdk_container_image"},
    "dataflow": {
        "workers": "max_num_workers",
        "project": "project",
        "region": "region",
        "temp_location": "temp_location",
        "image": "sdk_container_image",
    },
}
"""By preset: Beam's option of each key."""
_PLUGIN: Final = "--beam_plugin=pipeline"
"""Workers import this package before anything else: it selects Keras 2 for TensorFlow."""
_REPEATED: Final = (
    "beam_plugin",
    "beam_plugins",
    "dataflow_service_option",
    "dataflow_service_options",
    "environment_option",
    "environment_options",
    "experiment",
    "experiments",
    "extra_package",
    "extra_packages",
    "files_to_stage",
    "label",
    "labels",
    "resource_hint",
    "resource_hints",
)
"""Options that Beam collects; of any other the last one given counts."""


class BeamConfig(Section):
    """On what Beam runs: a preset, which may be written as its name alone, or a list of Beam's own options."""

    runner: Preset | None = "local"
    """`local`: this process. `multi_processing`: processes on this machine. `portable`: a job service at `endpoint`,
    with workers in `worker_pool` or in containers of `image`. `flink`, `spark`: a cluster at `master` (Beam starts a
    job server for it, which needs Java), or its job server at `endpoint`. `dataflow`: Google Cloud. null: `flags` are
    all options; so does a list in place of this section."""
    workers: int | None = Field(default=None, ge=0)
    """`multi_processing`: the number of processes, 0 for one per core, the default. `portable`, `flink`: how many
    workers a step is divided between; `dataflow`: at most. Defaults to the runner's own choice."""
    endpoint: str | None = Field(default=None, pattern=_ADDRESS)
    """`portable`, `flink`, `spark`: host:port of Beam's job service."""
    worker_pool: str | None = Field(default=None, pattern=_ADDRESS)
    """`portable`: host:port of a worker pool (`python -m apache_beam.runners.worker.worker_pool_main`), which has this
    project installed."""
    master: str | None = None
    """`flink`: host:port of the cluster's REST interface; `spark`: its URL."""
    image: str | None = None
    """A container image of Beam's Python SDK with this project installed, for the workers."""
    project: str | None = None
    """`dataflow`: the project."""
    region: str | None = None
    """`dataflow`: the region."""
    temp_location: str | None = Field(default=None, pattern=r"^gs://")
    """`dataflow`: a folder for temporary files, gs://bucket/folder."""
    flags: tuple[str, ...] = ()
    """More options of Beam, such as `--experiments=use_sponsored_capacity`."""

    @model_validator(mode="before")
    @classmethod
    def _from_name_or_flags(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"runner": value}
        return {"runner": None, "flags": value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _has_what_the_preset_needs(self) -> Self:
        given = [key for key in _KEYS if getattr(self, key) is not None]
        if self.runner is None:
            if given:
                raise ValueError(f"`{given[0]}` is a key of presets, and `runner` is null: {_presets(given[0])}")
            if not self.flags:
                raise ValueError(f"should name a preset ({', '.join(get_args(Preset))}) or list Beam's options")
            return self
        for group in _NEEDED[self.runner]:
            found = [key for key in group if key in given]
            if len(found) != 1:
                either = " or ".join(f"`{key}`" for key in group)
                raise ValueError(f"`{self.runner}` needs {either}{', not both' if found else ''}. Received: {found}")
        allowed = {key for group in _NEEDED[self.runner] for key in group} | set(_OPTIONAL.get(self.runner, ()))
        for key in given:
            if key not in allowed:
                raise ValueError(f"`{key}` is no key of `{self.runner}`: {_presets(key)}")
        return self

    @model_validator(mode="after")
    def _flags_do_not_contradict(self) -> Self:
        seen = {_name(flag): flag for flag in self._of_preset() if _name(flag) not in _REPEATED}
        for flag in self.flags:
            name = _name(flag)
            if not flag.startswith("--"):
                raise ValueError(f"`flags` should be options such as --name=value. Received: {flag!r}")
            if name in seen and seen[name] != flag:
                raise ValueError(f"{flag} contradicts {seen[name]}" + (f" of `{self.runner}`" if self.runner else ""))
            if name not in _REPEATED:
                seen[name] = flag
        modes = {name: flag.partition("=")[2] for name, flag in seen.items()}
        if modes.get("direct_running_mode") == "in_memory" and modes.get("direct_num_workers", "1") != "1":
            raise ValueError(f"{seen['direct_num_workers']} contradicts --direct_running_mode=in_memory, which has one")
        return self

    @property
    def arguments(self) -> list[str]:
        """Beam's pipeline options."""
        return [*self._of_preset(), *self.flags]

    def _of_preset(self) -> list[str]:
        if self.runner is None:
            return []
        values = [(option, getattr(self, key)) for key, option in _OPTIONS.get(self.runner, {}).items()]
        flags = [*_FIXED[self.runner], *(f"--{option}={value}" for option, value in values if value is not None)]
        if self.runner == "multi_processing" and self.workers is None:
            flags.append("--direct_num_workers=0")
        if self.runner == "portable" and self.worker_pool is None:
            flags.append("--environment_type=DOCKER")
        elif self.runner == "portable":
            pool = ("--environment_type=EXTERNAL", f"--environment_config={self.worker_pool}")
            flags += [*pool, "--sdk_container_image=none"]
        return flags if self.runner == "local" else [*flags, _PLUGIN]


_KEYS: Final = tuple(key for key in BeamConfig.model_fields if key not in ("runner", "flags"))


def _name(flag: str) -> str:
    return flag.lstrip("-").partition("=")[0].replace("-", "_")


def _presets(key: str) -> str:
    """Returns which presets have a key."""
    names = [p for p in _NEEDED if key in {k for group in _NEEDED[p] for k in group} | set(_OPTIONAL.get(p, ()))]
    return f"it is one of {', '.join(f'`{name}`' for name in names)}"
