//! The configuration read again, at SIGHUP or when the admin API asks: as a whole or not at all.

use std::net::SocketAddr;

use ringdns_controlplane::ControlPlane;
use ringdns_controlplane::config::{Config, ConfigSource};
use ringdns_controlplane::reload::Outcome;

use crate::answering::Answering;
use crate::forward::Forwarding;

/// Reads the file again. What can change does, in the workers before their next burst; what cannot is named. A file with a
/// mistake changes nothing. Zone files are read again in any case.
pub fn reload(source: &ConfigSource, running: &mut Config, answering: &Answering, control: &ControlPlane) -> Outcome {
    let new = source.load().inspect_err(|error| {
        tracing::error!("the configuration stays as it was: {error}");
        control.note_refused_config(error);
    })?;
    let mut changes = running.take(&new);
    // A port's addresses can change; the kernel's sockets on them cannot.
    let is_listened_on = |address: &SocketAddr| address.port() == 0 || control.socket_addresses().contains(address);
    let key = "sockets.listen".to_owned();
    if !answering.sockets(running).listen.iter().all(is_listened_on) && !changes.restart.contains(&key) {
        changes.restart.push(key);
    }
    if changes.live.iter().any(|key| key == "corefile") {
        running.tell_corefile();
    }
    if !changes.live.is_empty() {
        if let Some(forwarding) = &answering.forwarding {
            forwarding.reload(running);
        }
        answering.renew(running);
        control.renew_answers(answering.message_config(running));
        tracing::info!(changed = ?changes.live, "the configuration was read again");
    }
    if !changes.restart.is_empty() {
        tracing::warn!(needs_restart = ?changes.restart, "these keys hold after a restart only");
    }
    let zone_files = control.reconfigure(running, &changes);
    Ok((changes, zone_files))
}

/// Tells whoever answers of the clients that lists of the policy name, where these have come to be others.
pub fn renew_judged(running: &Config, answering: &Answering, control: &ControlPlane) {
    if answering.forwarding.as_ref().is_some_and(Forwarding::judges_others) {
        answering.renew(running);
        control.renew_answers(answering.message_config(running));
    }
}
