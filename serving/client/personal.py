"""Keyed hashes of personal values: what a model knows a user by whose column is `personal` in the configuration.

    key = personal_key()
    client.recommend(Request(user_id=hashed(session.user_id, key), history=["50", "181"]))

Whoever has the key can look for the hash of a value that is known; nobody can read a value from its hash. The form is
fixed: an exported model holds hashes that later clients have to meet.
"""

import hashlib
import hmac
import os
from typing import Final

KEY_VARIABLE: Final = "RECOMMENDER_PERSONAL_KEY"
"""The environment variable with the key."""
MIN_KEY: Final = 16
"""The least number of characters of a key: a shorter one is guessed from a hash of a value that is known."""
_BYTES: Final = 16


class PersonalKeyError(ValueError):
    """There is no key, or it is too short."""


def personal_key() -> bytes:
    """Returns the key in the environment. Raises `PersonalKeyError` where it is missing or too short."""
    key = os.environ.get(KEY_VARIABLE, "")
    if len(key) < MIN_KEY:
        found = f"It has {len(key)}" if key else "It is not set"
        raise PersonalKeyError(
            f"the environment variable {KEY_VARIABLE} should hold the key of personal columns, at least {MIN_KEY} "
            f"characters such as `openssl rand -hex 32` prints. {found}"
        )
    return key.encode()


def hashed(value: str, key: bytes) -> str:
    """Returns the HMAC-SHA256 (RFC 2104) of a value, its first 128 bits as 32 hexadecimal digits.

    Args:
      value: Without regard to blanks at its ends, as ingest reads it. A blank one is a missing value and stays blank.
      key: Of `personal_key`.
    """
    text = value.strip()
    return hmac.digest(key, text.encode(), hashlib.sha256)[:_BYTES].hex() if text else ""
