#!/usr/bin/env bash
# Say where the image of $SERVICE belongs, as the output `name` of a step. Registries want lower case and no underscore.
set -euo pipefail
name=ghcr.io/$GITHUB_REPOSITORY/${SERVICE//_/-}
echo "name=${name,,}" >>"$GITHUB_OUTPUT"
