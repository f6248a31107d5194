//! Interim signatures.
#![allow(missing_docs, clippy::missing_docs_in_private_items, unused_variables, clippy::unimplemented)]
use crate::{counters::Counters, frame::FrameBuffer, limits::BURST_FRAMES_MAX, snapshot::Snapshot, verdict::Verdict};
use std::net::IpAddr;
#[derive(Clone, Debug)]
pub struct ServerConfig { pub mac: [u8; 6], pub addresses: Vec<IpAddr>, pub dns_port: u16, pub udp_answer_bytes_max: usize, pub answer_local: bool, pub vlan: Option<u16> }
pub struct Server;
impl Server {
    pub fn new(config: &ServerConfig) -> Server { Server }
    pub fn serve_burst<F: FrameBuffer>(&mut self, frames: &mut [F], verdicts: &mut [Verdict; BURST_FRAMES_MAX], snapshot: &Snapshot, counters: &Counters) { unimplemented!() }
}
