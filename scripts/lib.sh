# shellcheck shell=bash
# What the scripts share; sourced, never run.

# Says why and stops.
fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# Runs a command as root, by sudo where we are not.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -- "$@"; fi
}

# Fetches the package lists; a few tries, because mirrors fail for moments.
update_package_lists() {
  local try
  for try in 1 2 3; do
    if as_root apt-get update -q -o DPkg::Lock::Timeout=300; then return; fi
    echo "apt-get update failed (try $try of 3)" >&2
    sleep $((try * 5))
  done
  fail "apt-get update failed three times: check /etc/apt/sources.list and the network, then run this again"
}
