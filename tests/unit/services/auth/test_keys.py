"""Signing keys."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from auth_service.keys import KeyFileError, SigningKeys
from tests.harness.services import write_signing_key

if TYPE_CHECKING:
    from pathlib import Path


def kids(keys: SigningKeys) -> list[str]:
    """The published keys' names."""
    return [key["kid"] for key in json.loads(keys.jwks)["keys"]]


def test_the_name_is_the_thumbprint(tmp_path: Path) -> None:
    write_signing_key(tmp_path)
    (key,) = json.loads(SigningKeys(tmp_path).jwks)["keys"]
    canonical = json.dumps({"crv": key["crv"], "kty": key["kty"], "x": key["x"]}, separators=(",", ":"))
    expected = base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()
    assert key["kid"] == expected


def test_the_current_one_signs_and_both_verify(tmp_path: Path) -> None:
    write_signing_key(tmp_path)
    old = SigningKeys(tmp_path)
    token = old.sign({"a": 1})
    os.rename(tmp_path / "current.pem", tmp_path / "previous.pem")  # noqa: PTH104
    write_signing_key(tmp_path)
    keys = SigningKeys(tmp_path)
    assert kids(keys)[1:] == kids(old)
    assert jwt.get_unverified_header(keys.sign({}))["kid"] == kids(keys)[0]
    assert jwt.decode(token, keys.public[kids(old)[0]], algorithms=["EdDSA"]) == {"a": 1}


def test_the_same_key_twice_is_one(tmp_path: Path) -> None:
    path = write_signing_key(tmp_path)
    (tmp_path / "previous.pem").write_bytes(path.read_bytes())
    assert len(kids(SigningKeys(tmp_path))) == 1


def test_a_changed_file_is_read_again_and_a_wrong_one_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_signing_key(tmp_path)
    keys = SigningKeys(tmp_path)
    before = kids(keys)
    assert not keys.refresh()
    path.write_text("half a key")
    assert not keys.refresh()
    assert kids(keys) == before
    assert "going on with the keys from before" in caplog.text
    path.unlink()
    write_signing_key(tmp_path)
    assert keys.refresh()
    assert kids(keys) != before


def _rsa() -> bytes:
    key = generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _locked() -> bytes:
    key = generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot read"),
        (b"", "not a private key"),
        (b"secret words", "not a private key"),
        (_rsa(), "not an Ed25519 key"),
        (_locked(), "not a private key"),
    ],
)
def test_unusable_files_are_named_without_their_content(tmp_path: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / "current.pem").write_bytes(content)
    with pytest.raises(KeyFileError, match=reason) as caught:
        SigningKeys(tmp_path)
    assert "current.pem" in str(caught.value)
    assert "secret words" not in str(caught.value)
