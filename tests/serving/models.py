"""Tiny SavedModels with the signatures of docs/reference/signatures.md, servers on them, and certificates."""

import datetime
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from serving.server.process import wait_for_address

ITEMS = ("a", "b", "c", "d", "e", "f")
SCORES = tf.constant([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])


class TinyRecommender(tf.Module):
    """Recommends a, b, c, ... in this order; history and exclusions are left out. `like` is score / 10 + offset."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.offset = tf.Variable(offset)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def recommend(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        ids = tf.io.VarLenFeature(tf.string)
        spec = {
            "user_id": ids,
            "item_id": ids,
            "exclude_item_id": ids,
            "user_age": tf.io.VarLenFeature(tf.float32),
            "k": tf.io.FixedLenFeature([], tf.int64, 3),
        }
        parsed = tf.io.parse_example(examples, spec)
        history = tf.sparse.to_dense(parsed["item_id"], "")
        excluded = tf.sparse.to_dense(parsed["exclude_item_id"], "")
        return self._rank(tf.concat([history, excluded], 1), tf.cast(parsed["k"], tf.int32))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="user_id"),
            tf.TensorSpec([None, None], tf.string, name="item_id"),
            tf.TensorSpec([None], tf.int32, name="k"),
        ]
    )
    def recommend_tensors(self, user_id: tf.Tensor, item_id: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([tf.debugging.assert_rank(user_id, 1)]):
            return self._rank(item_id, tf.identity(k))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {
            "user_id": tf.io.FixedLenFeature([], tf.string, ""),
            "user_age": tf.io.FixedLenFeature([], tf.float32, 0),
        }
        return tf.io.parse_example(examples, spec)

    def _rank(self, hidden: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        seen = tf.reduce_any(hidden[:, :, None] == tf.constant(ITEMS)[None, None, :], 1)
        width = tf.minimum(tf.reduce_max(k), len(ITEMS))
        score, index = tf.math.top_k(tf.where(seen, -1.0, SCORES[None, :]), width)
        count = tf.minimum(tf.reduce_sum(tf.cast(~seen, tf.int32), 1), k)
        real = tf.sequence_mask(count, width)
        score = tf.where(real, score, 0.0)
        return {
            "item_id": tf.where(real, tf.gather(tf.constant(ITEMS), index), ""),
            "score": score,
            "retrieval_score": score,
            "like": tf.where(real, score / 10 + self.offset, 0.0),
            "count": count,
        }


def save_model(path: Path, offset: float = 0.0) -> Path:
    """Writes a version directory, in one step as a careful pusher does."""
    model = TinyRecommender(offset)
    same = ("serving_default", "recommend", "retrieve", "rank", "embed_query", "embed_candidate")
    signatures = dict.fromkeys(same, model.recommend)
    part = path.parent / f".{path.name}.part"
    signatures |= {"recommend_tensors": model.recommend_tensors, "request_features": model.features}
    tf.saved_model.save(model, str(part), signatures=signatures)
    return part.rename(path)


class RunningServer:
    """A server process whose address is known."""

    def __init__(self, process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
        self.process = process
        self.address = address
        self.port = int(address.rpartition(":")[2])
        self.log = log


@contextmanager
def serve(base_path: Path, *flags: str, name: str = "recommender") -> Iterator[RunningServer]:
    """A server on `base_path`; it is killed at the end if it still runs."""
    log = base_path.parent / f"{base_path.name}.log"
    arguments = [f"--model_name={name}", f"--model_base_path={base_path}", "--port=0"]
    arguments += ["--file_system_poll_wait_seconds=0.1", "--max_num_load_retries=0", *flags]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.server", *arguments],
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
            env=environment,
        )
        try:
            yield RunningServer(process, _address(process, log), log)
        finally:
            process.kill()
            process.wait()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    try:
        return wait_for_address(process, 240)
    except EOFError as error:
        raise AssertionError(f"the server did not start:\n{log.read_text()}") from error


def eventually(condition: Callable[[], object], timeout: float = 60.0) -> None:
    """Waits until `condition()` is true."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.05)


def pems() -> tuple[bytes, bytes]:
    """A key and a self-signed certificate for localhost, in PEM form."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    form = serialization.PrivateFormat.PKCS8
    pem = serialization.Encoding.PEM
    return key.private_bytes(pem, form, serialization.NoEncryption()), certificate.public_bytes(pem)
