//! Random numbers that nobody can foretell: ids, ports, letters' case, cookies.

/// The kernel's generator gave nothing.
pub(super) type NoRandom = getrandom::Error;

/// Random bytes. They come from the kernel for each question: beside the sockets that a question takes one call more is little,
/// and there is no state whose leak would tell the next ones.
pub(super) fn bytes<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// A number below `bound`, where chance need not be even: back-off, back-up. Without random numbers 0.
pub(super) fn below(bound: u64) -> u64 {
    let number = bytes().map_or(0, u64::from_le_bytes);
    number.checked_rem(bound).unwrap_or(0)
}
