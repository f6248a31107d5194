//! The lists that the rules read: change the house here, on purpose and in review.

/// Who may depend on which of the house's crates, by package name (design: arrows point one way).
pub const ARROWS: &[(&str, &[&str])] = &[
    ("ringdns-engine", &[]),
    ("ringdns-ffi", &[]),
    ("ringdns-hugepages", &[]),
    ("ringdns-dataplane", &["ringdns-engine", "ringdns-ffi", "ringdns-hugepages"]),
    // Text in, text out; the importer and the server that reads a Corefile live have it in common.
    ("ringdns-corefile", &[]),
    ("ringdns-controlplane", &["ringdns-engine", "ringdns-corefile"]),
    // Speaks to a running server over HTTP; its tests alone start one.
    ("ringdns-ctl", &["ringdns-engine", "ringdns-controlplane", "ringdns-corefile"]),
    ("ringdns-forward", &["ringdns-engine", "ringdns-controlplane"]),
    ("ringdns-health", &["ringdns-controlplane"]),
    // Sets up the node; what it is told and shows is the control plane's.
    ("ringdns-nodelocal", &["ringdns-controlplane"]),
    // Its tests alone forward.
    ("ringdns-kubernetes", &["ringdns-engine", "ringdns-controlplane", "ringdns-forward", "ringdns-health"]),
    (
        "ringdns",
        &[
            "ringdns-engine",
            "ringdns-dataplane",
            "ringdns-controlplane",
            "ringdns-ctl",
            "ringdns-forward",
            "ringdns-health",
            "ringdns-hugepages",
            "ringdns-kubernetes",
            "ringdns-nodelocal",
        ],
    ),
    // The outer tests' harness runs the built server for the benches too.
    ("ringdns-bench", &["ringdns-engine", "ringdns-dataplane", "ringdns-tests"]),
    ("ringdns-fuzz", &["ringdns-engine", "ringdns-controlplane", "ringdns-forward"]),
    // Runs the binary; links none of it, so that a test cannot lean on the code under test.
    ("ringdns-tests", &[]),
];

/// The only packages that may depend on the asynchronous runtime and what stands on it.
pub const RUNTIME_PACKAGES: &[&str] =
    &["ringdns-controlplane", "ringdns-forward", "ringdns-health", "ringdns-kubernetes", "ringdns"];

/// The runtime and the crates that bring it along.
pub const RUNTIME_CRATES: &[&str] =
    &["tokio", "tokio-util", "tokio-stream", "warp", "hyper", "hyper-util", "tonic", "reqwest"];

/// Where `ringdns_ffi` may be named.
pub const FFI_PLACES: &[&str] = &["ffi/", "dataplane/src/dpdk/"];

/// Where `unsafe` may stand: folders end in a slash, all else is one file.
pub const UNSAFE_PLACES: &[&str] = &[
    "ffi/",
    "dataplane/src/dpdk/",
    // Asks the memory for a cache line and uses vector registers; says what that earns.
    "dataplane/engine/src/machine.rs",
    // The counting allocators: `GlobalAlloc` is an unsafe trait.
    "dataplane/tests/allocations.rs",
    "bench/src/alloc.rs",
    // Maps huge pages.
    "hugepages/src/region.rs",
];

/// The files that a packet passes through: no allocation, lock, log or panic outside their tests.
/// Not here: files that also build what is published (publish, most of snapshot); dataplane/tests/allocations.rs counts there.
pub const HOT_PATH: &[&str] = &[
    "dataplane/engine/src/additional.rs",
    "dataplane/engine/src/answer.rs",
    "dataplane/engine/src/chain.rs",
    "dataplane/engine/src/cache/put.rs",
    "dataplane/engine/src/cache/shelf.rs",
    "dataplane/engine/src/census.rs",
    "dataplane/engine/src/chaos.rs",
    "dataplane/engine/src/cookie/mod.rs",
    "dataplane/engine/src/cookie/siphash.rs",
    "dataplane/engine/src/counters.rs",
    "dataplane/engine/src/direct.rs",
    "dataplane/engine/src/frame/checksum.rs",
    "dataplane/engine/src/frame/ip.rs",
    "dataplane/engine/src/frame/local.rs",
    "dataplane/engine/src/frame/mod.rs",
    "dataplane/engine/src/frame/plain.rs",
    "dataplane/engine/src/frame/turn.rs",
    "dataplane/engine/src/hash.rs",
    "dataplane/engine/src/locate.rs",
    "dataplane/engine/src/options.rs",
    "dataplane/engine/src/plain/deny.rs",
    "dataplane/engine/src/plain/foreign.rs",
    "dataplane/engine/src/plain/mod.rs",
    "dataplane/engine/src/plain/name.rs",
    "dataplane/engine/src/plain/recall.rs",
    "dataplane/engine/src/plain/reply.rs",
    "dataplane/engine/src/machine.rs",
    "dataplane/engine/src/query/edns.rs",
    "dataplane/engine/src/query/mod.rs",
    "dataplane/engine/src/query/qname.rs",
    "dataplane/engine/src/rate/bucket.rs",
    "dataplane/engine/src/rate/class.rs",
    "dataplane/engine/src/rate/mod.rs",
    "dataplane/engine/src/rate/network.rs",
    "dataplane/engine/src/rate/table.rs",
    "dataplane/engine/src/tally.rs",
    "dataplane/engine/src/recall/tail.rs",
    "dataplane/engine/src/rtype.rs",
    "dataplane/engine/src/rules/leave.rs",
    "dataplane/engine/src/rules/lookup.rs",
    "dataplane/engine/src/rules/pod.rs",
    "dataplane/engine/src/rules/search.rs",
    "dataplane/engine/src/rules/step.rs",
    "dataplane/engine/src/rules/view.rs",
    "dataplane/engine/src/select/choose.rs",
    "dataplane/engine/src/select/generator.rs",
    "dataplane/engine/src/select/rendezvous.rs",
    "dataplane/engine/src/select/table.rs",
    "dataplane/engine/src/serve/limited.rs",
    "dataplane/engine/src/serve/message.rs",
    "dataplane/engine/src/serve/mod.rs",
    "dataplane/engine/src/serve/others.rs",
    "dataplane/engine/src/serve/recalled.rs",
    "dataplane/engine/src/serve/respond.rs",
    "dataplane/engine/src/serve/unknown.rs",
    "dataplane/engine/src/snapshot/depths.rs",
    "dataplane/engine/src/snapshot/node.rs",
    "dataplane/engine/src/snapshot/steps.rs",
    "dataplane/engine/src/verdict.rs",
    "dataplane/engine/src/writer/case.rs",
    "dataplane/engine/src/writer/mod.rs",
    "dataplane/engine/src/writer/place.rs",
    "dataplane/engine/src/writer/room.rs",
    "dataplane/src/dpdk/mbuf.rs",
    "dataplane/src/dpdk/queue.rs",
    "dataplane/src/forward/lane.rs",
    "dataplane/src/forward/ring.rs",
    "dataplane/src/idle.rs",
    "dataplane/src/kernel/class.rs",
    "dataplane/src/kernel/lane.rs",
    "dataplane/src/nic.rs",
    "dataplane/src/worker.rs",
];

/// Most lines of a file.
pub const FILE_LINES_MAX: usize = 450;

/// Most lines of a file that holds only tests.
pub const TEST_FILE_LINES_MAX: usize = 600;
