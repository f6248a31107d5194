//! The built server on virtual devices, asked as its users ask: each scenario is named for what the server does.

#![expect(clippy::print_stdout, reason = "tests report to people")]

mod corefile;
mod devices;
mod doctor;
mod forward;
mod health;
mod kernel;
mod lameduck;
mod load;
mod malformed;
mod malformed_frames;
mod many_names;
mod node_local;
mod notify;
mod ports;
mod rate_limit;
mod records;
mod reload;
mod selection;
mod startup;
mod tcp;
mod transcripts;

/// A zone file's text with its SOA, NS and these lines.
fn zone_text(zone: &str, serial: u32, lines: &str) -> String {
    format!(
        "$ORIGIN {zone}\n$TTL 300\n@ 3600 IN SOA ns1 hostmaster {serial} 7200 1800 1209600 300\n@ 3600 IN NS ns1\nns1 IN A 192.0.2.53\n{lines}"
    )
}
