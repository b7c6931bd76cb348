"""What the component hands to its driver and executor: the configuration in TFX's execution properties."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf import struct_pb2
from tfx.types import standard_component_specs as specs
from tfx.utils import proto_utils
from tfx.v1 import proto

from config import Config, dump_config, parse_config
from config.data import Table
from config.dump import INGEST
from config.fingerprint import code_fingerprint
from pipeline.ingest.tables import PLACEHOLDER

_CODE: Final = ("pipeline/ingest", "config")


def custom_config(config: Config) -> proto.CustomConfig:
    """The keys that ingest reads and a digest of its code: what enters the cache key beside the data."""
    values = struct_pb2.Struct()
    values.update({"config": dump_config(config, *INGEST), "code": code_fingerprint(*_CODE)})
    packed = proto.CustomConfig()
    packed.custom_config.Pack(values)
    return packed


def read_config(exec_properties: Mapping[str, Any]) -> Config:
    """The configuration out of the execution properties."""
    packed, values = proto.CustomConfig(), struct_pb2.Struct()
    proto_utils.json_to_proto(exec_properties[specs.CUSTOM_CONFIG_KEY], packed)
    packed.custom_config.Unpack(values)
    return parse_config(values["config"], "custom_config")


def read_input(exec_properties: Mapping[str, Any]) -> proto.Input:
    """The input splits out of the execution properties: tables by name, spans filled in by the driver."""
    found = proto.Input()
    proto_utils.json_to_proto(exec_properties[specs.INPUT_CONFIG_KEY], found)
    return found


def tables(config: Config) -> Iterator[tuple[str, Table]]:
    """The configured tables by name, `interactions` first."""
    for name in ("interactions", "items", "users"):
        table = getattr(config.data, name)
        if table is not None:
            yield name, table


def is_tfx_split(config: Config, name: str, table: Table) -> bool:
    """Whether a table is an input split of TFX's: the interactions always, the others where no path has a span.

    TFX wants one span for all input splits. Here every table has its own, so that a catalogue of last week goes with
    the interactions of today.
    """
    has_span = PLACEHOLDER.search(config.data.interactions.path) or PLACEHOLDER.search(table.path)
    return name == "interactions" or not has_span
