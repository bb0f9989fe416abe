#!/usr/bin/env python3
"""Check a plan against the cloud before anything is made: credentials, names, quota, leftovers of earlier attempts.

Terraform itself finds a wrong name when it is half through, and cannot tell the right ones. Needs nothing but Python
3.11, Terraform (initialised in this folder) and the provider's own environment variables.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

HERE = Path(__file__).resolve().parent
VARIABLES = ("CLOUDSTACK_API_URL", "CLOUDSTACK_API_KEY", "CLOUDSTACK_SECRET_KEY")

#: Attributes that name something the cloud offers.
NAMING = {
    "network_offering": "network offering",
    "service_offering": "service offering",
    "disk_offering": "disk offering",
    "template": "template",
    "kubernetes_version": "Kubernetes version",
}
#: What the cloud offers: list command, key of its answer, fixed parameters.
CATALOGUE: dict[str, tuple[str, str, dict[str, str]]] = {
    "zone": ("listZones", "zone", {}),
    "network offering": ("listNetworkOfferings", "networkoffering", {"state": "Enabled"}),
    "service offering": ("listServiceOfferings", "serviceoffering", {}),
    "disk offering": ("listDiskOfferings", "diskoffering", {}),
    "template": ("listTemplates", "template", {"templatefilter": "executable"}),
    "Kubernetes version": ("listKubernetesSupportedVersions", "kubernetessupportedversion", {}),
}
IN_A_ZONE = ("template", "Kubernetes version")
#: Resources whose names must not exist yet when they are to be made.
UNIQUE = {
    "cloudstack_ssh_keypair": ("SSH key pair", "listSSHKeyPairs", "sshkeypair"),
    "cloudstack_affinity_group": ("affinity group", "listAffinityGroups", "affinitygroup"),
    "cloudstack_instance": ("instance", "listVirtualMachines", "virtualmachine"),
    "cloudstack_disk": ("volume", "listVolumes", "volume"),
    "cloudstack_network": ("network", "listNetworks", "network"),
    "cloudstack_kubernetes_cluster": ("Kubernetes cluster", "listKubernetesClusters", "kubernetescluster"),
}
#: Fields of listAccounts and how people call them.
QUOTAS = {"vm": "instances", "cpu": "CPUs", "memory": "MiB of memory", "volume": "volumes"}
QUOTAS |= {"ip": "public addresses", "network": "networks"}


class Problem(Exception):
    """Something to mend; its text is one line."""


class UnknownName(Problem):
    """Something is named that the cloud does not have."""


class Api:
    """Signed calls to the CloudStack API."""

    def __init__(self, url: str, api_key: str, secret_key: str, timeout: float) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise Problem(
                f"CLOUDSTACK_API_URL '{url}' is not a URL; it looks like https://cloud.example.com/client/api"
            )
        self.url, self.api_key, self.secret_key, self.timeout = url, api_key, secret_key, timeout

    def rows(self, command: str, key: str, **params: str) -> list[dict[str, Any]]:
        """All rows of a list command. Raises Problem."""
        found: list[dict[str, Any]] = []
        while True:
            page = str(len(found) // 500 + 1)
            answer = self._call(command, **params, page=page, pagesize="500")
            rows = answer.get(key, [])
            found += rows
            if len(rows) < 500:
                return found

    def row(self, command: str, key: str, **params: str) -> dict[str, Any]:
        """What a command that reads one thing tells of it. Raises Problem."""
        found: dict[str, Any] = self._call(command, **params).get(key, {})
        return found

    def _call(self, command: str, **params: str) -> dict[str, Any]:
        values = {**params, "command": command, "response": "json", "apiKey": self.api_key}
        unsigned = "&".join(f"{name}={quote(values[name], safe='*')}" for name in sorted(values)).lower()
        digest = hmac.new(self.secret_key.encode(), unsigned.encode(), hashlib.sha1).digest()
        values["signature"] = base64.b64encode(digest).decode()
        # The scheme was checked to be HTTP.
        request = urllib.request.Request(self.url, data=urlencode(values).encode())  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:  # noqa: S310
                return self._body(response.read())
        except urllib.error.HTTPError as error:
            text = self._body(error.read()).get("errortext", error.reason)
            if error.code == 401:
                raise Problem(
                    f"the cloud at {self.url} refuses the credentials ({text}); check CLOUDSTACK_API_KEY and "
                    "CLOUDSTACK_SECRET_KEY, and this machine's clock"
                ) from error
            if error.code == 429:
                raise Problem(f"the cloud limits the rate of calls ({text}); wait a little and try again") from error
            raise Problem(f"{command}: the cloud answers {error.code}: {text}") from error
        except (urllib.error.URLError, TimeoutError, OSError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLError):
                raise Problem(f"the certificate of {self.url} is not trusted: {reason}") from error
            raise Problem(
                f"the cloud at {self.url} cannot be reached ({reason}); check CLOUDSTACK_API_URL and the network"
            ) from error

    def _body(self, raw: bytes) -> dict[str, Any]:
        try:
            [answer] = json.loads(raw).values()
            return dict(answer)
        except (ValueError, TypeError, AttributeError) as error:
            raise Problem(
                f"{self.url} does not answer like a CloudStack API; the address usually ends in /client/api"
            ) from error


class Catalogue:
    """What the cloud offers, asked for once each."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._rows: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def rows(self, kind: str, zone_id: str = "") -> list[dict[str, Any]]:
        """Everything of a kind, in a zone where that matters."""
        scope = zone_id if kind in IN_A_ZONE else ""
        if (kind, scope) not in self._rows:
            command, key, params = CATALOGUE[kind]
            in_zone = {"zoneid": scope} if scope else {}
            self._rows[kind, scope] = self.api.rows(command, key, **params, **in_zone)
        return self._rows[kind, scope]

    def find(self, kind: str, value: str, zone_id: str = "") -> dict[str, Any]:
        """What is called so (or has that ID). Raises UnknownName with the names that exist."""
        rows = self.rows(kind, zone_id)
        for row in rows:
            if value in (row["name"], row["id"]):
                return row
        names = ", ".join(sorted({f"'{row['name']}'" for row in rows})) or "none"
        where = " in this zone" if zone_id and kind in IN_A_ZONE else ""
        raise UnknownName(f"unknown {kind} '{value}'; valid{where}: {names}")


def planned(extra: list[str], plan: Path | None) -> list[dict[str, Any]]:
    """Changes of a saved plan, or of one made now. Exits with Terraform's own message if that fails."""
    with tempfile.TemporaryDirectory() as folder:
        if plan is None:
            plan = Path(folder) / "preflight.tfplan"
            # Without a look at the cloud: this is about what is to be made.
            _terraform("plan", "-refresh=false", "-input=false", "-lock=false", f"-out={plan}", *extra)
        shown = json.loads(_terraform("show", "-json", str(plan.resolve())))
    return [change for change in shown.get("resource_changes", []) if change["type"].startswith("cloudstack_")]


def _terraform(*arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  fixed program, the user's own arguments
            ["terraform", *arguments],  # noqa: S607  found on the user's PATH on purpose
            cwd=HERE,
            text=True,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise Problem("terraform is not on the PATH; https://developer.hashicorp.com/terraform/install") from error
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        raise Problem(f"terraform {arguments[0]} failed, see above")
    return done.stdout


def unfit(offering: dict[str, Any]) -> list[str]:
    """Why a network offering does not do."""
    name = f"network offering '{offering['name']}'"
    if offering.get("guestiptype") != "Isolated":
        return [f"{name} makes {str(offering.get('guestiptype')).lower()} networks; an isolated one is needed"]
    if offering.get("egressdefaultpolicy"):
        # CloudStack turns the meaning of egress rules round for such networks.
        return [
            f"{name} lets everything out, so egress_rules would be what is blocked; take one that denies by default"
        ]
    return []


def check_names(changes: list[dict[str, Any]], catalogue: Catalogue) -> list[str]:
    """Problems with names that do not exist, each once."""
    problems: list[str] = []

    def note(problem: str) -> None:
        if problem not in problems:
            problems.append(problem)

    def look(what: str, name: str, zone_id: str = "") -> dict[str, Any] | None:
        try:
            return catalogue.find(what, name, zone_id)
        except UnknownName as problem:
            note(str(problem))
            return None

    for change in changes:
        after = change["change"]["after"]
        if not after:
            continue
        zone = look("zone", after["zone"]) if after.get("zone") else {"id": ""}
        for attribute, what in NAMING.items():
            # What a zone offers can't be looked up in one that does not exist.
            if after.get(attribute) and not (zone is None and what in IN_A_ZONE):
                found = look(what, after[attribute], zone["id"] if zone else "")
                if found and what == "network offering":
                    for problem in unfit(found):
                        note(problem)
    return problems


def needs(changes: list[dict[str, Any]], catalogue: Catalogue) -> Counter[str]:
    """What the plan takes from the quota, less what it gives back. Names must be known to exist."""
    total: Counter[str] = Counter()
    for change in changes:
        for side, sign in (("before", -1), ("after", 1)):
            values, actions = change["change"][side], change["change"]["actions"]
            if not values or actions in (["no-op"], ["read"]):
                continue
            amount: Counter[str] = Counter()
            nodes = 0
            if change["type"] == "cloudstack_instance":
                nodes, amount = 1, Counter(vm=1, volume=1)
            elif change["type"] == "cloudstack_kubernetes_cluster":
                nodes = int(values.get("size") or 1) + int(values.get("control_nodes_size") or 1)
                amount = Counter(vm=nodes, volume=nodes)
            elif change["type"] == "cloudstack_disk":
                amount = Counter(volume=1)
            elif change["type"] == "cloudstack_network":
                amount = Counter(network=1, ip=1)
            if nodes:
                try:
                    offering = catalogue.find("service offering", values["service_offering"])
                except UnknownName:
                    # An offering that was withdrawn since; what it gives back is not known.
                    offering = {}
                amount["cpu"] = nodes * int(offering.get("cpunumber", 0))
                amount["memory"] = nodes * int(offering.get("memory", 0))
            for name, number in amount.items():
                total[name] += sign * number
    return total


def check_quota(changes: list[dict[str, Any]], catalogue: Catalogue, api: Api) -> list[str]:
    """Problems with limits of the account."""
    if any((change["change"]["after"] or {}).get("project") for change in changes):
        print("preflight: the quota of a project is not checked", file=sys.stderr)
        return []
    accounts = api.rows("listAccounts", "account")
    if len(accounts) != 1:
        print("preflight: these keys see several accounts, so the quota is not checked", file=sys.stderr)
        return []
    problems = []
    for name, needed in needs(changes, catalogue).items():
        available = str(accounts[0].get(f"{name}available", "Unlimited"))
        if needed > 0 and available.lstrip("-").isdigit() and needed > int(available):
            problems.append(
                f"quota: {needed} more {QUOTAS[name]} needed, but {available} of "
                f"{accounts[0].get(f'{name}limit')} are left; ask for more or plan less"
            )
    return problems


def check_leftovers(changes: list[dict[str, Any]], api: Api) -> list[str]:
    """Things that are to be made, but exist already without Terraform knowing."""
    wanted: dict[str, set[str]] = {}
    for change in changes:
        if change["type"] in UNIQUE and change["change"]["actions"] == ["create"]:
            wanted.setdefault(change["type"], set()).add(change["change"]["after"]["name"])
    problems = []
    for kind, names in wanted.items():
        word, command, key = UNIQUE[kind]
        for row in api.rows(command, key):
            if row["name"] in names:
                state = f" in state {row['state']}" if "state" in row else ""
                mend = {"instance": "expunge it", "volume": "take it over by existing_volumes"}.get(word, "remove it")
                problems.append(
                    f"{word} '{row['name']}' exists already{state} (ID {row['id']}), but Terraform does not know it: "
                    f"left by an earlier attempt, or another cluster's; {mend}, or choose another name"
                )
    return problems


def show(catalogue: Catalogue) -> None:
    """Print everything that can be named in terraform.tfvars."""
    for zone in catalogue.rows("zone"):
        print(f"zone '{zone['name']}'")
        for kind in IN_A_ZONE:
            for row in catalogue.rows(kind, zone["id"]):
                print(f"  {kind} '{row['name']}'")
    for kind in ("network offering", "service offering", "disk offering"):
        for row in catalogue.rows(kind):
            size = f": {row['cpunumber']} CPUs, {row['memory']} MiB" if row.get("cpunumber") else ""
            print(f"{kind} '{row['name']}'{size}")


def connect(timeout: float) -> Api:
    """The cloud that the environment names. Raises Problem when it names none."""
    absent = [name for name in VARIABLES if not os.environ.get(name)]
    if absent:
        raise Problem(f"not set in the environment: {', '.join(absent)}; the cloud's console gives address and keys")
    url, api_key, secret_key = (os.environ[name] for name in VARIABLES)
    return Api(url, api_key, secret_key, timeout)


def run() -> list[str]:
    """Do what the command line asks for. Returns the problems found; raises Problem when nothing can be checked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("plan", nargs="?", type=Path, help="plan saved by terraform plan -out; without it one is made")
    parser.add_argument("--list", action="store_true", help="print zones, offerings, templates and versions, and stop")
    parser.add_argument("--var-file", action="append", default=[], help="passed on to terraform plan")
    parser.add_argument("--var", action="append", default=[], help="passed on to terraform plan")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds to wait for an answer (10)")
    options = parser.parse_args()

    api = connect(options.timeout)
    catalogue = Catalogue(api)
    catalogue.rows("zone")
    if options.list:
        show(catalogue)
        return []

    extra = [f"-var-file={Path(name).resolve()}" for name in options.var_file] + [f"-var={v}" for v in options.var]
    changes = planned(extra, options.plan)
    problems = check_names(changes, catalogue)
    if not problems:
        problems = check_quota(changes, catalogue, api) + check_leftovers(changes, api)
    if not problems:
        actions = Counter(action for change in changes for action in change["change"]["actions"])
        print(
            f"preflight: good; {actions['create']} to create, {actions['update']} to change, "
            f"{actions['delete']} to delete"
        )
    return problems


def main() -> int:
    """Exit status: 0 good, 1 problems (each a line on standard error)."""
    try:
        problems = run()
    except Problem as problem:
        problems = [str(problem)]
    for text in problems:
        print(f"preflight: {text}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
