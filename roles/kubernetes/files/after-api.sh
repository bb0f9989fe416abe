#!/bin/sh
# Run a command once the API server is ready: controllers and schedulers give up when its roles are not there yet.
# usage: after-api.sh URL CA COMMAND [ARGUMENT ...]
url=$1 ca=$2
shift 2
until curl --silent --fail --max-time 2 --cacert "$ca" --output /dev/null "$url/readyz"; do sleep 0.5; done
exec "$@"
