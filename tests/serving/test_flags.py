import pytest

from serving.flags import FLAGS, WITHOUT_EFFECT, UsageError, channel_arguments, parse_flags, usage


def test_defaults_are_tensorflow_servings() -> None:
    flags = parse_flags([])
    assert (flags.port, flags.rest_api_port, flags.rest_api_timeout_in_ms) == (8500, 0, 30_000)
    assert (flags.model_name, flags.saved_model_tags) == ("default", "serve")
    assert (flags.max_num_load_retries, flags.load_retry_interval_micros) == (5, 60_000_000)
    assert flags.enable_model_warmup
    assert not flags.enable_batching


@pytest.mark.parametrize(
    ("argument", "value"), [("", True), ("=true", True), ("=false", False)], ids=["alone", "true", "false"]
)
def test_booleans(argument: str, value: bool) -> None:
    assert parse_flags([f"--enable_batching{argument}"]).enable_batching is value


def test_values_of_every_type_the_last_one_counts() -> None:
    arguments = ["--port=1", "--port=-2", "--model_name=a=b", "--file_system_poll_wait_seconds=0.5"]
    flags = parse_flags(arguments)
    assert (flags.port, flags.model_name, flags.file_system_poll_wait_seconds) == (-2, "a=b", 0.5)


@pytest.mark.parametrize(
    "argument",
    ["--port=x", "--port=", "--enable_batching=1", "--enable_batching=", "--drain_seconds=soon", "--help"],
)
def test_what_cannot_be_read_shows_the_usage(argument: str) -> None:
    with pytest.raises(UsageError, match="Flags:"):
        parse_flags([argument])


def test_what_is_no_flag_is_named_and_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse_flags(["--nothing=1", "--port", "8501", "-port=3"]).port == 8500
    assert capsys.readouterr().err.splitlines() == [
        "unknown argument: --nothing=1",
        "unknown argument: --port",
        "unknown argument: 8501",
        "unknown argument: -port=3",
    ]


def test_the_usage_lists_every_flag_once_those_without_effect_apart() -> None:
    effective, idle = usage().split("no effect")
    for flags, text in ((FLAGS, effective), (WITHOUT_EFFECT, idle)):
        for flag in flags:
            assert text.count(f"    --{flag.name}=") == 1


def test_channel_arguments() -> None:
    assert channel_arguments("") == []
    assert channel_arguments("grpc.max_connection_age_ms=2000,grpc.lb_policy_name=grpclb") == [
        ("grpc.max_connection_age_ms", 2000),
        ("grpc.lb_policy_name", "grpclb"),
    ]
