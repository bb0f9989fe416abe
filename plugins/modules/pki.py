#!/usr/bin/python
"""Keep a small public key infrastructure in a folder: certificate authorities, certificates and key pairs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pki
author: Titanium maintainers
short_description: Certificate authorities, certificates and key pairs in a folder
description:
  - Makes what is missing, and makes anew what is about to expire or no longer says what it should, in one task instead
    of three tasks a certificate.
  - An authority is never made anew while its certificates would outlive it unnoticed; when it is, all it signed is too.
options:
  path:
    description: The folder; made with mode 0700. Files are C(NAME.crt) and C(NAME.key), and C(NAME.pub) for key pairs.
    type: path
    required: true
  authorities:
    description: Names of certificate authorities.
    type: list
    elements: str
    default: []
  certificates:
    description: The certificates.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the files.
        type: str
        required: true
      authority:
        description: Which of the authorities signs it.
        type: str
        required: true
      common_name:
        description: The subject's common name; to Kubernetes, the user.
        type: str
        required: true
      organization:
        description: The subject's organization; to Kubernetes, the group.
        type: str
      names:
        description: DNS names and IP addresses that it is valid for.
        type: list
        elements: str
        default: []
      server:
        description: Whether servers may present it.
        type: bool
        default: false
      client:
        description: Whether clients may present it.
        type: bool
        default: false
  key_pairs:
    description: Names of RSA key pairs that are not certified, such as the one that signs service account tokens.
    type: list
    elements: str
    default: []
  days:
    description: How long certificates are valid, in days; authorities are valid ten times as long.
    type: int
    default: 365
  renew_days:
    description: How long before their end certificates are made anew, in days.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
    description: Says what it would make, and makes nothing.
"""

EXAMPLES = r"""
- name: Certificates of an etcd
  titanium.platform.pki:
    path: /etc/etcd/pki
    authorities: [ca]
    certificates:
      - {name: server, authority: ca, common_name: etcd, names: [localhost, 127.0.0.1], server: true, client: true}
"""

RETURN = r"""
made:
  description: What was made, or would be in check mode, and why.
  type: dict
  returned: always
  sample: {"server": "expires on 2027-01-01"}
"""

import datetime
import ipaddress
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    HAS_CRYPTOGRAPHY = True
except ImportError:
    HAS_CRYPTOGRAPHY = False

MODE_SECRET = 0o600
MODE_PUBLIC = 0o644


class Pki:
    """A folder of keys and certificates, and what is to be made in it.

    Args:
        path: the folder.
        days: validity of certificates, in days.
        renew_days: how long before its end a certificate is made anew, in days.
        dry_run: note what would be made, write nothing.
    """

    def __init__(self, path: str, days: int, renew_days: int, dry_run: bool = False) -> None:
        self.path = path
        self.days = days
        self.renew_days = renew_days
        self.dry_run = dry_run
        self.now = datetime.datetime.now(datetime.UTC)
        self.made: dict[str, str] = {}

    def file(self, name: str) -> str:
        return os.path.join(self.path, name)

    def write(self, name: str, content: bytes, mode: int) -> None:
        """Write a file whole or not at all, never readable by others on the way."""
        temporary = self.file(f".{name}.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, self.file(name))

    def write_key(self, name: str, key: Any) -> None:
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.write(f"{name}.key", pem, MODE_SECRET)

    def load(self, name: str) -> tuple[Any, Any] | None:
        """Return certificate and key, or None where one is missing, broken, or they do not belong together."""
        try:
            with open(self.file(f"{name}.crt"), "rb") as stream:
                certificate = x509.load_pem_x509_certificate(stream.read())
            with open(self.file(f"{name}.key"), "rb") as stream:
                key = serialization.load_pem_private_key(stream.read(), None)
        except (OSError, ValueError):
            return None
        return (certificate, key) if certificate.public_key() == key.public_key() else None

    def expires(self, certificate: Any) -> str | None:
        """Why the certificate is too near its end, if it is."""
        end = certificate.not_valid_after_utc
        if end - self.now < datetime.timedelta(days=self.renew_days):
            return f"expires on {end:%Y-%m-%d}"
        return None

    def builder(self, subject: Any, issuer: Any, public_key: Any, days: int) -> Any:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            # Clocks differ a little between machines.
            .not_valid_before(self.now - datetime.timedelta(minutes=5))
            .not_valid_after(self.now + datetime.timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        )

    def authority(self, name: str) -> None:
        """Make the certificate authority `name` if it is missing or about to expire."""
        found = self.load(name)
        reason = "missing" if found is None else self.expires(found[0])
        if reason is None:
            return
        self.made[name] = reason
        if self.dry_run:
            return
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"titanium {name} {self.now:%Y-%m-%d}")])
        certificate = (
            self.builder(subject, subject, key.public_key(), self.days * 10)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage(key_cert_sign=True, crl_sign=True, digital_signature=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.write_key(name, key)
        self.write(f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM), MODE_PUBLIC)

    def differs(self, wanted: dict[str, Any]) -> str | None:
        """Why the certificate must be made (anew), or None where it is as it should be."""
        found = self.load(wanted["name"])
        if found is None:
            return "missing"
        certificate = found[0]
        if wanted["authority"] in self.made:
            return f"{wanted['authority']} is new"
        signer = self.load(wanted["authority"])
        try:
            certificate.verify_directly_issued_by(signer[0] if signer else certificate)
        except (ValueError, TypeError):
            return f"not signed by {wanted['authority']}"
        except Exception:  # noqa: BLE001 - cryptography raises InvalidSignature, a class without a base of its own
            return f"not signed by {wanted['authority']}"
        if certificate.subject != subject_of(wanted):
            return "another subject"
        if extension(certificate, x509.SubjectAlternativeName) != alternative_names(wanted["names"]):
            return "other names"
        if extension(certificate, x509.ExtendedKeyUsage) != purposes(wanted):
            return "another purpose"
        return self.expires(certificate)

    def certificate(self, wanted: dict[str, Any]) -> None:
        """Make a certificate if it is missing, about to expire, or says something else than it should."""
        reason = self.differs(wanted)
        if reason is None:
            return
        self.made[wanted["name"]] = reason
        if self.dry_run:
            return
        authority = self.load(wanted["authority"])
        if authority is None:
            raise ValueError(f"{wanted['name']}: there is no authority {wanted['authority']}; name it in `authorities`")
        issuer, issuer_key = authority
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            self.builder(subject_of(wanted), issuer.subject, key.public_key(), self.days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage(digital_signature=True), critical=True)
            .add_extension(purposes(wanted), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        names = alternative_names(wanted["names"])
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(issuer_key, hashes.SHA256())
        self.write_key(wanted["name"], key)
        self.write(f"{wanted['name']}.crt", certificate.public_bytes(serialization.Encoding.PEM), MODE_PUBLIC)

    def key_pair(self, name: str) -> None:
        """Make a key pair if it is missing; one that is there is never replaced."""
        if os.path.exists(self.file(f"{name}.key")):
            return
        self.made[name] = "missing"
        if self.dry_run:
            return
        key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
        self.write(
            f"{name}.pub",
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
            MODE_PUBLIC,
        )
        self.write_key(name, key)


def usage(**allowed: bool) -> Any:
    """A key usage extension with what is named allowed and nothing else."""
    everything = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in everything})


def purposes(wanted: dict[str, Any]) -> Any:
    """The extended key usage of a certificate."""
    found = []
    if wanted["server"]:
        found.append(ExtendedKeyUsageOID.SERVER_AUTH)
    if wanted["client"]:
        found.append(ExtendedKeyUsageOID.CLIENT_AUTH)
    return x509.ExtendedKeyUsage(found)


def subject_of(wanted: dict[str, Any]) -> Any:
    """The subject of a certificate."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, wanted["common_name"])]
    if wanted["organization"]:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, wanted["organization"]))
    return x509.Name(attributes)


def alternative_names(names: list[str]) -> Any | None:
    """The subject alternative names: addresses as addresses, the rest as DNS names."""
    if not names:
        return None
    found: list[Any] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return x509.SubjectAlternativeName(found)


def extension(certificate: Any, kind: Any) -> Any | None:
    """The value of a certificate's extension, if it has it."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def main() -> None:
    certificate = {
        "name": {"type": "str", "required": True},
        "authority": {"type": "str", "required": True},
        "common_name": {"type": "str", "required": True},
        "organization": {"type": "str"},
        "names": {"type": "list", "elements": "str", "default": []},
        "server": {"type": "bool", "default": False},
        "client": {"type": "bool", "default": False},
    }
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "authorities": {"type": "list", "elements": "str", "default": []},
            "certificates": {"type": "list", "elements": "dict", "default": [], "options": certificate},
            "key_pairs": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "days": {"type": "int", "default": 365},
            "renew_days": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    if not HAS_CRYPTOGRAPHY:
        module.fail_json(msg=missing_required_lib("cryptography"))
    p = module.params
    if p["renew_days"] >= p["days"]:
        module.fail_json(msg=f"renew_days ({p['renew_days']}) must be less than days ({p['days']})")
    pki = Pki(p["path"], p["days"], p["renew_days"], module.check_mode)
    try:
        if not module.check_mode:
            os.makedirs(p["path"], mode=0o700, exist_ok=True)
        for name in p["authorities"]:
            pki.authority(name)
        for name in p["key_pairs"]:
            pki.key_pair(name)
        for wanted in p["certificates"]:
            pki.certificate(wanted)
    except (OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(pki.made), made=pki.made)


if __name__ == "__main__":
    main()
