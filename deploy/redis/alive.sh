#!/bin/sh
# Whether this Redis answers the gateway's user; where there is no password for it,
# whether it answers at all. For health checks.
if [ -n "${REDIS_PASSWORD:-}" ]; then
	export REDISCLI_AUTH="$REDIS_PASSWORD"
	answer=$(redis-cli -p "${REDIS_PORT:-6379}" --user graft --no-auth-warning ping 2>&1)
	[ "$answer" = PONG ] && exit 0
else
	answer=$(redis-cli -p "${REDIS_PORT:-6379}" ping 2>&1)
	case $answer in NOAUTH*) exit 0 ;; esac
fi
echo "alive.sh: Redis says $answer" >&2
exit 1
