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

# Reserves hugepages of 2 MiB on top of those that are there ($1: how many), and gives them back when the script ends.
reserve_hugepages() {
  local before
  [ "$(id -u)" = 0 ] || fail "This bench reserves hugepages: run it as root"
  before=$(cat /proc/sys/vm/nr_hugepages)
  # shellcheck disable=SC2064 # the number of now
  trap "echo $before >/proc/sys/vm/nr_hugepages" EXIT
  echo $((before + $1)) >/proc/sys/vm/nr_hugepages
  [ "$(cat /proc/sys/vm/nr_hugepages)" -ge $((before + $1)) ] || fail "Not enough free memory for $1 hugepages of 2 MiB"
}
