"""How the Application is, and if it is not well: why, in Argo CD's and Kubernetes' own words.

usage: python -m scripts.gitops.status    ends with 0 if what runs is what git says and works, with 1 if not, with 2 without Argo CD
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

KUBECONFIG = os.environ.get("KUBECONFIG", "/var/lib/titanium/kubeconfig")
NAMESPACE = "argocd"
APPLICATION = "blog"
REFRESH = "argocd.argoproj.io/refresh"
# While an Application has it, Argo CD leaves it alone and its status says what was before; and beside it, who asked for that.
PAUSE = "argocd.argoproj.io/skip-reconcile"
PAUSED_BY = "titanium.dev/paused-by"
MEND = f"if it is over, mend: kubectl -n {NAMESPACE} annotate application {APPLICATION} {PAUSE}- {PAUSED_BY}-"
Object = dict[str, Any]


def kubectl(*arguments: str) -> str:
    """Run kubectl; return what it printed, or raise RuntimeError with its words."""
    beside = Path(sys.executable).with_name("kubectl")
    process = subprocess.run(
        [str(beside) if beside.exists() else "kubectl", "--kubeconfig", KUBECONFIG, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if process.returncode != 0:
        raise RuntimeError(process.stderr.strip())
    return process.stdout


def application(name: str = APPLICATION) -> Object:
    """Return the Application."""
    found: Object = json.loads(kubectl("-n", NAMESPACE, "get", "application", name, "-o", "json"))
    return found


def refresh(name: str = APPLICATION, seconds: float = 20) -> None:
    """Have Argo CD compare anew, and wait for that; one that is paused does not.

    Of a commit whose objects the API server refuses, only the first look says so; later ones take an older comparison for the result.
    """
    if paused(application(name)):
        return
    kubectl("-n", NAMESPACE, "annotate", "--overwrite", "application", name, f"{REFRESH}=normal")
    deadline = time.monotonic() + seconds
    while REFRESH in application(name)["metadata"].get("annotations", {}) and time.monotonic() < deadline:
        time.sleep(0.3)


def pause(who: str, name: str = APPLICATION, seconds: float = 120) -> None:
    """Have Argo CD leave the application alone, once no sync is under way; raise TimeoutError if one does not end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if under_way(application(name)):
            time.sleep(0.5)
            continue
        kubectl("-n", NAMESPACE, "annotate", "--overwrite", "application", name, f"{PAUSE}=true", f"{PAUSED_BY}={who}")
        # A look that had begun is over by then; a sync that it began would stand still.
        time.sleep(2)
        if not under_way(application(name)):
            return
        resume(name)
    raise TimeoutError(report(application(name))[0])


def resume(name: str = APPLICATION) -> None:
    """Have Argo CD go on, and look at once."""
    changes = {PAUSE: None, PAUSED_BY: None, REFRESH: "normal"}
    patch = json.dumps({"metadata": {"annotations": changes}})
    kubectl("-n", NAMESPACE, "patch", "application", name, "--type=merge", "-p", patch)


def paused(found: Object) -> bool:
    """Whether Argo CD leaves an Application alone."""
    return str(found["metadata"].get("annotations", {}).get(PAUSE, "")).lower() in {"1", "t", "true"}


def under_way(found: Object) -> bool:
    """Whether a sync has been asked for or has begun, and has not ended."""
    return "operation" in found or found.get("status", {}).get("operationState", {}).get("phase") == "Running"


def pods_with_problems(namespace: str) -> list[str]:
    """Return a line for each pod of the application that does not get on, with the reason that the kubelet gives."""
    selector = "app.kubernetes.io/part-of=titanium"
    pods = json.loads(kubectl("-n", namespace, "get", "pods", "-l", selector, "-o", "json"))["items"]
    return [line for pod in pods for line in pod_problems(pod)]


def pod_problems(pod: Object) -> list[str]:
    """Return what keeps a pod from running."""
    status = pod.get("status", {})
    lines = []
    for container in status.get("initContainerStatuses", []) + status.get("containerStatuses", []):
        state = container.get("state", {})
        if waiting := state.get("waiting"):
            if waiting.get("reason") not in {"PodInitializing", "ContainerCreating"}:
                lines.append(f"{container['name']}: {waiting.get('reason')}: {waiting.get('message', '')}".rstrip(": "))
        elif (ended := state.get("terminated")) and ended.get("exitCode"):
            lines.append(f"{container['name']}: ended with {ended['exitCode']} ({ended.get('reason')})")
    return [f"Pod {pod['metadata']['name']}, {line}" for line in lines]


def problems(found: Object) -> list[str]:
    """Return what is wrong with an Application, a line each."""
    status = found.get("status", {})
    operation = status.get("operationState", {})
    lines = [f"{c['type']}: {c['message']}" for c in status.get("conditions", [])]
    if paused(found):
        who = found["metadata"]["annotations"].get(PAUSED_BY, "somebody")
        lines.insert(0, f"paused by {who}: Argo CD does nothing meanwhile, and what it says is from before; {MEND}")
    if operation.get("phase", "Succeeded") != "Succeeded":
        lines.append(f"last sync: {operation['phase']}: {operation.get('message', '')}".rstrip(": "))
        lines += [
            f"{result['kind']} {result['name']}: {result.get('message', '')}"
            for result in operation.get("syncResult", {}).get("resources", [])
            if result.get("status") == "SyncFailed" or result.get("hookPhase") in {"Failed", "Error"}
        ]
    for resource in status.get("resources", []):
        health = resource.get("health", {})
        # A hook is no part of what is compared.
        if resource.get("status") == "OutOfSync":
            lines.append(f"{resource['kind']} {resource['name']} differs from git")
        if health.get("status", "Healthy") not in {"Healthy", "Suspended"}:
            lines.append(
                f"{resource['kind']} {resource['name']} is {health['status']}: {health.get('message', '')}".rstrip(": ")
            )
    return lines


def report(found: Object) -> tuple[str, bool]:
    """Return how an Application is, for people, and whether all is well."""
    status = found.get("status", {})
    sync, health = status.get("sync", {}), status.get("health", {})
    operation = status.get("operationState", {})
    head = (
        f"{found['metadata']['name']}: {sync.get('status', 'Unknown')} and {health.get('status', 'Unknown')} at "
        f"{sync.get('revision', 'no commit')[:12]} of {found['spec']['source']['repoURL']}, {found['spec']['source']['path']}"
    )
    lines = problems(found)
    well = sync.get("status") == "Synced" and health.get("status") == "Healthy" and not lines
    if operation:
        began, ended = operation.get("startedAt", "?"), operation.get("finishedAt", "still under way")
        lines.insert(0, f"sync {operation.get('phase')}, begun {began}, ended {ended}")
    return "\n".join([head, *(f"  {line}" for line in lines)]), well


def settled(found: Object, commit: str) -> bool:
    """Whether a commit is all that runs, and runs well."""
    return report(found)[1] and found["status"]["sync"].get("revision") == commit


def main() -> int:
    """Print how the Application is."""
    try:
        refresh()
        found = application()
        text, well = report(found)
        if not well:
            text = "\n".join(
                [text, *(f"  {line}" for line in pods_with_problems(found["spec"]["destination"]["namespace"]))]
            )
    except RuntimeError as error:
        sys.stderr.write(f"gitops-status: {error}\n")
        return 2
    sys.stdout.write(f"{text}\n")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
