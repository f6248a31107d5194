# shellcheck shell=bash
# What happens inside the virtual machine: the steps. scripts/appliance-test writes the variables before them and one of
# direct.sh and units.sh behind them, and does what they ask of it.
#   BINARY KERNEL_ROOT    paths of this machine, which the guest shares
#   NIC MODULE DRIVER     of the emulated NIC: address, the kernel's module, the PCI driver in it
#   RUN_AS                root or nobody
: "${BINARY:?}" "${KERNEL_ROOT:?}" "${NIC:?}" "${MODULE:?}" "${DRIVER:?}" "${RUN_AS:?}" "${HUGEPAGES_MIB:?}"
readonly CONTROL=/run/control CONFIG=/run/control/ringdns.toml STATE=/run/ringdns-state
readonly INTERFACE=lan0 ADDRESS=198.51.100.7/24 ROUTE=203.0.113.0/24
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C

server=""

# Writes a line of the table: name, outcome, what there is to say.
record() {
  printf '%s\t%s\t%s\n' "$1" "$2" "${*:3}" >>"$CONTROL/steps"
}

# Runs a step by name; what it says goes to the log, and its last line into the table. Stops everything where it fails.
step() {
  local name=$1 outcome=ok
  shift
  echo "--- $name: $*"
  "$@" >/run/step 2>&1 || outcome="FAILED ($?)"
  cat /run/step
  record "$name" "$outcome" "$(grep -v '^$' /run/step | tail -n 1 | cut -c 1-100)"
  [ "$outcome" = ok ] || finish
}

# Has the host do something and waits for it; the host writes its own lines of the table.
ask_host() {
  local seconds_end=$((SECONDS + 180))
  : >"$CONTROL/ask-$1"
  until [ -e "$CONTROL/done-$1" ]; do
    [ "$SECONDS" -lt "$seconds_end" ] || { record "host: $1" "FAILED" "no answer within 180 s"; finish; }
    sleep 0.1
  done
}

# Ends the machine, whatever runs.
finish() {
  [ -z "$server" ] || kill -KILL "$server" 2>/dev/null
  dmesg >"$CONTROL/dmesg"
  echo "guest has ended"
  sync
  echo o >/proc/sysrq-trigger
  sleep 30
}

# Waits until a command succeeds; at most so many seconds.
wait_for() {
  local seconds_end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$seconds_end" ] || { echo "waited in vain for: $*"; return 1; }
    sleep 0.1
  done
}

# Modules come from the unpacked kernel; the host may have no modprobe, busybox has.
prepare() {
  mkdir -p /lib/modules /sbin && mount --bind "$KERNEL_ROOT/lib/modules" /lib/modules || return
  command -v modprobe >/dev/null || ln -s "$KERNEL_ROOT/bin/busybox" /sbin/modprobe || return
  [ -e /sbin/modprobe ] || ln -s "$(command -v modprobe)" /sbin/modprobe || return
  install -m 755 "$BINARY" /usr/local/bin/ringdns && ip link set lo up || return
  mkdir -p "$STATE" && chown nobody "$STATE" && cp "$CONTROL"/*.toml "$CONTROL"/*.zone "$STATE" || return
  uname -r
}

# The kernel has the NIC, under a name that it would not give it, with an address and a route.
kernel_has_nic() {
  modprobe "$MODULE" && wait_for 10 test -e /sys/class/net/eth0 || return
  ip link set eth0 name "$INTERFACE" && ip link set "$INTERFACE" up mtu 1400 || return
  ip address add "$ADDRESS" dev "$INTERFACE" && ip route add "$ROUTE" via 198.51.100.1 || return
  ip -brief address show dev "$INTERFACE"
}

# Becomes the user that runs the server, and then a program: to be called in a shell of its own.
become_server_user() {
  local capabilities=+net_admin,+net_raw,+net_bind_service
  if [ "$RUN_AS" = root ]; then exec "$@"; fi
  ulimit -l unlimited && ulimit -n 65536 || return
  exec setpriv --reuid nobody --regid nogroup --clear-groups --inh-caps "$capabilities" --ambient-caps "$capabilities" \
    --bounding-set "-all,$capabilities" --no-new-privs "$@"
}

# The doctor must find so much missing and name these commands, or find nothing missing.
doctor_finds() {
  local wanted=$1 found=0 words
  shift
  (become_server_user ringdns doctor --config "$CONFIG") >/run/doctor 2>&1 || found=$?
  cat /run/doctor
  for words in "$@"; do
    grep -qF -- "$words" /run/doctor || { echo "the doctor does not say: $words"; return 1; }
  done
  [ "$found" = "$wanted" ] || { echo "exit code $found, wanted $wanted"; return 1; }
}

reserved_mib() {
  awk '/^HugePages_Total/ {print $2 * 2}' /proc/meminfo
}

hugepages() {
  ringdns setup hugepages --mib "$1" && [ "$(reserved_mib)" = "$1" ]
}

driver_is() {
  [ "$(basename "$(readlink "/sys/bus/pci/devices/$NIC/driver")")" = "$1" ]
}

bind_nic() {
  modprobe vhost_net tun 2>/dev/null
  modprobe tun 2>/dev/null
  ringdns setup nic bind "$NIC" && driver_is vfio-pci && [ ! -e "/sys/class/net/$INTERFACE" ]
}

refuses_default_route() {
  ip route add default via 198.51.100.1 || return
  if ringdns setup nic bind "$NIC"; then return 1; fi
  ip route del default && driver_is "$DRIVER" && echo "refused"
}

# A driver behind which no IOMMU stands is taken only by who says so, and gives the NIC back as well.
unguarded_round_trip() {
  if ringdns setup nic bind "$NIC" --driver uio_pci_generic; then return 1; fi
  driver_is "$DRIVER" && ringdns setup nic bind "$NIC" --driver uio_pci_generic --no-iommu && driver_is uio_pci_generic || return
  unbind_nic
}

permissions() {
  ringdns setup permissions --user nobody
}

start_server() {
  cd "$STATE" || return
  become_server_user ringdns run --config "$STATE/ringdns.toml" >"$CONTROL/server.log" 2>&1 &
  server=$!
  wait_for 60 is_ready_or_gone
  if ! is_running; then
    cat "$CONTROL/server.log"
    return 1
  fi
  echo "ready as user $(awk '/^Uid/ {print $3}' "/proc/$server/status")"
}

# A child that was not waited for stays in /proc when it has ended: its state tells.
is_running() {
  grep -q '^State:[[:space:]]*[RSD]' "/proc/$server/status"
}

is_ready_or_gone() {
  ! is_running || curl --silent --fail --max-time 5 http://127.0.0.1:8053/ready
}

# A NIC that a process has must not be taken away: the kernel would wait for the process.
refuses_while_used() {
  if timeout 20 ringdns setup nic unbind "$NIC"; then return 1; fi
  driver_is vfio-pci && echo "refused"
}

counters() {
  curl --silent --fail --max-time 10 http://127.0.0.1:8053/metrics >"$CONTROL/metrics" || return
  awk '/^ringdns_rx_frames_total/ {frames = frames " " $2} END {print "frames of each worker:" frames}' "$CONTROL/metrics"
}

stop_server() {
  local seconds_end=$((SECONDS + 60)) code=0
  kill -TERM "$server" || return
  while is_running && [ "$SECONDS" -lt "$seconds_end" ]; do sleep 0.1; done
  wait "$server" || code=$?
  server=""
  echo "exit code $code"
  [ "$code" = 0 ] && [ ! -e /sys/class/net/ring0 ]
}

unbind_nic() {
  ringdns setup nic unbind "$NIC" && driver_is "$DRIVER" || return
  wait_for 10 test -e "/sys/class/net/$INTERFACE" || return
  # As it was: address, MTU, route.
  ip address show dev "$INTERFACE" | grep -qF "$ADDRESS" || { echo "the address is gone"; return 1; }
  [ "$(cat "/sys/class/net/$INTERFACE/mtu")" = 1400 ] || { echo "the MTU is gone"; return 1; }
  ip route show "$ROUTE" | grep -q via || { echo "the route is gone"; return 1; }
  [ ! -e "/run/ringdns-setup/nic/$NIC" ] && ip -brief address show dev "$INTERFACE"
}

# Something to be fetched from the guest's kernel over TCP.
serve_file() {
  mkdir -p /run/www && head -c 2000000 /dev/urandom >/run/www/bulk && cp /run/www/bulk "$CONTROL/bulk" || return
  "$KERNEL_ROOT/bin/busybox" httpd -p 8080 -h /run/www
}

# What is not DNS comes by this interface; the served addresses are given to it, so that the kernel answers for them.
kernel_interface() {
  wait_for 10 test -e /sys/class/net/ring0 && ip link set ring0 up || return
  ip address add 198.51.100.53/24 dev ring0 && ip address add 2001:db8:53::53/64 dev ring0 nodad || return
  ip -brief address show dev ring0
  ip -details link show dev ring0 | grep -o 'link/ether [0-9a-f:]*\|tun type [a-z]*' | tr '\n' ' '
}
