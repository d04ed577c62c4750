#!/bin/sh
# A real llama-server for the tests, all inside .cache/engines/llamacpp:
#
#	llamacpp.sh install              builds bin/llama-server and writes base.gguf
#	llamacpp.sh serve FILE [FLAG…]   becomes a llama-server of FILE on a free loopback port
#
# The sources are those that PyPI's llama-cpp-python carries; cmake and ninja come from
# PyPI, too; a compiler for C and C++ must be there. A build takes three minutes on two
# cores. What is there already stays, and stamps are written last, so a run that was
# cut off is begun anew.
#
# serve says on standard error where it listens ("listening on http://127.0.0.1:PORT")
# and stays the process that was started, so whoever starts it ends it by its id. Its
# cache and its attention are in single precision, as the weights are: by default both
# are in half, which moves rows by 0.01 nats.
set -eu

SERVER=0.3.36 # of llama-cpp-python
SOURCES=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
CMAKE=4.4.4
NINJA=1.13.2

engines=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$engines")")
home=$root/.cache/engines/llamacpp
demo=$root/models/demo

die() {
	echo "e2e/engines/llamacpp.sh: $*" >&2
	exit 1
}

say() { echo "e2e/engines/llamacpp.sh: $*"; }

# stamped FOLDER STAMP: whether that is what was finished there.
stamped() { [ -f "$1/.installed" ] && [ "$(cat "$1/.installed")" = "$2" ]; }

install_tools() {
	want="cmake $CMAKE ninja $NINJA $(sha256sum <"$demo/requirements-gguf.txt") $(python3 -V)"
	if stamped "$home/tools" "$want"; then return; fi
	say "cmake, ninja and gguf with pip"
	rm -rf "$home/tools"
	python3 -m venv "$home/tools" >/dev/null || die "python3 -m venv does not work: install Python 3.10 or newer with venv, and run this again"
	"$home/tools/bin/python" -m pip install --quiet --disable-pip-version-check "cmake==$CMAKE" "ninja==$NINJA" \
		--requirement "$demo/requirements-gguf.txt" ||
		die "pip could not install cmake, ninja and models/demo/requirements-gguf.txt: check that the package registry can be reached, and run this again"
	echo "$want" >"$home/tools/.installed"
}

fetch_sources() {
	archive=$home/llama_cpp_python-$SERVER.tar.gz
	if [ ! -f "$archive" ]; then
		say "llama-cpp-python $SERVER, 77 MB, with pip"
		"$home/tools/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary llama-cpp-python \
			--dest "$home" "llama-cpp-python==$SERVER" ||
			die "pip could not download the sources of llama-cpp-python $SERVER: check that the package registry can be reached, and run this again"
	fi
	[ "$(sha256sum <"$archive" | cut -d ' ' -f 1)" = "$SOURCES" ] ||
		{ rm -f "$archive" && die "the sources of llama-cpp-python $SERVER are not those that were pinned: run this again"; }
	rm -rf "$home/sources"
	mkdir "$home/sources"
	tar -xzf "$archive" -C "$home/sources" --strip-components 1
}

install_server() {
	want="llama-cpp-python $SERVER"
	if stamped "$home/bin" "$want"; then return; fi
	for tool in cc c++; do
		command -v $tool >/dev/null || die "$tool is missing: install a compiler for C and C++ (Debian and Ubuntu: apt-get install build-essential), and run this again"
	done
	fetch_sources
	say "building llama-server, which takes some minutes; $home/build.log tells how far it is"
	rm -rf "$home/build" "$home/bin"
	if ! PATH=$home/tools/bin:$PATH build >"$home/build.log" 2>&1; then
		tail -n 20 "$home/build.log" >&2
		die "llama-server could not be built: $home/build.log says why"
	fi
	mkdir "$home/bin"
	mv "$home/build/bin/llama-server" "$home/bin/"
	rm -rf "$home/build" "$home/sources" "$archive"
	"$home/bin/llama-server" --version >/dev/null 2>&1 || die "the llama-server that was built does not run: try $home/bin/llama-server --version"
	echo "$want" >"$home/bin/.installed"
}

build() {
	cmake -S "$home/sources/vendor/llama.cpp" -B "$home/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
		-DLLAMA_OPENSSL=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_BUILD_TESTS=OFF \
		-DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_IS_DEV=OFF &&
		nice cmake --build "$home/build" --target llama-server
}

write_model() {
	want=$(cat "$demo/write_gguf.py" "$demo/base/model.onnx" "$demo/base/tokenizer.json" "$demo/base/config.json" | sha256sum)
	if [ -f "$home/base.gguf" ] && [ "$(cat "$home/base.gguf.made" 2>/dev/null)" = "$want" ]; then return; fi
	say "the embedded base as $home/base.gguf"
	"$home/tools/bin/python" "$demo/write_gguf.py" base "$home/base.gguf" || die "models/demo/write_gguf.py failed"
	echo "$want" >"$home/base.gguf.made"
}

case ${1-} in
install)
	mkdir -p "$home"
	install_tools
	install_server
	write_model
	say "$home/bin/llama-server and $home/base.gguf are there"
	;;
serve)
	[ -x "$home/bin/llama-server" ] || die "llama-server is not there: run e2e/engines/llamacpp.sh install"
	[ $# -ge 2 ] || die "serve what? llamacpp.sh serve FILE [FLAG…]"
	model=$2
	shift 2
	exec "$home/bin/llama-server" --model "$model" --host 127.0.0.1 --port 0 --parallel 4 --ctx-size 8192 --threads 1 \
		--cache-type-k f32 --cache-type-v f32 --flash-attn off "$@"
	;;
*)
	die "usage: llamacpp.sh install | llamacpp.sh serve FILE [FLAG…]"
	;;
esac
