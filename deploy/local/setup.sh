#!/bin/sh
# Makes .venv and installs the locked dependencies and the project itself into it.
# Does nothing when that is done already: a stamp remembers what was installed.
# PYTHON=/path/to/python3 chooses another interpreter than the first python3 on PATH.
set -eu
cd -P "$(dirname "$0")/../.."

python=${PYTHON:-python3}
stamp=.venv/.installed
wanted="$PWD $(cat pyproject.toml requirements-dev.lock deploy/local/setup.sh | cksum)"

if [ -x .venv/bin/python ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    exit 0
fi

say() { printf 'setup: %s\n' "$*" >&2; }
stop() { say "$@"; exit 1; }

# Debian splits venv off Python, and a small image may lack both.
install_python() {
    packages="python3 python3-venv"
    command -v apt-get >/dev/null || stop "$1 Install Python 3.11 or newer with its venv module, then run this again."
    [ "$(id -u)" = 0 ] || stop "$1 Run this once, then try again: sudo apt-get install --no-install-recommends $packages"
    say "$1 Installing with apt-get, as root: $packages"
    if [ -z "$(find /var/lib/apt/lists -name '*Packages*' -print -quit 2>/dev/null)" ]; then
        apt-get update -qq
    fi
    # shellcheck disable=SC2086  # one word per package
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $packages >/dev/null
}

if ! command -v "$python" >/dev/null; then
    [ -z "${PYTHON:-}" ] || stop "PYTHON names $python, and there is no such program."
    install_python "There is no python3 on this machine."
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop "Python 3.11 or newer is needed, and $(command -v "$python") is $("$python" -V). Name another one: make setup PYTHON=/path/to/python3"
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    install_python "$(command -v "$python") cannot make virtual environments."
    "$python" -c 'import ensurepip, venv' || stop "$(command -v "$python") still cannot: name another one with PYTHON=/path/to/python3"
fi

# An environment that was moved, copied or half made is made anew.
case "$(.venv/bin/pip --version 2>/dev/null || true)" in
    *" from $PWD/.venv/"*) ;;
    *)
        say "making .venv with $("$python" -V)"
        "$python" -m venv --clear .venv
        ;;
esac

# -qq: errors only. Where pip gets its packages from is the machine's own business (pip.conf, PIP_* variables).
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
rm -f "$stamp"
say "installing the locked dependencies into .venv (a minute, the first time)"
pip install -qq --require-hashes -r requirements-dev.lock
pip install -qq --no-deps --no-build-isolation --editable .
printf '%s\n' "$wanted" >"$stamp"
