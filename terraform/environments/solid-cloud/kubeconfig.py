#!/usr/bin/env python3
"""Print the kubeconfig of CloudStack's own Kubernetes cluster (mode = "managed"): ./kubeconfig.py ID >FILE

It is a secret, so that it is no output of Terraform's. Needs what preflight.py needs, but no Terraform.
"""

from __future__ import annotations

import argparse
import sys

from preflight import Problem, connect


def main() -> int:
    """Exit status: 0 good, 1 a problem (a line on standard error)."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("id", help="the cluster's ID: managed_cluster_id of Terraform's output `inventory`")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds to wait for an answer (10)")
    options = parser.parse_args()
    try:
        found = connect(options.timeout).row("getKubernetesClusterConfig", "clusterconfig", id=options.id)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    if not found.get("configdata"):
        print(f"the cloud has no kubeconfig of the cluster {options.id}; its console tells the state", file=sys.stderr)
        return 1
    print(found["configdata"].rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
