import hashlib
import hmac

import pytest

from serving.client import PersonalKeyError, hashed, personal_key
from serving.client.personal import KEY_VARIABLE


def test_a_hash_is_the_first_half_of_an_hmac_sha256():
    # RFC 4231, test case 2.
    assert hashed("what do ya want for nothing?", b"Jefe") == "5bdcc146bf60754e6a042426089575c7"
    assert hashed(" é ", b"k") == hmac.new(b"k", "é".encode(), hashlib.sha256).hexdigest()[:32]
    assert hashed("  ", b"k") == ""


@pytest.mark.parametrize(("key", "found"), [(None, "It is not set"), ("", "It is not set"), ("short", "It has 5")])
def test_a_missing_or_short_key_is_named(monkeypatch, key, found):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    if key is not None:
        monkeypatch.setenv(KEY_VARIABLE, key)
    with pytest.raises(PersonalKeyError, match=f"{KEY_VARIABLE} .* at least 16 .*{found}"):
        personal_key()
