#!/bin/sh
# Makes the Redis beside it one of CLUSTER_MASTERS masters. start.sh runs it, and it
# ends with that Redis.
#
#   CLUSTER_INDEX    which master this one is, from 0; or the name of a pod that ends
#                    with it
#   CLUSTER_MASTERS  how many there are, at least 3
#   CLUSTER_PEERS    their addresses, IP:PORT or HOST:PORT, in order, separated by blanks
#   CLUSTER_PORT     where this one listens; 6379 without it
#
# Each master takes its own part of the 16,384 slots, once, and introduces itself to the
# others; what it is remembers its nodes.conf, which must outlive the container. All of
# that is done here again and again, so that masters may start in any order and may come
# back elsewhere under another address.
set -u
index=${CLUSTER_INDEX##*-}
port=${CLUSTER_PORT:-6379}
first=$((16384 * index / CLUSTER_MASTERS))
last=$((16384 * (index + 1) / CLUSTER_MASTERS - 1))
export REDISCLI_AUTH="$OPERATOR_PASSWORD"

ask() { timeout 3 redis-cli -p "$port" --user operator --no-auth-warning "$@"; }

# address HOST: its IPv4 address, for masters meet by that.
address() {
	case $1 in
	*[!0-9.]*) getent hosts "$1" | awk '{ print $1; exit }' ;;
	*) echo "$1" ;;
	esac
}

# whole: every slot has a master that answers, and all masters are known.
whole() {
	info=$(ask cluster info 2>/dev/null | tr -d '\r')
	echo "$info" | grep -qx 'cluster_slots_ok:16384' && echo "$info" | grep -qx "cluster_size:$CLUSTER_MASTERS"
}

while kill -0 "$PPID" 2>/dev/null; do
	if [ "$(ask ping 2>/dev/null)" = PONG ] && ! whole; then
		ask cluster nodes 2>/dev/null | grep myself | grep -q ' connected [0-9]' ||
			ask cluster addslotsrange "$first" "$last" >/dev/null
		for peer in $CLUSTER_PEERS; do
			ip=$(address "${peer%:*}")
			[ -z "$ip" ] || ask cluster meet "$ip" "${peer##*:}" >/dev/null
		done
	fi
	sleep "${CLUSTER_PAUSE:-5}"
done
