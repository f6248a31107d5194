# shellcheck shell=bash
# The same by the units of conf/systemd, under a real systemd: the server in its sandbox. Runs behind guest.sh, twice: as the
# first process, which becomes systemd, and as a service of that.
: "${UNITS:?}"

# Everything in its place, as hugepages/README.md says.
install_units() {
  prepare || return
  cp "$UNITS"/*.service /etc/systemd/system/ && mkdir -p /etc/sysusers.d /etc/ringdns || return
  cp "$UNITS/ringdns.sysusers" /etc/sysusers.d/ringdns.conf && systemd-sysusers /etc/sysusers.d/ringdns.conf || return
  sed "s/^NICS=.*/NICS=\"$NIC\"/; s/^HUGEPAGES_MIB=.*/HUGEPAGES_MIB=$HUGEPAGES_MIB/" "$UNITS/setup.env" >/etc/ringdns/setup.env
  mkdir -p /etc/systemd/network && cp "$UNITS/ring0.network" /etc/systemd/network/60-ring0.network || return
  cp "$CONTROL"/*.toml "$CONTROL"/*.zone /etc/ringdns/
  sed -i 's#^path = "ringdns.redb"#path = "/var/lib/ringdns/ringdns.redb"#' /etc/ringdns/ringdns.toml
  # This machine's disks are not the guest's, and its temporary files are not to be cleaned.
  : >/etc/fstab
  ln -sf /dev/null /etc/systemd/system/systemd-tmpfiles-setup.service
  # Modules that a distribution loads at boot or udev by need.
  modprobe vhost_net; modprobe tun
  printf '[Unit]\nRequires=steps.service\n' >/etc/systemd/system/steps.target
  printf '[Unit]\nAfter=basic.target\n[Service]\nType=oneshot\nTimeoutStartSec=infinity\nStandardOutput=tty\nStandardError=tty\nTTYPath=/dev/console\nExecStart=/bin/bash /run/control/guest steps\n' \
    >/etc/systemd/system/steps.service
}

property() {
  systemctl show --property "$1" --value ringdns
}

# Started means ready: the service manager was told so.
units_start() {
  systemctl start ringdns-setup ringdns || { journalctl --no-pager -u ringdns-setup -u ringdns | tail -n 20; return 1; }
  driver_is vfio-pci && [ "$(reserved_mib)" = "$HUGEPAGES_MIB" ] && [ "$(property StatusText)" = Answering ] || return
  echo "ringdns is $(property ActiveState): $(property StatusText)"
}

# The interface has the addresses of conf/systemd/ring0.network, whenever it is made.
networkd_addresses() {
  systemctl start systemd-networkd && wait_for 30 has_addresses || return
  ip -brief address show dev ring0
}

has_addresses() {
  ip address show dev ring0 | grep -qF 198.51.100.53/24 && ip address show dev ring0 | grep -qF 2001:db8:53::53/64
}

# A user of its own, without new privileges, behind a filter of system calls.
sandboxed() {
  local process
  process=$(property MainPID)
  grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' "/proc/$process/status"
  [ "$(stat --format %U "/proc/$process")" = ringdns ] && grep -q '^NoNewPrivs:.*1' "/proc/$process/status" &&
    grep -q '^Seccomp:.*2' "/proc/$process/status" && systemd-analyze security ringdns | tail -n 1 | tr -cd '[:print:]'
}

reloads() {
  systemctl reload ringdns && wait_for 20 answering && property StatusText
}

answering() {
  [ "$(property StatusText)" = Answering ] && [ "$(property ActiveState)" = active ]
}

# A server that hangs feeds no watchdog, and is started again.
watchdog() {
  local before
  before=$(property MainPID)
  kill -STOP "$before" || return
  wait_for 60 restarted "$before" || { systemctl status --no-pager ringdns; return 1; }
  echo "started again: $(property NRestarts)"
}

restarted() {
  [ "$(property MainPID)" != "$1" ] && answering
}

units_stop() {
  systemctl stop ringdns ringdns-setup || return
  journalctl --no-pager -b -u ringdns-setup | tail -n 20
  readlink "/sys/bus/pci/devices/$NIC/driver"
  driver_is "$DRIVER" && [ "$(reserved_mib)" = 0 ] && [ ! -e /sys/class/net/ring0 ] && basename /sys/bus/pci/devices/"$NIC"/net/*
}

save_journal() {
  journalctl --no-pager -b -u ringdns -u ringdns-setup >"$CONTROL/server.log" 2>&1
}

if [ "${1:-}" = steps ]; then
  trap save_journal EXIT
  step "units started" units_start
  step "server sandboxed" sandboxed
  step "addresses by systemd-networkd" networkd_addresses
  step "a file to fetch" serve_file
  ask_host dns
  ask_host stream
  step "reload" reloads
  step "a server that hangs is started again" watchdog
  step "addresses again" wait_for 30 has_addresses
  ask_host again
  save_journal
  step "units stopped, NIC given back" units_stop
  save_journal
  record "machine ended" ok ""
  finish
else
  step "machine started, units installed" install_units
  exec /lib/systemd/systemd --unit=steps.target --show-status=0 --log-target=kmsg
fi
