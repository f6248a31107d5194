//! `/metrics` by the names of SkyDNS, as kube-dns has them: their prefix is doubled. Questions for reverse names are `reverse`, all
//! others `auth`; times, sizes and errors are not told apart and stand under `auth`. There is no cache, so nothing is said of one.

use ringdns_engine::census::Census;

use super::Cluster;
use super::coredns::{NANOSECONDS, process};
use super::exposition::Exposition;
use super::traffic::{Flow, summed};

/// Upper bounds of the times in seconds.
const TIMES: [f64; 13] = [0.001, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Upper bounds of the sizes in bytes; from there on they are multiples of the last one.
const SIZES: [f64; 6] = [0., 512., 1024., 1500., 2048., 4096.];

/// The largest multiple.
const LAST_SIZE: u32 = 16;

/// The label that tells where an answer comes from.
const AUTH: (&str, &str) = ("system", "auth");

/// Causes of errors by response code.
const CAUSES: [(u16, &str); 3] = [(2, "servfail"), (3, "nxdomain"), (5, "refused")];

/// Writes all of them.
pub(super) fn encode(cluster: &Cluster, text: &mut Exposition) {
    let flows = Flow::all(&cluster.context, cluster.dns_port);
    let censuses = || flows.iter().flat_map(Flow::censuses);
    let (mut auth, mut reverse) = (0, 0);
    for (qtype, count) in flows.iter().flat_map(|flow| [flow.queries(false), flow.queries(true)]).flatten() {
        *if qtype == "PTR" { &mut reverse } else { &mut auth } += count;
    }
    text.family("skydns_skydns_dns_request_count_total", "counter", "DNS queries that were answered.");
    text.row(&[AUTH], auth);
    text.row(&[("system", "reverse")], reverse);

    let help = "Seconds from the arrival of a DNS query to the departure of its answer.";
    text.family("skydns_skydns_dns_request_duration_seconds", "histogram", help);
    let (buckets, sum) = summed(censuses().map(|census| &census.nanoseconds), TIMES, NANOSECONDS);
    text.histogram(&[AUTH], buckets, sum);

    text.family("skydns_skydns_dns_response_size_bytes", "histogram", "Bytes of DNS answers.");
    let [.., step] = SIZES;
    let bounds = SIZES.into_iter().chain((2..=LAST_SIZE).map(|times| step * f64::from(times)));
    let (buckets, sum) = summed(censuses().map(|census| &census.response_bytes), bounds, 1.0);
    text.histogram(&[AUTH], buckets, sum);

    text.family("skydns_skydns_dns_error_count_total", "counter", "DNS answers that give nothing, by cause.");
    let row = |text: &mut Exposition, cause: &str, count: u64| text.row(&[AUTH, ("cause", cause)], count);
    for (code, cause) in CAUSES {
        let rcodes = flows.iter().flat_map(Flow::rcodes).filter(|(given, _)| *given == code);
        row(text, cause, rcodes.map(|(_, count)| count).sum());
    }
    row(text, "nodata", censuses().map(Census::nodata).sum());
    row(text, "truncated", flows.iter().map(Flow::truncated).sum());
    process(text);
}
