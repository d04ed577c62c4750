#!/bin/sh
# Starts Redis as the gateway's cache.
#
#   REDIS_PASSWORD   of the user graft; only its hash is written down. Without one
#                    nobody can log in, and gateways go on with their own memory.
#   REDIS_MAXMEMORY  how much of it may be used, such as 1gb
#   REDIS_ETC        where redis.conf and users.acl lie; /etc/redis without it
#   REDIS_RUN        a folder in memory to write to; /run/redis without it
#
# Further words are options of redis-server. With --cluster as the first one the server
# is one of a cluster's masters, as cluster.sh says.
set -eu
umask 077
etc=${REDIS_ETC:-/etc/redis}
run=${REDIS_RUN:-/run/redis}

# hash TEXT: what an ACL file holds in place of a password.
hash() { printf %s "$1" | sha256sum | cut -d' ' -f1; }

if [ -n "${REDIS_PASSWORD:-}" ]; then
	sed "s/^user graft on /user graft on #$(hash "$REDIS_PASSWORD") /" "$etc/users.acl" >"$run/users.acl"
else
	echo "start.sh: REDIS_PASSWORD is empty, so that nobody can log in: set it for the gateway and for Redis to have a shared cache" >&2
	cat "$etc/users.acl" >"$run/users.acl"
fi
unset REDIS_PASSWORD

if [ "${1:-}" = --cluster ]; then
	shift
	# The word that joins this master to the others never leaves this container.
	OPERATOR_PASSWORD=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
	export OPERATOR_PASSWORD
	echo "user operator on #$(hash "$OPERATOR_PASSWORD") -@all +ping +cluster" >>"$run/users.acl"
	"$etc/cluster.sh" &
	unset OPERATOR_PASSWORD
fi
exec redis-server "$etc/redis.conf" --aclfile "$run/users.acl" --dir "$run" --maxmemory "${REDIS_MAXMEMORY:-1gb}" "$@"
