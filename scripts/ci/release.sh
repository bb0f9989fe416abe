#!/usr/bin/env bash
# Make what was built from $GITHUB_SHA the version of an environment: finds the digests, verifies that our workflow signed each of
# them for this very commit, and commits them to gitops/.
# usage: scripts/ci/release.sh OVERLAY
set -euo pipefail
cd "$(dirname "$0")/../.."
images=()
for name in api-gateway auth-service blog-service migrations user-service; do
  repository=ghcr.io/${GITHUB_REPOSITORY,,}/$name
  digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$repository:$GITHUB_SHA")
  cosign verify "$repository@$digest" --output text \
    --certificate-oidc-issuer https://token.actions.githubusercontent.com \
    --certificate-identity "https://github.com/$GITHUB_REPOSITORY/.github/workflows/images.yml@refs/heads/main" \
    --certificate-github-workflow-sha "$GITHUB_SHA" >/dev/null
  images+=("$name=$repository@$digest")
done
python3 scripts/ci/digests.py bump "$1" --commit "$GITHUB_SHA" "${images[@]}"
