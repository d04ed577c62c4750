#!/bin/sh
# Writes .env, which docker compose reads, with fresh secrets: env.sh [demo|llama]
# Run it in the repository's root. It never overwrites a .env.
#
#   demo    the embedded family, Redis, Prometheus and Grafana
#   llama   the worked example: Llama-3.1-8B on vLLM, a pair of Llama-3.2-1B
set -eu
umask 077

die() {
	echo "env.sh: $*" >&2
	exit 1
}

secret() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

kind=${1:-demo}
[ -f docker-compose.yml ] || die "there is no docker-compose.yml here: run it in the repository's root"
[ ! -e .env ] || die ".env is there already: move it away, or change it by hand"
case $kind in
demo)
	settings='COMPOSE_PROFILES=monitoring
GRAFT_CONFIG=demo.yaml
GRAFT_MEMORY=2g'
	;;
llama)
	settings="COMPOSE_PROFILES=gpu,monitoring
GRAFT_CONFIG=llama.yaml
# Both models of the pair with the texts that they hold at a time.
GRAFT_MEMORY=16g
VLLM_API_KEY=$(secret)
# A token that may read meta-llama/Llama-3.1-8B, whose licence its owner has accepted.
HF_TOKEN=${HF_TOKEN:-}"
	;;
*) die "$kind is unknown: demo or llama" ;;
esac
cat >.env <<END
$settings
REDIS_PASSWORD=$(secret)
GRAFT_CACHE_SECRET=$(secret)
# What clients send as their API key, separated by commas. Empty lets everybody in who
# reaches the port.
GRAFT_API_KEYS=$(secret)
END
echo "env.sh: .env is written for $kind; the clients' key is GRAFT_API_KEYS in it"
