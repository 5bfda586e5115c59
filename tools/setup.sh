#!/usr/bin/env bash
# Sets this machine up: system packages, Python environments, and what goes into them.
# What is done already is not done again, so this may run before everything else.
#
#   tools/setup.sh run                  .venv, with the dependencies in pyproject.toml
#   tools/setup.sh lint                 .venv, with the extra `dev` too
#   tools/setup.sh fuzz                 .venv, with the extra `fuzz`
#   tools/setup.sh bench                .venv, with the extra `bench`, and for root the tools to lose
#                                       datagrams in the kernel
#   tools/setup.sh test [VERSION ...]   an environment for each VERSION of Python with the extra
#                                       `dev`, a sound server and a browser, and for root the tools
#                                       to cut a network; no VERSION: each supported one found
#
# Standard output names the Python of each environment, one a line; all else is on standard error.
# .venv belongs to $PYTHON if that is set, else to the first supported Python found: `python3` comes
# first. A version that .venv does not serve has an environment of its own, such as .venv-3.12.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec 3>&1 1>&2

supported=(3.15 3.14 3.13 3.12 3.11)
build_packages=(gcc libc6-dev libasound2-dev) # simpleaudio is compiled
network_packages=(iproute2 nftables)
sound_packages=(pulseaudio pulseaudio-utils libasound2-plugins libportaudio2)
browser_packages=(chromium)

say() { echo "setup: $*"; }
die() {
    say "$@"
    exit 1
}

# --- Pythons ---

# Prints the version of a Python (X.Y) and the prefix of its installation, which an environment
# shares. Prints nothing if it does not run: pyenv has shims for versions that are switched off.
probe() { # PYTHON
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2], sys.base_prefix)' 2>/dev/null || true
}

is_supported() { # VERSION
    [[ -n $1 && " ${supported[*]} " == *" $1 "* ]]
}

# Prints the first Python found that is of one of the versions, or nothing.
find_python() { # VERSION ...
    local candidate version pyenv_root=${PYENV_ROOT:-~/.pyenv}
    while read -r candidate; do
        read -r version _ < <(probe "$candidate") || continue
        if [[ " $* " == *" $version "* ]]; then
            echo "$candidate"
            return
        fi
    done < <(
        type -aP python3 "${@/#/python}"
        for version; do
            compgen -G "$pyenv_root/versions/$version.*/bin/python" | sort -Vr
        done
    )
}

# --- System packages, on Debian and Ubuntu ---

may_be_root() {
    ((EUID == 0)) || { type -P sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; }
}

apt_get() { # ARGUMENT ...
    local sudo=()
    ((EUID == 0)) || sudo=(sudo)
    ${sudo[@]+"${sudo[@]}"} env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@" >/dev/null
}

update_lists() {
    [[ -z ${lists_updated:-} ]] || return 0
    lists_updated=yes
    apt_get update || say "apt-get update failed; going on with the lists at hand"
}

# Prints those of the packages that are not installed.
missing() { # PACKAGE ...
    comm -23 <(printf '%s\n' "$@" | sort -u) \
        <(dpkg-query -Wf '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
            sed -n 's/ installed$//p' | sort -u)
}

# Removes nothing to make room: a desktop may have a sound server that excludes PulseAudio.
install_packages() { # PACKAGE ...
    local packages=()
    read -ra packages < <(missing "$@" | tr '\n' ' ') || ((${#packages[@]})) || return 0
    may_be_root ||
        die "as root, run this first: apt-get install --no-install-recommends ${packages[*]}"
    say "installing ${packages[*]}"
    update_lists
    apt_get install --yes --no-install-recommends --no-remove "${packages[@]}" ||
        die "apt-get could not install ${packages[*]}"
}

# Prints the version of what the distribution calls python3, or nothing.
usual_python() {
    apt-cache show --no-all-versions python3 2>/dev/null |
        sed -n 's/^Version: \([0-9]*\.[0-9]*\).*/\1/p'
}

# Installs the distribution's own Python, or else the newest supported one that it offers.
install_python() {
    local version
    if type -P apt-get >/dev/null; then
        ! may_be_root || update_lists
        for version in $(usual_python) "${supported[@]}"; do
            if is_supported "$version" && apt-cache show "python$version-venv" >/dev/null 2>&1; then
                install_packages "python$version"{,-dev,-venv} "${build_packages[@]}"
                return
            fi
        done
    fi
    die "install one of Python ${supported[*]} first; there is none here"
}

# --- Environments ---

# An environment keeps a list of what has been installed in it, one requirement a line.
list=requirements.txt

is_made() { # FOLDER
    [[ -x $1/bin/python && -e $1/$list ]]
}

# Prints what is needed and not installed in the environment.
lacking() { # FOLDER PYTHON
    "$2" tools/requirements.py ${extra:+"$extra"} | sort |
        comm -23 - <(sort "$1/$list" 2>/dev/null)
}

# Makes the environment anew, unless PYTHON is its own, and installs what it does not hold.
make_environment() { # FOLDER PYTHON
    local folder=$1 python=$2
    if [[ $python != "$folder/bin/python" ]]; then
        say "making $folder with $python"
        "$python" -m venv --clear "$folder"
    fi
    lacking "$folder" "$folder/bin/python" >"$folder/lacking.txt"
    if [[ -s $folder/lacking.txt ]]; then
        say "installing the dependencies${extra:+ and the extra $extra} in $folder"
        # Without PEP 517, old versions of pip warn that they build simpleaudio in an old way.
        PIP_USE_PEP517=1 "$folder/bin/python" -m pip --disable-pip-version-check \
            install --quiet -r "$folder/lacking.txt"
        cat "$folder/lacking.txt" >>"$folder/$list"
    fi
}

# --- What is asked for ---

goal=${1:-}
versions=("${@:2}")
extra=
packages=()
case $goal in
run) ;;
lint) extra=dev ;;
fuzz)
    extra=fuzz
    supported=(3.13 3.12 3.11) # atheris has no wheels for later ones
    ;;
bench)
    extra=bench
    ((EUID != 0)) || packages+=("${network_packages[@]}")
    ;;
test)
    extra=dev
    packages+=("${sound_packages[@]}" "${browser_packages[@]}")
    ((EUID != 0)) || packages+=("${network_packages[@]}")
    ;;
*) die "usage: tools/setup.sh run | lint | fuzz | bench | test [VERSION ...]" ;;
esac
for version in ${versions[@]+"${versions[@]}"}; do
    is_supported "$version" || die "Python $version is not supported: choose from ${supported[*]}"
done

# The Python of .venv: its own, or that from which it is to be made.
main=.venv/bin/python
if [[ -n ${PYTHON:-} ]]; then
    read -r version _ < <(probe "$PYTHON") || version=
    is_supported "$version" || die "PYTHON=$PYTHON does not run as one of Python ${supported[*]}"
    is_made .venv && [[ $(probe "$PYTHON") == "$(probe "$main")" ]] || main=$PYTHON
elif ! is_made .venv; then
    main=$(find_python "${supported[@]}")
    if [[ -z $main ]]; then
        install_python
        main=$(find_python "${supported[@]}")
        [[ -n $main ]] || die "the Python that was installed does not run"
    fi
fi

read -r main_version _ < <(probe "$main")
is_supported "$main_version" ||
    die "$main is Python $main_version: make .venv anew with PYTHON=python3.X, one of ${supported[*]}"

# Each environment asked for, with its own Python or that from which it is to be made.
folders=(.venv)
pythons=("$main")
if [[ $goal == test ]]; then
    folders=()
    pythons=()
    ((${#versions[@]})) && wanted=("${versions[@]}") || wanted=("${supported[@]}")
    for version in "${wanted[@]}"; do
        folder=.venv-$version
        if [[ $version == "$main_version" ]]; then
            folder=.venv python=$main
        elif is_made "$folder"; then
            python=$folder/bin/python
        else
            python=$(find_python "$version")
        fi
        if [[ -n $python ]]; then
            folders+=("$folder")
            pythons+=("$python")
        elif ((${#versions[@]})); then
            die "there is no Python $version here"
        fi
    done
fi

# What those need to be made, and to compile simpleaudio.
for i in "${!folders[@]}"; do
    if [[ ${pythons[i]} != "${folders[i]}/bin/python" ]] ||
        [[ -n $(lacking "${folders[i]}" "${pythons[i]}") ]]; then
        packages+=("${build_packages[@]}")
        read -r version prefix < <(probe "${pythons[i]}")
        [[ $prefix != /usr ]] || packages+=("python$version"-{dev,venv})
    fi
done
if type -P apt-get >/dev/null; then
    ((${#packages[@]} == 0)) || install_packages "${packages[@]}"
elif ((${#packages[@]})); then
    say "no apt-get here: see to what Debian calls ${packages[*]}"
fi

for i in "${!folders[@]}"; do
    make_environment "${folders[i]}" "${pythons[i]}"
    echo "${folders[i]}/bin/python" >&3
done
