"""The certificates' module: makes what is missing or stale, and nothing else."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from plugins.modules import pki

if TYPE_CHECKING:
    from pathlib import Path

SERVER: dict[str, Any] = {
    "name": "server",
    "authority": "ca",
    "common_name": "a.example",
    "organization": None,
    "names": ["a.example", "127.0.0.1"],
    "server": True,
    "client": False,
}


def run(
    path: Path, *certificates: dict[str, Any], days: int = 365, renew: int = 60, dry: bool = False
) -> dict[str, str]:
    """Bring the folder to what is wanted and return what was made."""
    made = pki.Pki(str(path), days, renew, dry)
    made.authority("ca")
    made.key_pair("service-account")
    for certificate in certificates:
        made.certificate(certificate)
    result: dict[str, str] = made.made
    return result


def test_makes_what_is_missing_once(tmp_path: Path) -> None:
    assert run(tmp_path, SERVER) == {"ca": "missing", "service-account": "missing", "server": "missing"}
    assert run(tmp_path, SERVER) == {}


def test_certificate_says_what_was_asked_for(tmp_path: Path) -> None:
    run(tmp_path, SERVER)
    certificate = x509.load_pem_x509_certificate((tmp_path / "server.crt").read_bytes())
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    run(tmp_path, SERVER)
    for name in ("ca.key", "server.key", "service-account.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"names": ["b.example"]}, "other names"),
        ({"common_name": "b.example"}, "another subject"),
        ({"client": True}, "another purpose"),
    ],
)
def test_made_anew_when_it_should_say_something_else(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    run(tmp_path, SERVER)
    assert run(tmp_path, SERVER | change) == {"server": reason}
    assert run(tmp_path, SERVER | change) == {}


def test_made_anew_before_it_expires(tmp_path: Path) -> None:
    run(tmp_path, SERVER, days=30, renew=10)
    assert run(tmp_path, SERVER, days=365, renew=60)["server"].startswith("expires on ")


def test_made_anew_when_the_key_is_another(tmp_path: Path) -> None:
    run(tmp_path, SERVER)
    (tmp_path / "server.key").write_bytes((tmp_path / "ca.key").read_bytes())
    assert run(tmp_path, SERVER) == {"server": "missing"}


def test_a_lost_authority_takes_its_certificates_with_it(tmp_path: Path) -> None:
    run(tmp_path, SERVER)
    (tmp_path / "ca.key").unlink()
    assert run(tmp_path, SERVER) == {"ca": "missing", "server": "ca is new"}


def test_a_key_pair_is_never_replaced(tmp_path: Path) -> None:
    run(tmp_path)
    before = (tmp_path / "service-account.key").read_bytes()
    run(tmp_path, days=30, renew=29)
    assert (tmp_path / "service-account.key").read_bytes() == before


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert set(run(tmp_path, SERVER, dry=True)) == {"ca", "service-account", "server"}
    assert list(tmp_path.iterdir()) == []


def test_an_authority_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no authority other"):
        run(tmp_path, SERVER | {"authority": "other"})
