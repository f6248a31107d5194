//! Holds the ports' answers back until a cluster has told everything, for a time: clients that ask a moment too early get their
//! answer a moment later, and not SERVFAIL. The sockets do the same by themselves.

use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use ringdns_controlplane::ControlPlane;
use ringdns_controlplane::config::Config;

/// How often it is looked whether the time has come.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Waits until the workers may start, or something has happened that the main thread has to see to; that stays in the queue.
pub fn until_answering<E>(config: &Config, control: &ControlPlane, sender: &Sender<E>, events: &Receiver<E>) {
    // Where the workers carry the kernel's frames as well, the way to the API server may be theirs: nobody would be waited for.
    if config.ports.iter().any(|port| port.kernel.is_some()) {
        return;
    }
    while control.is_held_back() {
        if let Ok(event) = events.recv_timeout(LOOK_INTERVAL) {
            // Nobody else takes from the queue, so its end is where it was.
            let _ = sender.send(event);
            return;
        }
    }
}
