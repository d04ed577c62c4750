#!/bin/sh
# Installs what the tests need and a build does not, all inside the project:
#
#	.cache/python           a virtual environment with python/requirements.txt
#	e2e/node/node_modules   what node/package-lock.json pins
#	.cache/tokenizers       tokenizer files, by models/tokenizer/testdata/install
#
# What is there already stays: a second run takes a second. Python's venv, Node,
# npm and Redis come from the distribution where apt-get and root can bring them. Each
# folder gets its stamp last, so that a run that was cut off is begun anew.
set -eu

e2e=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$e2e")

die() {
	echo "e2e/install.sh: $*" >&2
	exit 1
}

say() { echo "e2e/install.sh: $*"; }

has() { command -v "$1" >/dev/null 2>&1; }

# distribution PACKAGE…: false where apt-get or root is missing.
distribution() {
	has apt-get && [ "$(id -u)" = 0 ] || return 1
	say "$* with apt-get"
	apt-get update -qq >/dev/null &&
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# stamp FILE VERSION: what an installation of FILE by this VERSION is known by.
stamp() { echo "$2 $(sha256sum <"$1")"; }

# stamped FOLDER STAMP: whether that installation is there.
stamped() { [ -f "$1/.installed" ] && [ "$(cat "$1/.installed")" = "$2" ]; }

python_at_least_310() { python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

# venv FOLDER: an empty virtual environment with pip.
venv() {
	rm -rf "$1"
	python3 -m venv "$1" >/dev/null 2>&1 && "$1/bin/python" -m pip --version >/dev/null 2>&1
}

install_python() {
	folder=$root/.cache/python
	python_at_least_310 || distribution python3 python3-venv && python_at_least_310 ||
		die "the tests need Python 3.10 or newer as python3: install it (Debian and Ubuntu: apt-get install python3 python3-venv), and run this again"
	want=$(stamp "$e2e/python/requirements.txt" "$(python3 -V)")
	if stamped "$folder" "$want"; then return; fi
	mkdir -p "$root/.cache"
	venv "$folder" || { distribution python3-venv && venv "$folder"; } ||
		die "python3 -m venv does not work: install it (Debian and Ubuntu: apt-get install python3-venv), and run this again"
	say "the OpenAI client for Python with pip"
	"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$e2e/python/requirements.txt" &&
		"$folder/bin/python" -m pip check --quiet --disable-pip-version-check ||
		die "pip could not install e2e/python/requirements.txt: check that the package registry can be reached, and run this again"
	echo "$want" >"$folder/.installed"
}

node_at_least_18() { [ "$(node -p 'parseInt(process.versions.node)' 2>/dev/null || echo 0)" -ge 18 ]; }

install_node() {
	folder=$e2e/node/node_modules
	has node && has npm || distribution nodejs npm ||
		die "the tests need Node.js 18 or newer with npm: install them (Debian and Ubuntu: apt-get install nodejs npm), and run this again"
	node_at_least_18 || die "the tests need Node.js 18 or newer, and this is $(node -v): install a newer one, and run this again"
	want=$(stamp "$e2e/node/package-lock.json" "$(node -v)")
	if stamped "$folder" "$want"; then return; fi
	say "the OpenAI client for Node with npm"
	(cd "$e2e/node" && npm ci --silent --ignore-scripts --no-audit --no-fund) ||
		die "npm could not install e2e/node/package-lock.json: check that the package registry can be reached, and run this again"
	echo "$want" >"$folder/.installed"
}

# The tests start Redis themselves, on ports of their own: the distribution's service
# is not needed, and where this installs Redis it is not started.
install_redis() {
	has redis-server || (export RUNLEVEL=1 && distribution redis-server) ||
		die "the tests need Redis 7 or newer as redis-server: install it (Debian and Ubuntu: apt-get install redis-server), and run this again"
	version=$(redis-server --version | sed 's/.*v=\([0-9]*\).*/\1/')
	[ "$version" -ge 7 ] ||
		die "the tests need Redis 7 or newer, and this is $(redis-server --version): install a newer one, and run this again"
}

has sha256sum || die "sha256sum is missing: install coreutils"
install_python
install_node
install_redis
"$root/models/tokenizer/testdata/install" ||
	die "the tokenizers were not installed: check that the package registry can be reached, and run models/tokenizer/testdata/install"
