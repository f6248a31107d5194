# shellcheck shell=bash
# The NIC goes from the kernel to RingDNS and back, each command typed by hand. Runs behind guest.sh.

main() {
  step "machine started" prepare
  step "kernel has the NIC ($DRIVER)" kernel_has_nic
  ask_host kernel
  step "doctor: what is missing" doctor_finds 1 "ringdns setup hugepages --mib" "ringdns setup nic bind $NIC"
  step "default route is not taken" refuses_default_route
  # No two drivers are the same: virtio's NIC has no interrupt pin, which uio_pci_generic needs.
  if [ "$DRIVER" = e1000e ]; then step "uio by --no-iommu only, and back" unguarded_round_trip; fi
  step "hugepages reserved" hugepages "$HUGEPAGES_MIB"
  step "NIC bound to vfio-pci" bind_nic
  step "NIC bound again: no change" bind_nic
  if [ "$RUN_AS" != root ]; then
    step "doctor: permissions missing" doctor_finds 1 "ringdns setup permissions"
    step "permissions given" permissions
  fi
  step "doctor: all there" doctor_finds 0
  step "server started" start_server
  step "kernel interface" kernel_interface
  step "a file to fetch" serve_file
  ask_host dns
  ask_host stream
  step "counters" counters
  step "NIC in use is not taken" refuses_while_used
  step "server stopped" stop_server
  step "NIC given back" unbind_nic
  ask_host back
  step "hugepages given back" hugepages 0
  record "machine ended" ok ""
  finish
}

main
