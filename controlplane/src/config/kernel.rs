//! The kernel path of a port: `kernel` and `kernel_interface` of `[[port]]`.

use std::collections::HashMap;

use super::problem::Problems;
use super::{KernelConfig, KernelKind, file};

/// Longest name of an interface (IFNAMSIZ without its end mark).
const INTERFACE_BYTES_MAX: usize = 15;

/// Checks the keys of the port at `index`; `interfaces` holds the names of the ports before it.
pub(super) fn kernel(
    index: usize,
    spec: &file::Port,
    interfaces: &mut HashMap<String, usize>,
    problems: &mut Problems<'_>,
) -> Option<KernelConfig> {
    // A NIC of our own is gone from the kernel; a virtual device is an interface of the kernel already.
    let word = spec.kernel.as_ref().map(|word| (word.get_ref().as_str(), word.span()));
    let kind = match &word {
        None if spec.device.get_ref().starts_with("net_") => None,
        None | Some(("auto", _)) => Some(KernelKind::Auto),
        Some(("vhost", _)) => Some(KernelKind::Vhost),
        Some(("tap", _)) => Some(KernelKind::Tap),
        Some(("off", _)) => None,
        Some((other, span)) => {
            let remedy = "write \"auto\", \"vhost\", \"tap\" or \"off\"";
            let message = format!("\"{other}\" is no way to the kernel");
            problems.add(Some(span.clone()), format!("port[{index}].kernel"), message, remedy);
            None
        }
    }?;
    let interface = match &spec.kernel_interface {
        None => format!("ring{index}"),
        Some(name) => name.get_ref().clone(),
    };
    let span = spec.kernel_interface.as_ref().map_or_else(|| spec.device.span(), toml::Spanned::span);
    let key = format!("port[{index}].kernel_interface");
    let is_good = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b',' | b'%');
    if interface.is_empty() || interface.len() > INTERFACE_BYTES_MAX || !interface.bytes().all(is_good) {
        let remedy = format!("give 1 to {INTERFACE_BYTES_MAX} letters, digits or hyphens, such as \"ring0\"");
        problems.add(Some(span), key, format!("\"{interface}\" is no name for an interface"), remedy);
        return None;
    }
    if let Some(before) = interfaces.insert(interface.clone(), index) {
        let message = format!("interface {interface} is already that of port[{before}]");
        problems.add(Some(span), key, message, "give each port an interface of its own");
    }
    Some(KernelConfig { kind, interface })
}
