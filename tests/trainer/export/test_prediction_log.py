from collections.abc import Iterator

import tensorflow as tf

from serving.server.predict import predict
from serving.server.servable import load, session_config, warmup_requests
from tests.trainer.served import ITEMS
from trainer.export.prediction_log import WARMUP_FILE, read_prediction_log


def _strings(call: object) -> Iterator[bytes]:
    """Every string of a request, those inside tf.Examples too."""
    for name, tensor in call.request.inputs.items():
        for value in tf.make_ndarray(tensor).ravel().tolist():
            if name == "examples":
                example = tf.train.Example.FromString(value)
                for feature in example.features.feature.values():
                    yield from feature.bytes_list.value
            elif isinstance(value, bytes):
                yield value


def test_a_server_answers_every_warm_up_request(saved_model_path: str) -> None:
    servable = load("shop", 1, saved_model_path, session_config(0, 0))
    answers = [predict(servable, request, max_rows=8) for request in warmup_requests(saved_model_path)]
    warmed = {answer.model_spec.signature_name for answer in answers}
    assert warmed == set(servable.signatures) - {"evaluate", "evaluation_labels"}


def test_warm_up_requests_hold_the_catalogue_and_made_up_words_alone(saved_model_path: str) -> None:
    calls = read_prediction_log(f"{saved_model_path}/{WARMUP_FILE}")
    words = {word for call in calls for word in _strings(call)}
    assert words - {item.encode() for item in ITEMS} == {b"warm-up"}


def test_warm_up_requests_have_no_history_a_full_one_and_a_batch(saved_model_path: str) -> None:
    shapes = []
    for call in read_prediction_log(f"{saved_model_path}/{WARMUP_FILE}"):
        if call.request.model_spec.signature_name != "rank":
            continue
        examples = [tf.train.Example.FromString(e) for e in tf.make_ndarray(call.request.inputs["examples"])]
        shapes.append([len(e.features.feature["item_id"].bytes_list.value) for e in examples])
        assert all(e.features.feature["user_gender"].bytes_list.value[:] == [b"warm-up"] for e in examples)
    assert shapes == [[0], [6], [6] * 8]
