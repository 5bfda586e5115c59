#!/usr/bin/env bash
# Builds the wheel of the last commit, installs it into an empty environment outside the tree, and
# lets both programs play a broadcast to each other there.
#
#   tools/try_wheel.sh [PYTHON]      (default: that of .venv)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() {
    echo "try_wheel: $*" >&2
    exit 1
}

python=${1:-$PWD/.venv/bin/python}
folder=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
git clone --quiet . "$folder/source"
cd "$folder"

"$python" -m pip --disable-pip-version-check wheel --quiet --no-deps --wheel-dir . ./source
"$python" -m venv environment
PIP_USE_PEP517=1 environment/bin/python -m pip --disable-pip-version-check install --quiet ./*.whl

# All of the programs is in it, and nothing else.
modules=$(environment/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
git -C source ls-files '*.py' '*.html' '*.css' '*.js' |
    grep -vE '^(bench|docs|fuzz|samples|tests|tools)/' >expected.txt
while read -r file; do
    [[ -e $modules/$file ]] || die "$file is not in the wheel"
done <expected.txt
for file in bench docs fuzz samples tests tools; do
    [[ ! -e $modules/$file ]] || die "$file is in the wheel"
done
for page in mp3cast-server.1 mp3cast-client.1; do
    [[ -s environment/share/man/man1/$page ]] || die "$page is not installed"
done

mkdir run
cd run
touch server.txt
../environment/bin/mp3cast-server ../source/samples/sample.mp3 0 --host 127.0.0.1 --no-announce \
    --speed 20 --status 0 --report-every 0 >server.txt &
server=$!
for _ in {1..200}; do
    port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' server.txt)
    page=$(sed -n 's/^status page at //p' server.txt)
    [[ -z $port || -z $page ]] || break
    sleep 0.1
done
[[ -n $port && -n $page ]] || die "the server does not listen"
../environment/bin/python -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1]).read()' "$page"
../environment/bin/mp3cast-client 127.0.0.1 "$port" --output heard.wav --report heard.html -q
wait "$server"
server=
for file in heard.wav heard.html logs/server.log logs/client.log; do
    [[ -s $file ]] || die "there is no $file"
done
echo "try_wheel: $(basename ../mp3cast-*.whl) works on $("$python" --version)"
