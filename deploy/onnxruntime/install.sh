#!/bin/sh
# Puts ONNX Runtime into a folder: install.sh [cpu|cuda] DEST
#
# The library comes out of a package of an ordinary package client, whichever of
# pip and npm is there; no script of a package is run. Which package, and what
# it must hash to, stands in downloads.txt and libraries.txt beside this script.
# A library is moved into DEST only after its SHA-256 was found right, the core
# library last: a run that was cut off leaves nothing that would be used. Where
# everything is in place already, nothing is fetched.
#
# cuda also brings the CUDA provider and the CUDA 12 libraries that it needs
# (2.8 GB); the GPU's driver is not part of it, and neither is TensorRT.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

die() {
	echo "install.sh: $*" >&2
	exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# arch: the architecture as the tables call it.
arch() {
	case $(uname -s)-$(uname -m) in
	Linux-x86_64 | Linux-amd64) echo x64 ;;
	Linux-aarch64 | Linux-arm64) echo arm64 ;;
	*) die "there is no ONNX Runtime package for $(uname -s) on $(uname -m): build it and name the library in GRAFT_ORT_LIBRARY" ;;
	esac
}

# rows TABLE CLIENT: a table's lines for this kind and architecture.
rows() { awk -v k="$kind" -v a="$arch" -v c="$2" '$1 == k && $2 == a && $3 == c' "$here/$1"; }

sum() { sha256sum "$1" | cut -d' ' -f1; }

# present: whether DEST already has everything, from either client.
present() {
	for client in pip npm; do
		core=$(rows libraries.txt $client | tail -n 1)
		[ -n "$core" ] || continue
		set -- $core
		[ -f "$dest/$5" ] && [ "$(sum "$dest/$5")" = "$4" ] || continue
		complete=yes
		for name in $(rows libraries.txt $client | awk '{print $5}'); do
			[ -s "$dest/$name" ] || complete=no
		done
		[ $complete = no ] || return 0
	done
	return 1
}

# python: an interpreter that has pip.
python() {
	for p in python3 python; do
		if has $p && $p -m pip --version >/dev/null 2>&1; then
			echo $p
			return
		fi
	done
	# A pip of its own names its interpreter in its first line.
	for p in pip3 pip; do
		if has $p; then
			p=$(sed -n '1s/^#! *\([^ ]*\).*/\1/p' "$(command -v $p)")
			if [ -x "$p" ] && "$p" -m pip --version >/dev/null 2>&1; then
				echo "$p"
				return
			fi
		fi
	done
	return 1
}

# fetch_pip PACKAGE VERSION SHA256: a wheel into $work/down. The wheel is asked
# for by its own tags and not by those of the Python at hand.
fetch_pip() {
	machine=x86_64
	[ "$arch" = x64 ] || machine=aarch64
	echo "$1==$2 --hash=sha256:$3" >"$work/requirement.txt"
	"$python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
		--only-binary :all: --implementation cp --python-version 3.12 --abi cp312 --abi none \
		--platform manylinux_2_28_$machine --platform manylinux_2_27_$machine --platform manylinux_2_17_$machine \
		--platform manylinux2014_$machine --platform manylinux2010_$machine \
		--dest "$work/down" --requirement "$work/requirement.txt"
}

# fetch_npm PACKAGE VERSION: a tarball into $work/down.
fetch_npm() {
	(cd "$work/down" && npm pack --silent --ignore-scripts "$1@$2" >/dev/null)
}

# unpack FILE PATH NAME: one library into $work/lib, if the file has it.
unpack() {
	case $1 in
	*.whl)
		"$python" - "$1" "$2" "$work/lib/$3" <<-'PYTHON'
			import shutil, sys, zipfile
			with zipfile.ZipFile(sys.argv[1]) as wheel:
			    if sys.argv[2] in wheel.namelist():
			        with wheel.open(sys.argv[2]) as member, open(sys.argv[3], "wb") as out:
			            shutil.copyfileobj(member, out, 1 << 20)
		PYTHON
		;;
	*) tar -xzOf "$1" "$2" >"$work/lib/$3" ;;
	esac
}

# install_from CLIENT: fetches, checks and moves into place; false if the client
# could not fetch, so that another one may try.
install_from() {
	rows downloads.txt "$1" >"$work/downloads"
	rows libraries.txt "$1" >"$work/libraries"
	[ -s "$work/downloads" ] || return 1
	while read -r _ _ _ package version want; do
		rm -rf "$work/down"
		mkdir -p "$work/down" "$work/lib"
		echo "install.sh: $package $version with $1"
		fetch_"$1" "$package" "$version" "$want" </dev/null || return 1
		file=$(find "$work/down" -type f)
		[ "$(sum "$file")" = "$want" ] ||
			die "$package $version is not what it was when this project pinned it (SHA-256 $(sum "$file")): do not use it, and report it"
		while read -r _ _ _ _ name path; do
			[ -s "$work/lib/$name" ] || unpack "$file" "$path" "$name" || die "cannot unpack $package: make room on the disk of $dest"
		done <"$work/libraries"
	done <"$work/downloads"
	while read -r _ _ _ want name _; do
		[ -f "$work/lib/$name" ] && [ "$(sum "$work/lib/$name")" = "$want" ] ||
			die "$name does not have the SHA-256 in $here/libraries.txt: do not use it, and report it"
	done <"$work/libraries"
	while read -r _ _ _ _ name _; do
		{ chmod 755 "$work/lib/$name" && mv -f "$work/lib/$name" "$dest/$name"; } || die "cannot write $dest/$name"
	done <"$work/libraries"
}

kind=cpu
case ${1:-} in
cpu | cuda)
	kind=$1
	shift
	;;
esac
[ $# -eq 1 ] && [ -n "$1" ] || die "usage: install.sh [cpu|cuda] DEST"
arch=$(arch)
has sha256sum || die "sha256sum is missing: install coreutils"
[ -n "$(rows downloads.txt pip)" ] || die "there is no ONNX Runtime package with CUDA for $arch: use cpu"
mkdir -p "$1" || die "cannot make the folder $1: choose another one"
dest=$(cd "$1" && pwd)
if present; then exit 0; fi

work=$(mktemp -d "$dest/.incoming.XXXXXX") || die "cannot write to $dest: choose another folder"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

if ! python=$(python) && { [ $kind = cuda ] || ! has npm; }; then
	if has apt-get && [ "$(id -u)" = 0 ]; then
		echo "install.sh: python3-pip with apt-get"
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-pip >/dev/null; } ||
			die "apt-get could not install python3-pip: install pip or npm, and run this again"
		python=$(python) || die "python3-pip was installed but does not run: install npm, and run this again"
	else
		die "there is no pip to fetch ONNX Runtime with (npm would do for cpu): install it (Debian and Ubuntu: apt-get install python3-pip), and run this again"
	fi
fi
if [ -n "$python" ] && install_from pip; then exit 0; fi
if has npm && install_from npm; then exit 0; fi
die "ONNX Runtime could not be fetched: check that the package registry can be reached, and run this again"
