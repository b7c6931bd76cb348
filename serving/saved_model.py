"""Reading a SavedModel into a session: TensorFlow's C++ loader, step by step, as its errors are the contract.

Python's loader checks other things first, in words of its own, and builds collections that no request needs.
"""

from collections.abc import Sequence
from typing import Any, Final

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, saved_model_pb2

from serving.errors import ServingError, failed_precondition, from_tensorflow, invalid_argument, not_found
from serving.parse_end import reads_past_the_end

_BINARY: Final = "saved_model.pb"
_TEXT: Final = "saved_model.pbtxt"
_VARIABLES: Final = ("variables", "variables")
_INIT_OP: Final = "__saved_model_init_op"
_OLDER_INIT_OPS: Final = ("saved_model_main_op", "legacy_init_op")
"""Collections that name it where no signature does: the first that there is."""
_ASSETS: Final = "saved_model_assets"

Feeds = dict[str, str]
"""Paths by the graph's names of the tensors that take them."""


def read(path: str, tags: Sequence[str]) -> meta_graph_pb2.MetaGraphDef:
    """The meta graph with exactly these tags. Raises `ServingError` when there is none or no SavedModel in `path`."""
    for graph in _saved_model(path).meta_graphs:
        if set(graph.meta_info_def.tags) == set(tags):
            found: meta_graph_pb2.MetaGraphDef = graph
            return found
    raise not_found(
        f"Could not find meta graph def matching supplied tags: {{ {' '.join(tags)} }}. To inspect available "
        "tag-sets in the SavedModel, please use the SavedModel CLI: `saved_model_cli`"
    )


def restore(session: Any, meta_graph: meta_graph_pb2.MetaGraphDef, path: str) -> None:
    """Puts the graph into the session of an empty one, its variables' values too. Raises `ServingError`."""
    assets = _assets(meta_graph, path)
    init_op = _init_op(meta_graph, path)
    try:
        with session.graph.as_default():
            _import(meta_graph)
        if meta_graph.HasField("saver_def"):
            _restore_variables(session, meta_graph.saver_def, path, assets)
        if init_op:
            _run(session, init_op, assets)
    except tf.errors.OpError as error:
        raise from_tensorflow(error) from error


def _saved_model(path: str) -> saved_model_pb2.SavedModel:
    for name, parse in ((_BINARY, _parse_binary), (_TEXT, _parse_text)):
        file = tf.io.gfile.join(path, name)
        if tf.io.gfile.exists(file):
            try:
                return parse(tf.io.gfile.GFile(file, "rb").read(), file)
            except tf.errors.OpError as error:
                raise from_tensorflow(error) from error
    raise not_found(
        "Specified file path does not appear to contain a SavedModel bundle "
        f"(should have a file called `saved_model.pb`)\nSpecified file path: {path}"
    )


def _parse_binary(data: bytes, file: str) -> saved_model_pb2.SavedModel:
    try:
        return saved_model_pb2.SavedModel.FromString(data)
    except DecodeError as error:
        if reads_past_the_end(data):
            raise ServingError(grpc.StatusCode.OUT_OF_RANGE, "Read less bytes than requested") from error
        raise ServingError(grpc.StatusCode.DATA_LOSS, f"Can't parse {file} as binary proto") from error


def _parse_text(data: bytes, file: str) -> saved_model_pb2.SavedModel:
    try:
        return text_format.Parse(data, saved_model_pb2.SavedModel())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ServingError(grpc.StatusCode.DATA_LOSS, f"Can't parse {file} as text proto") from error


def _import(meta_graph: meta_graph_pb2.MetaGraphDef) -> None:
    try:
        known = meta_graph.meta_info_def.stripped_op_list
        tf.graph_util.import_graph_def(meta_graph.graph_def, name="", producer_op_list=known)
    except ValueError as error:
        raise invalid_argument(str(error)) from error


def _restore_variables(session: Any, saver: Any, path: str, assets: Feeds) -> None:
    prefix = tf.io.gfile.join(path, *_VARIABLES)
    if not tf.io.gfile.exists(f"{prefix}.index"):
        raise ServingError(grpc.StatusCode.DATA_LOSS, f"{prefix}.index is missing")
    _run(session, saver.restore_op_name, {saver.filename_tensor_name: prefix} | assets)


def _run(session: Any, operation: str, feeds: Feeds) -> None:
    options = config_pb2.CallableOptions(feed=list(feeds), target=[operation])
    session._make_callable_from_options(options)(*[np.array(value.encode(), object) for value in feeds.values()])


def _assets(meta_graph: meta_graph_pb2.MetaGraphDef, path: str) -> Feeds:
    listed = list(meta_graph.asset_file_def)
    if not listed and _ASSETS in meta_graph.collection_def:
        packed = meta_graph.collection_def[_ASSETS].any_list.value
        listed = [meta_graph_pb2.AssetFileDef.FromString(asset.value) for asset in packed]
    return {asset.tensor_info.name: tf.io.gfile.join(path, "assets", asset.filename) for asset in listed}


def _init_op(meta_graph: meta_graph_pb2.MetaGraphDef, path: str) -> str:
    """The operation that fills tables and the like; empty when there is none."""
    if _INIT_OP in meta_graph.signature_def:
        return str(meta_graph.signature_def[_INIT_OP].outputs[_INIT_OP].name)
    for key in _OLDER_INIT_OPS:
        if key in meta_graph.collection_def:
            names = meta_graph.collection_def[key].node_list.value
            if len(names) != 1:
                raise failed_precondition(f"Expected exactly one main op in : {path}")
            return str(names[0])
    return ""
