"""The keys that sign access tokens. Two at a time, so that changing them ends no session."""

from __future__ import annotations

import base64
import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jwt
import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from titanium_common.tokens import ALGORITHM, parse_jwks

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)


class KeyFileError(RuntimeError):
    """A key cannot be read; the message names the file and the mend, never its content."""


@dataclass(frozen=True, slots=True)
class _Key:
    kid: str
    private: Ed25519PrivateKey
    public: dict[str, str]


def _read(path: Path) -> _Key:
    mend = "Mend: openssl genpkey -algorithm ed25519 -out current.pem"
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise KeyFileError(f"JWT_KEY_DIR: cannot read {path}: {error.strerror}. {mend}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileError(f"JWT_KEY_DIR: {path} is not a private key in PEM without a password. {mend}") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileError(f"JWT_KEY_DIR: {path} is not an Ed25519 key. {mend}")
    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    public = {"crv": "Ed25519", "kty": "OKP", "x": base64.urlsafe_b64encode(raw).rstrip(b"=").decode()}
    # RFC 7638: the key names itself, so every replica calls it the same.
    thumbprint = hashlib.sha256(orjson.dumps(public, option=orjson.OPT_SORT_KEYS)).digest()
    kid = base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode()
    return _Key(kid, private, {**public, "kid": kid, "use": "sig", "alg": ALGORITHM})


class SigningKeys:
    """Signs with `current.pem`; `previous.pem` still verifies. Files are read again when they change."""

    def __init__(self, folder: Path) -> None:
        """Read the keys.

        Raises:
            KeyFileError: there is no usable `current.pem`, or `previous.pem` is not usable.
        """
        self._folder = folder
        self._state: tuple[object, ...] = ()
        self._load()

    def _load(self) -> None:
        state = self._stamp()
        previous = self._folder / "previous.pem"
        self._current = _read(self._folder / "current.pem")
        keys = [self._current, *([_read(previous)] if previous.exists() else [])]
        self.jwks = orjson.dumps({"keys": [key.public for key in {key.kid: key for key in keys}.values()]})
        self.public = parse_jwks(orjson.loads(self.jwks))
        self._state = state

    def _stamp(self) -> tuple[object, ...]:
        def stamp(path: Path) -> object:
            try:
                status = path.stat()
            except OSError:
                return None
            return status.st_mtime_ns, status.st_ino, status.st_size

        return stamp(self._folder / "current.pem"), stamp(self._folder / "previous.pem")

    def refresh(self) -> bool:
        """Read the files again if they have changed; whether they had. A file that is wrong changes nothing."""
        if self._stamp() == self._state:
            return False
        try:
            self._load()
        except KeyFileError as error:
            log.error("going on with the keys from before: %s", error)
            return False
        log.info("now signing with key %s", self._current.kid)
        return True

    def sign(self, claims: dict[str, object]) -> str:
        """Return `claims` as a signed token."""
        return jwt.encode(claims, self._current.private, algorithm=ALGORITHM, headers={"kid": self._current.kid})
