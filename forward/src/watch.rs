//! Files that name upstreams: who is asked follows them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringdns_engine::name::WireName;

use crate::flight::Core;
use crate::forwarder::Settings;
use crate::zones::servers;

/// How often files are read: they are short, and a machine's upstreams change when it changes its network.
const READ_INTERVAL: Duration = Duration::from_secs(5);

/// What the files of zones name.
type Named = HashMap<WireName, Result<Vec<SocketAddr>, String>>;

/// Follows the files as long as there is a forwarder.
pub(crate) async fn run(core: Weak<Core>) {
    let Some(mut before) = core.upgrade().map(|core| named(&core.settings.get())) else { return };
    loop {
        tokio::time::sleep(READ_INTERVAL).await;
        let Some(core) = core.upgrade().filter(|core| !core.is_stopped.load(Ordering::Acquire)) else { return };
        let now = named(&core.settings.get());
        // Where a file names none, those that it named before stay: rebuilding tells why.
        if now != before {
            match core.renew(None) {
                Ok(()) => tracing::info!("the upstreams that files name have changed"),
                Err(error) => tracing::error!("the upstreams that files name now cannot be used: {error}"),
            }
        }
        before = now;
    }
}

/// What the files of zones name now.
fn named(settings: &Settings) -> Named {
    let zones = settings.config.zones.iter();
    zones.filter_map(|zone| Some((zone.zone.clone(), servers(zone, &settings.config)?))).collect()
}
