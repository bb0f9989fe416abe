"""A cluster that exists already: three variables of the environment, and neither Terraform nor k3s."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import ssl
import stat
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.solid_cloud.conftest import Site

TOKEN = "eyJhbGciOi.of-a-service-account"
CLUSTER = "playbooks/cluster.yml"
UNINSTALL = """\
- hosts: cloud_controller
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: titanium.platform.kubeconfig, tasks_from: uninstall}
"""


class Api(BaseHTTPRequestHandler):
    """As much of an API server as tells who is let in."""

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        kind = (
            {"kind": "APIVersions", "versions": ["v1"]}
            if known
            else {"kind": "Status", "code": 401, "reason": "Unauthorized"}
        )
        body = json.dumps({"apiVersion": "v1", **kind}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def authority(folder: Path) -> tuple[str, Path]:
    """Make an authority, and a certificate of it for 127.0.0.1 with its key in a file. Returns the authority's PEM and that file."""
    now = datetime.datetime.now(datetime.UTC)

    def certificate(
        subject: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey, ca: bool
    ) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
            )
        )
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    served = folder / "served.pem"
    served.write_bytes(
        certificate("127.0.0.1", own, "authority", root, ca=False)
        + own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate("authority", root, "authority", root, ca=True).decode(), served


@dataclass(frozen=True)
class Cluster:
    """Where it answers, and who signed its certificate."""

    url: str
    ca: str


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    ca, served = authority(tmp_path_factory.mktemp("pki"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served)
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Cluster(f"https://127.0.0.1:{server.server_address[1]}", ca)
        server.shutdown()
        thread.join(10)


def kubeconfig_of(site: Site) -> Path:
    """Where the inventory has its kubeconfig."""
    return Path(site.environment["XDG_STATE_HOME"]) / "titanium/solid-cloud/kubeconfig"


def given(site: Site, cluster: Cluster, **other: str) -> None:
    """What an .env.k8s file puts into the environment."""
    site.environment |= {"K8S_API_SERVER": cluster.url, "K8S_TOKEN": TOKEN, "K8S_CA_CERT": cluster.ca, **other}


def test_life_of_a_kubeconfig(bare_site: Site, cluster: Cluster, tmp_path: Path) -> None:
    given(bare_site, cluster)
    assert bare_site.must(CLUSTER, "--check").recap("changed") > 0
    assert not kubeconfig_of(bare_site).exists()
    first = bare_site.must(CLUSTER, "--diff")
    assert TOKEN not in first.output

    path = kubeconfig_of(bare_site)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = yaml.safe_load(path.read_text())
    assert written["clusters"][0]["cluster"]["server"] == cluster.url
    assert base64.b64decode(written["clusters"][0]["cluster"]["certificate-authority-data"]).decode() == cluster.ca
    bare_site.must_run("kubectl", "--kubeconfig", str(path), "get", "--raw", "/api")

    # A second run changes nothing, also with the certificate in other forms that such files have.
    for form in (base64.b64encode(cluster.ca.encode()).decode(), cluster.ca.replace("\n", "\\n")):
        given(bare_site, cluster, K8S_CA_CERT=form)
        assert bare_site.must(CLUSTER).recap("changed") == 0

    # What somebody edits by hand is shown, and mended.
    right = path.read_text()
    path.write_text(right.replace(cluster.url, "https://elsewhere.example:6443"))
    shown = bare_site.must(CLUSTER, "--check", "--diff")
    assert shown.recap("changed") == 1
    assert TOKEN not in shown.output
    assert bare_site.must(CLUSTER).recap("changed") == 1
    assert path.read_text() == right

    uninstall = tmp_path / "uninstall.yml"
    uninstall.write_text(UNINSTALL)
    assert bare_site.must(str(uninstall)).recap("changed") == 1
    assert not path.exists()


def test_neither_terraform_nor_k3s(bare_site: Site, cluster: Cluster, tmp_path: Path) -> None:
    """Not even the programs: whoever calls terraform here fails."""
    given(bare_site, cluster)
    (tmp_path / "terraform/.terraform").mkdir(parents=True)
    program = tmp_path / "bin/terraform"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/called\nexit 1\n")
    program.chmod(0o755)
    bare_site.environment |= {
        "TITANIUM_TERRAFORM_DIR": str(tmp_path / "terraform"),
        "PATH": f"{program.parent}:{bare_site.environment['PATH']}",
    }
    listed = bare_site.listed()
    assert set(listed["_meta"]["hostvars"]) == {"localhost"}
    bare_site.must("playbooks/cloud.yml")
    bare_site.must(CLUSTER)
    assert not (tmp_path / "called").exists()

    refused = bare_site.play("playbooks/destroy.yml", "-e", "destroy_confirm=yes")
    assert refused.status != 0
    assert "this inventory's cluster is not one that Terraform made" in refused.flat


def test_blog_needs_a_registry(bare_site: Site, cluster: Cluster) -> None:
    given(bare_site, cluster)
    refused = bare_site.play("playbooks/blog.yml")
    assert refused.status != 0
    assert "the blog's images have no registry: set TITANIUM_APP_REGISTRY" in refused.flat

    bare_site.environment |= {"TITANIUM_APP_REGISTRY": "registry.example.org/titanium", "TITANIUM_APP_VERSION": "1.0"}
    images = bare_site.resolved("localhost", "blog_images")["blog_images"]
    assert images["blog-service"] == "registry.example.org/titanium/blog-service:1.0"
    assert len(images) == 5


def test_blog_is_looked_for_at_the_edges_node_port(bare_site: Site, cluster: Cluster) -> None:
    given(bare_site, cluster)
    assert bare_site.resolved("localhost", "blog_url") == {"blog_url": "http://127.0.0.1:31304"}


@pytest.mark.parametrize("missing", ["K8S_API_SERVER", "K8S_TOKEN", "K8S_CA_CERT"])
def test_incomplete_set_is_refused(bare_site: Site, cluster: Cluster, missing: str) -> None:
    given(bare_site, cluster, **{missing: ""})
    done = bare_site.play(CLUSTER)
    assert done.status != 0
    assert f"needs K8S_API_SERVER, K8S_TOKEN and K8S_CA_CERT together; not set: {missing} (kubeconfig_" in done.flat


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (
            {"K8S_API_SERVER": "127.0.0.1:6443"},
            "K8S_API_SERVER (kubeconfig_server) is '127.0.0.1:6443'. Mend: it looks like https://",
        ),
        ({"K8S_API_SERVER": "https://127.0.0.1:1"}, "The cluster at https://127.0.0.1:1 does not let us in: "),
        ({"K8S_TOKEN": "expired"}, "does not let us in: error: You must be logged in to the server"),
        ({"K8S_CA_CERT": "not one"}, "K8S_CA_CERT (kubeconfig_ca_cert) is no certificate"),
    ],
)
def test_what_does_not_work_replaces_nothing(
    bare_site: Site, cluster: Cluster, wrong: dict[str, str], line: str
) -> None:
    path = kubeconfig_of(bare_site)
    path.parent.mkdir(parents=True)
    path.write_text("what worked\n")
    given(bare_site, cluster, **wrong)
    done = bare_site.play(CLUSTER)
    assert done.status != 0
    assert line in done.flat
    assert path.read_text() == "what worked\n"


def test_another_authority_is_told(bare_site: Site, cluster: Cluster, tmp_path: Path) -> None:
    given(bare_site, cluster, K8S_CA_CERT=authority(tmp_path)[0])
    done = bare_site.play(CLUSTER)
    assert done.status != 0
    assert "certificate signed by unknown authority" in done.flat
