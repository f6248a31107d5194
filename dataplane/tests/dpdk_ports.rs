//! Real DPDK ports over virtual devices that need no privilege, NIC or hugepage: net_ring, net_null, net_pcap; and a TAP device
//! where there may be one.
//!
//! One test: the EAL starts once in a process, so the scenarios share it and run in order.

#![cfg(feature = "dpdk")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::HashSet;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use ringdns_dataplane::dpdk::{
    Device, DeviceProblem, DpdkError, Eal, EalOptions, Port, PortOptions, PortQueue, ProbedPort,
};
use ringdns_dataplane::nic::{Burst, Nic};
use ringdns_dataplane::plan::Plan;
use ringdns_engine::frame::FrameBuffer;
use ringdns_engine::limits::BURST_FRAMES_MAX;
use rustix::event::{Timespec, epoll};

#[test]
fn ports() {
    let options = EalOptions { hugepages: false, memory_mib: 128, worker_cores: vec![] };
    let too_much = EalOptions { memory_mib: u32::MAX, ..options.clone() };
    assert!(matches!(Eal::start(&too_much, &[]), Err(DpdkError::Memory { .. })));
    let eal = Eal::start(&options, &[]).unwrap();
    assert!(matches!(Eal::start(&options, &[]), Err(DpdkError::AlreadyStarted)));
    assert!(Eal::version().starts_with("DPDK "), "{}", Eal::version());

    frames_pass_a_ring(&eal);
    frames_pass_from_file_to_file(&eal);
    a_full_ring_refuses(&eal);
    queues_belong_to_threads(&eal);
    a_closed_port_has_returned_its_buffers(&eal);
    kept_frames_outlive_their_port(&eal);
    devices_tell_how_many_queues_they_have(&eal);
    large_frames_fit_one_buffer(&eal);
    a_tap_device_tells_of_arrivals(&eal);
    an_interrupt_tells_of_a_frame(&eal);
    unknown_drivers_are_named(&eal);
    impossible_settings_are_refused(&eal);
}

/// Opens a port with one queue pair.
fn open(eal: &Eal, device: &str) -> (Port, PortQueue) {
    let device = Device::parse(device).unwrap();
    let (port, mut queues) = Port::open(eal, &device, PortOptions::default()).unwrap();
    assert_eq!(queues.len(), 1);
    (port, queues.remove(0))
}

/// A burst of frames that net_null makes up.
fn empty_frames(nic: &mut PortQueue) -> Burst<<PortQueue as Nic>::Frame> {
    let mut burst = Burst::new();
    nic.receive(&mut burst);
    assert_eq!(burst.len(), BURST_FRAMES_MAX);
    burst
}

/// Writes a frame of `len` bytes that starts with a number.
fn write(frame: &mut impl FrameBuffer, number: u16, len: usize) {
    frame.set_len(len);
    let [first, second] = number.to_be_bytes();
    frame.room()[..2].copy_from_slice(&[first, second]);
    frame.room()[2..len].fill(0xa5);
}

/// The number that a frame starts with.
fn number(frame: &impl FrameBuffer) -> u16 {
    u16::from_be_bytes([frame.frame()[0], frame.frame()[1]])
}

fn frames_pass_a_ring(eal: &Eal) {
    let (source_port, mut source) = open(eal, "net_null0");
    let (ring_port, mut ring) = open(eal, "net_ring0");
    assert_eq!((source_port.name(), ring_port.name()), ("net_null0", "net_ring0"));
    assert!(ring_port.link().unwrap().up);
    assert!(!ring_port.has_rss());
    assert_eq!(ring_port.udp_payload_bytes_max(), 1452);
    source.attach();
    for round in 0..2000u16 {
        let mut burst = empty_frames(&mut source);
        for (index, frame) in (0u16..).zip(&mut burst) {
            assert!(frame.is_whole());
            assert!(frame.room().len() >= 2048);
            write(frame, round ^ index, 60 + usize::from(index));
        }
        ring.transmit(&mut burst);
        assert!(burst.is_empty(), "a ring of 1,024 takes a burst");
        ring.receive(&mut burst);
        assert_eq!(burst.len(), BURST_FRAMES_MAX);
        for (index, frame) in (0u16..).zip(&burst) {
            assert_eq!((number(frame), frame.frame().len()), (round ^ index, 60 + usize::from(index)));
        }
        ring.release(&mut burst);
        ring.receive(&mut burst);
        assert!(burst.is_empty());
    }
}

fn a_full_ring_refuses(eal: &Eal) {
    let (_source_port, mut source) = open(eal, "net_null0");
    let (_ring_port, mut ring) = open(eal, "net_ring1");
    let mut accepted = 0u16;
    let refused = loop {
        let mut burst = empty_frames(&mut source);
        for (index, frame) in (0u16..).zip(&mut burst) {
            write(frame, accepted + index, 60);
        }
        ring.transmit(&mut burst);
        accepted += u16::try_from(BURST_FRAMES_MAX - burst.len()).unwrap();
        if !burst.is_empty() {
            break burst;
        }
    };
    let numbers: Vec<u16> = refused.iter().map(number).collect();
    let expected: Vec<u16> = (accepted..).take(refused.len()).collect();
    assert_eq!(numbers, expected, "what was refused is still there, in order");
    drop(refused);
    let mut seen = 0;
    let mut burst = Burst::new();
    loop {
        ring.receive(&mut burst);
        if burst.is_empty() {
            break;
        }
        assert!(burst.iter().all(|frame| {
            seen += 1;
            number(frame) == seen - 1
        }));
        ring.release(&mut burst);
    }
    assert_eq!(seen, accepted);
}

fn queues_belong_to_threads(eal: &Eal) {
    let device = Device::parse("net_null1").unwrap();
    let options = PortOptions { queues: 2, ..PortOptions::default() };
    let (port, queues) = Port::open(eal, &device, options).unwrap();
    let threads: Vec<_> = queues
        .into_iter()
        .map(|mut queue| {
            std::thread::spawn(move || {
                queue.attach();
                let mut burst = Burst::new();
                for _ in 0..20_000 {
                    queue.receive(&mut burst);
                    assert_eq!(burst.len(), BURST_FRAMES_MAX);
                    queue.transmit(&mut burst);
                    assert!(burst.is_empty());
                }
                queue
            })
        })
        .collect();
    drop(port);
    for thread in threads {
        thread.join().unwrap();
    }
}

fn a_closed_port_has_returned_its_buffers(eal: &Eal) {
    for _ in 0..3 {
        let (port, mut queue) = open(eal, "net_null2");
        drop(port);
        let mut burst = empty_frames(&mut queue);
        queue.release(&mut burst);
    }
}

fn kept_frames_outlive_their_port(eal: &Eal) {
    let (port, mut queue) = open(eal, "net_null3");
    let mut kept = empty_frames(&mut queue);
    assert_eq!(port.mbufs_in_use() as usize, BURST_FRAMES_MAX);
    drop((port, queue));
    for frame in &mut kept {
        write(frame, 7, 100);
    }
    assert!(kept.iter().all(|frame| number(frame) == 7));
}

fn frames_pass_from_file_to_file(eal: &Eal) {
    let folder = std::env::temp_dir().join(format!("ringdns-dpdk-ports-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (source, sink): (PathBuf, PathBuf) = (folder.join("in.pcap"), folder.join("out.pcap"));
    let frames: Vec<Vec<u8>> = (0..300u16).map(|number| [&number.to_be_bytes()[..], &[1; 70]].concat()).collect();
    fs::write(&source, pcap_of(&frames)).unwrap();
    let arguments = format!("net_pcap0,rx_pcap={},tx_pcap={}", source.display(), sink.display());
    let (port, mut queue) = open(eal, &arguments);
    let mut passed = 0;
    loop {
        let mut burst = Burst::new();
        queue.receive(&mut burst);
        if burst.is_empty() {
            break;
        }
        passed += burst.len();
        queue.transmit(&mut burst);
        assert!(burst.is_empty());
    }
    assert_eq!(passed, frames.len());
    // Closing the port writes the file's end.
    drop((port, queue));
    assert_eq!(frames_of(&fs::read(&sink).unwrap()), frames);
    fs::remove_dir_all(&folder).unwrap();
}

fn devices_tell_how_many_queues_they_have(eal: &Eal) {
    let probe = |device: &str| ProbedPort::new(eal, &Device::parse(device).unwrap()).unwrap();
    let places = ["net_ring3", "net_null7"].map(|device| probe(device).place());
    assert_eq!(places[0].queues, 16);
    assert!(places[1].queues >= 16, "{places:?}");
    // Probing left nothing behind; one queue for each of three workers, where there are so many.
    let probed = probe("net_ring3");
    let plan = Plan::new(&[probed.place()], &[None; 3]);
    let queues = u16::try_from(plan.workers_of(0).len()).unwrap();
    let (port, queues) = probed.open(PortOptions { queues, interrupts: true, ..PortOptions::default() }).unwrap();
    let setup = port.setup();
    assert_eq!((queues.len(), setup.queues, setup.interrupts, setup.driver.as_str()), (3, 3, false, "net_ring"));
    assert!(queues.iter().all(|queue| queue.arrivals().is_none()), "a ring has no interrupts");
}

fn large_frames_fit_one_buffer(eal: &Eal) {
    let options = PortOptions { mtu: 9000, ..PortOptions::default() };
    let open = |device: &str| Port::open(eal, &Device::parse(device).unwrap(), options).unwrap();
    let (_source_port, mut source) = open("net_null8");
    let (_ring_port, mut ring) = open("net_ring4");
    let mut burst = empty_frames(&mut source[0]);
    burst.truncate(4);
    for frame in &mut burst {
        assert!(frame.room().len() >= 9018);
        write(frame, 7, 9018);
    }
    ring[0].transmit(&mut burst);
    assert!(burst.is_empty());
    ring[0].receive(&mut burst);
    assert_eq!(burst.len(), 4);
    assert!(burst.iter().all(|frame| frame.is_whole() && frame.frame().len() == 9018 && number(frame) == 7));
    ring[0].release(&mut burst);
}

fn a_tap_device_tells_of_arrivals(eal: &Eal) {
    let device = Device::parse("net_tap9,iface=rdports9").unwrap();
    let options = PortOptions { queues: 2, interrupts: true, ..PortOptions::default() };
    let (port, queues) = match Port::open(eal, &device, options) {
        Ok(opened) => opened,
        Err(DpdkError::Device { problem: DeviceProblem::Capability(_) | DeviceProblem::NoTun, .. }) => return,
        Err(error) => panic!("{error}"),
    };
    assert!(port.setup().interrupts && port.setup().spread.is_there(), "{:?}", port.setup());
    let files: HashSet<_> = queues.iter().map(|queue| queue.arrivals().unwrap().as_raw_fd()).collect();
    assert_eq!(files.len(), 2, "a file for each queue");
    drop((port, queues));
    let (port, queues) = Port::open(eal, &device, PortOptions { interrupts: false, ..options }).unwrap();
    assert!(!port.setup().interrupts && queues.iter().all(|queue| queue.arrivals().is_none()));
}

/// By a wire of shared memory, one of whose ends has interrupts as a NIC has them.
fn an_interrupt_tells_of_a_frame(eal: &Eal) {
    let path = std::env::temp_dir().join(format!("ringdns-vhost-{}", std::process::id()));
    let near = Device::parse(&format!("net_vhost0,iface={}", path.display())).unwrap();
    let far = Device::parse(&format!("net_virtio_user0,path={}", path.display())).unwrap();
    let (near_port, mut near) = Port::open(eal, &near, PortOptions::default()).unwrap();
    let options = PortOptions { interrupts: true, ..PortOptions::default() };
    let (far_port, mut far) = Port::open(eal, &far, options).unwrap();
    assert!(far_port.setup().interrupts, "{:?}", far_port.setup());
    let (_source_port, mut source) = open(eal, "net_null9");
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let changes = epoll::EventFlags::IN | epoll::EventFlags::ET;
    epoll::add(&epoll, far[0].arrivals().unwrap(), epoll::EventData::new_u64(0), changes).unwrap();
    let wait = |seconds| {
        let mut events = [const { MaybeUninit::uninit() }; 4];
        let time_max = Timespec { tv_sec: seconds, tv_nsec: 1_000_000 };
        epoll::wait(&epoll, &mut events, Some(&time_max)).unwrap().0.len()
    };
    far[0].attach();
    wait(0);
    for round in 0..50 {
        let is_armed = round % 3 != 0;
        if is_armed {
            far[0].arm();
        }
        let mut burst = empty_frames(&mut source);
        burst.truncate(1);
        write(&mut burst[0], round, 60);
        while !burst.is_empty() {
            near[0].transmit(&mut burst);
        }
        assert_eq!(wait(if is_armed { 20 } else { 0 }), usize::from(is_armed), "round {round}");
        far[0].disarm();
        far[0].receive(&mut burst);
        assert_eq!((burst.len(), number(&burst[0])), (1, round));
        far[0].release(&mut burst);
    }
    // In this order: DPDK's vhost does not survive it when the far end goes first.
    drop((near, near_port));
    drop((far, far_port));
}

fn unknown_drivers_are_named(eal: &Eal) {
    let device = Device::parse("net_nosuch0").unwrap();
    let error = Port::open(eal, &device, PortOptions::default()).unwrap_err();
    assert!(error.to_string().contains("apt-get install --no-install-recommends librte-net-nosuch"), "{error}");
    let device = Device::parse("net_pcap1,rx_pcap=/nonexistent,tx_pcap=/nonexistent").unwrap();
    let error = Port::open(eal, &device, PortOptions::default()).unwrap_err();
    assert!(matches!(error, DpdkError::Device { problem: DeviceProblem::Probe(_), .. }), "{error}");
}

fn impossible_settings_are_refused(eal: &Eal) {
    let mut problems = HashSet::new();
    let attempts = [
        ("net_ring2", PortOptions { queues: 17, ..PortOptions::default() }),
        ("net_null5", PortOptions { mtu: 100, ..PortOptions::default() }),
        ("net_null6", PortOptions { mtu: 9000, queues: 16, ..PortOptions::default() }),
    ];
    for (arguments, options) in attempts {
        let error = Port::open(eal, &Device::parse(arguments).unwrap(), options).unwrap_err();
        let DpdkError::Device { problem, .. } = &error else { panic!("{error}") };
        problems.insert(std::mem::discriminant(problem));
    }
    assert_eq!(problems.len(), attempts.len(), "queues, MTU, memory");
}

/// A capture file: header, then each frame with its own.
fn pcap_of(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, 1] {
        file.extend(word.to_le_bytes());
    }
    for frame in frames {
        let len = u32::try_from(frame.len()).unwrap();
        for word in [0, 0, len, len] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

/// The frames of a capture file.
fn frames_of(file: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut rest = &file[24..];
    while let Some((header, more)) = rest.split_first_chunk::<16>() {
        let len = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        frames.push(more[..len].to_vec());
        rest = &more[len..];
    }
    frames
}
