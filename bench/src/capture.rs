//! Captures in pcap form, for DPDK's net_pcap.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Magic number, version 2.4, no time zone, 64 KiB at most, Ethernet.
const HEADER: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1];

/// Writes frames as a capture.
///
/// # Errors
/// Where the file cannot be written.
pub fn write(path: &Path, frames: &[Vec<u8>]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for word in HEADER {
        file.write_all(&word.to_ne_bytes())?;
    }
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        for word in [0, 0, length, length] {
            file.write_all(&word.to_ne_bytes())?;
        }
        file.write_all(frame)?;
    }
    file.flush()
}
