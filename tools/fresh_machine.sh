#!/usr/bin/env bash
# Tries the project on a machine that has nothing of it: a new Debian in a temporary folder.
#
#   tools/fresh_machine.sh SUITE [--tests]
#
#   SUITE     a release of Debian, such as trixie (Python 3.13) or forky (3.14 and 3.15)
#   --tests   after `make demo` run `make test`, too, on every Python of that release
#
# It runs in a clone of the last commit. It needs Linux, root and debootstrap, 4 GB in $TMPDIR, and
# 10 minutes for the tests. Packages come from $MIRROR if that is set, else from where this machine's
# apt gets its own. pip is set up as it is here: its files, its variables, and the files they name.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() {
    echo "fresh machine: $*" >&2
    exit 1
}

suite=${1:-}
[[ $suite == [a-z]* && ${2:---tests} == --tests && $# -le 2 ]] ||
    die "usage: tools/fresh_machine.sh SUITE [--tests]"
((EUID == 0)) || die "only root can make a tree of Debian"
type -P debootstrap >/dev/null || die "run this first: apt-get install debootstrap"

# Mounts and processes have namespaces of their own, and end with them.
if [[ -z ${FRESH_TREE:-} ]]; then
    FRESH_TREE=$(mktemp -d "${TMPDIR:-/tmp}/fresh-machine.XXXXXX")
    chmod 755 "$FRESH_TREE" # apt drops its rights
    export FRESH_TREE
    trap 'rm -rf --one-file-system "$FRESH_TREE"' EXIT
    unshare --mount --pid --kill-child --mount-proc "tools/${0##*/}" "$@"
    exit
fi
tree=$FRESH_TREE

in_tree() { # COMMAND ...
    chroot "$tree" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        TERM="${TERM:-dumb}" DEBIAN_FRONTEND=noninteractive "${variables[@]}" "$@"
}

# --- Debian ---

script=/usr/share/debootstrap/scripts/$suite
[[ -e $script ]] || script=${script%/*}/sid
# shellcheck disable=SC2016 - apt-get puts in what it stands for
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' | sed -n 1p)}
debootstrap --variant=minbase --include=ca-certificates,make "$suite" "$tree" "$mirror" "$script" |
    sed -n 's/^I: \(Base system installed\)/fresh machine: \1/p'
{
    apt-config dump | grep -E '^Acquire::https?::' || true
    echo 'Acquire::Check-Valid-Until "false";' # a mirror may stand still
} >"$tree/etc/apt/apt.conf.d/90fresh-machine"
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
mount --rbind /sys "$tree/sys"

# --- What pip needs to know ---

mapfile -t variables < <(env | grep -E '^(PIP_|SSL_CERT_FILE=|[a-zA-Z]*_(proxy|PROXY)=)')
mapfile -t files < <(
    {
        printf '%s\n' {/etc,/etc/xdg/pip,~/.pip,~/.config/pip}/pip.conf "${variables[@]#*=}"
        python3 -m pip config list 2>/dev/null || true
    } | grep -oE "/[^ ']+" | sort -u
)
for file in "${files[@]}"; do
    [[ ! -f $file ]] || { mkdir -p "$tree${file%/*}" && cp "$file" "$tree$file"; }
done

# --- The project ---

git clone --quiet --no-hardlinks . "$tree/opt/mp3cast"
in_tree make -C /opt/mp3cast demo
if (($# == 2)); then
    in_tree sh -c "apt-cache pkgnames python3. | grep -x 'python3[.][0-9]*' |
        xargs apt-get -qq -o Dpkg::Use-Pty=0 install --yes --no-install-recommends >/dev/null"
    in_tree make -C /opt/mp3cast test
fi
