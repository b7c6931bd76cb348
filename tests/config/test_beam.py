import pytest

from config import ConfigError, dump_config, parse_config


def _config(section: str):
    return parse_config(
        f"{{name: x, data: {{folder: d, interactions: {{path: a.csv}}}}, pipeline: {{beam: {section}}}}}"
    )


PORTABLE = "runner: portable, endpoint: 'jobs:8099'"
DATAFLOW = "runner: dataflow, project: p, region: r, temp_location: 'gs://b/t', image: I"


@pytest.mark.parametrize(
    ("section", "arguments"),
    [
        (
            "local",
            "--runner=DirectRunner --direct_running_mode=in_memory --direct_num_workers=1 --sdk_container_image=none",
        ),
        (
            "multi_processing",
            "--runner=DirectRunner --direct_running_mode=multi_processing --sdk_container_image=none "
            "--direct_num_workers=0 --beam_plugin=pipeline",
        ),
        (
            f"{{{PORTABLE}, worker_pool: 'pool:50000', workers: 2}}",
            "--runner=PortableRunner --direct_num_workers=2 --job_endpoint=jobs:8099 --environment_type=EXTERNAL "
            "--environment_config=pool:50000 --sdk_container_image=none --beam_plugin=pipeline",
        ),
        (
            f"{{{PORTABLE}, image: I}}",
            "--runner=PortableRunner --job_endpoint=jobs:8099 --sdk_container_image=I --environment_type=DOCKER "
            "--beam_plugin=pipeline",
        ),
        (
            "{runner: flink, master: 'flink:8081', image: I, workers: 8, flags: [--flink_version=1.20]}",
            "--runner=FlinkRunner --environment_type=DOCKER --parallelism=8 --flink_master=flink:8081 "
            "--sdk_container_image=I --beam_plugin=pipeline --flink_version=1.20",
        ),
        (
            "{runner: spark, endpoint: 'jobs:8099', image: I}",
            "--runner=SparkRunner --environment_type=DOCKER --job_endpoint=jobs:8099 --sdk_container_image=I "
            "--beam_plugin=pipeline",
        ),
        (
            f"{{{DATAFLOW}, workers: 9}}",
            "--runner=DataflowRunner --max_num_workers=9 --project=p --region=r --temp_location=gs://b/t "
            "--sdk_container_image=I --beam_plugin=pipeline",
        ),
        (
            "[--runner=FlinkRunner, --experiments=a, --experiments=b]",
            "--runner=FlinkRunner --experiments=a --experiments=b",
        ),
    ],
)
def test_presets_are_beams_options(section, arguments):
    config = _config(section)
    assert config.pipeline.beam.arguments == arguments.split()
    assert parse_config(dump_config(config)).pipeline.beam == config.pipeline.beam


def test_the_default_is_this_process():
    config = parse_config("{name: x, data: {folder: d, interactions: {path: a.csv}}}")
    assert config.pipeline.beam.arguments == _config("local").pipeline.beam.arguments


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("flnk", r"`pipeline.beam.runner`: should be one of local, .*Did you mean `flink`\? Received: 'flnk'"),
        ("portable", r"`pipeline.beam`: `portable` needs `endpoint`"),
        (f"{{{PORTABLE}}}", "`portable` needs `worker_pool` or `image`"),
        (f"{{{PORTABLE}, worker_pool: 'a:1', image: I}}", "needs `worker_pool` or `image`, not both"),
        ("{runner: portable, endpoint: 'http://jobs:8099', image: I}", "`pipeline.beam.endpoint`: should match"),
        ("{runner: flink, master: 'a:1'}", "`flink` needs `image`"),
        (f"{{{DATAFLOW.replace('gs://', '/')}}}", "`pipeline.beam.temp_location`: should match"),
        ("{workers: 2}", "`workers` is no key of `local`: it is one of `multi_processing`, `portable`, `flink`,"),
        ("{runner: null, image: I, flags: [--a]}", "`image` is a key of presets, and `runner` is null"),
        ("[]", r"should name a preset \(local, .*\) or list Beam's options"),
        ("[--runner, DirectRunner]", r"should be options such as --name=value. Received: 'DirectRunner'"),
        ("[--runner=A, --runner=B]", "--runner=B contradicts --runner=A"),
        ("{flags: [--runner=FlinkRunner]}", "--runner=FlinkRunner contradicts --runner=DirectRunner of `local`"),
        (
            "[--direct_running_mode=in_memory, --direct_num_workers=4]",
            "--direct_num_workers=4 contradicts --direct_running_mode=in_memory",
        ),
    ],
)
def test_what_a_runner_lacks_and_what_contradicts_it_is_named(section, message):
    with pytest.raises(ConfigError, match=message):
        _config(section)
