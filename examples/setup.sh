# Set-up shared by examples/demo.sh and tests/run.sh: sourced, not run. Needs bash; works from the project's folder.

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "cannot go on: $*"
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "this needs root and there is no sudo; as root, run: $*"
    fi
}

find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$name"
            return
        fi
    done
    fail "Python 3.11 or newer is missing (Debian, Ubuntu: apt-get install python3 python3-venv)"
}

# make_venv [extra]: .venv with the project and, if named, an extra; nothing is done again until versions change.
make_venv() {
    local extra=${1:-} target=. stamp wanted python
    [ -z "$extra" ] || target=".[$extra]"
    stamp=".venv/installed${extra:+-$extra}"
    wanted=$(cat pyproject.toml tests/constraints.txt | sha256sum | cut -d' ' -f1)
    if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        python=$(find_python) || exit 1
        "$python" -c 'import ensurepip, venv' 2>/dev/null ||
            fail "Python's venv module is missing (Debian, Ubuntu: apt-get install python3-venv)"
        say "making .venv with $("$python" --version)"
        "$python" -m venv --clear .venv || fail "no virtual environment could be made in .venv"
    fi
    say "installing replica${extra:+ with its $extra tools} into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c tests/constraints.txt -e "$target" ||
        fail "pip could not install the project: is the package index reachable?"
    printf '%s\n' "$wanted" | tee .venv/installed >"$stamp"
}

has_server() {
    PATH="$PATH:/usr/sbin:/usr/local/sbin:/usr/libexec" command -v mariadbd >/dev/null
}

# The server's program only; no service is set up and none is started.
ensure_server() {
    has_server && return
    say "installing MariaDB's server program from the system's packages"
    if command -v apt-get >/dev/null; then
        apt-cache show mariadb-server-core >/dev/null 2>&1 || as_root apt-get update -qq
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$(apt_package)" >&2
    elif command -v dnf >/dev/null; then
        as_root dnf install -y -q mariadb-server >&2
    elif command -v pacman >/dev/null; then
        as_root pacman -S --noconfirm --needed mariadb >&2
    else
        fail "no package manager that is known here (apt, dnf, pacman): install MariaDB's server, mariadbd, yourself"
    fi
    has_server || fail "MariaDB's server program, mariadbd, is still missing: install it yourself"
}

# Before Debian 12 and Ubuntu 23.04 the package's name ends with the version.
apt_package() {
    if apt-cache show mariadb-server-core >/dev/null 2>&1; then
        echo mariadb-server-core
    else
        apt-cache search --names-only '^mariadb-server-core-[0-9.]+$' | cut -d' ' -f1 | sort -V | tail -n 1
    fi
}
