//! Tells systemd how the server is: ready, reloading, stopping, alive (sd_notify(3)).
//!
//! A datagram to the socket that the environment names; without one nobody asks, and nothing is done. The watchdog is fed by
//! the thread that watches the workers, and only while each of them polls: one that hangs has systemd restart the server.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringdns_controlplane::{ControlPlane, PendingReload};
use ringdns_engine::counters::Counters;

/// How long a worker may poll nothing before it counts as stuck. One that sleeps until its NIC interrupts wakes at least
/// every second.
const STUCK_AFTER: Duration = Duration::from_secs(3);

/// Longest that the server says it is starting: sources that have not been read by then may never be, and what is known of
/// them is served. Units wait 90 seconds.
const SYNC_TIME_MAX: Duration = Duration::from_secs(60);

/// How long ending takes at most once the workers may stop: requests and connections have five seconds.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(30);

/// Speaks to systemd.
pub struct Notifier {
    /// Where it listens; none: nobody does.
    socket: Option<UnixDatagram>,
    /// Whether it wants to hear that the server is alive.
    feeds_watchdog: bool,
    /// What is known of the workers.
    workers: Progress,
    /// When the server started.
    started: Instant,
    /// Whether it was told that the server is ready.
    is_ready: bool,
    /// Whether it was told of a reload, and not yet of its end.
    is_reloading: bool,
    /// Reloads of zone files that are not over.
    reloads: Vec<PendingReload>,
    /// Whether it was told that the server is about to end: nothing that came before counts then.
    is_stopping: bool,
}

impl Notifier {
    /// The notifier for the service manager that started this process, if one did.
    pub fn from_environment(counters: Vec<Arc<Counters>>) -> Self {
        let socket = env::var_os("NOTIFY_SOCKET").and_then(|name| match connect(&name) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(?name, %error, "NOTIFY_SOCKET cannot be reached: the service manager hears nothing");
                None
            }
        });
        // Where it names a process, that one only is to feed it: a child inherits the variables.
        let is_meant = env::var("WATCHDOG_PID").map_or(true, |id| id == std::process::id().to_string());
        let feeds_watchdog = is_meant && env::var_os("WATCHDOG_USEC").is_some();
        Self::new(socket, feeds_watchdog, counters)
    }

    /// One that speaks to a given socket.
    fn new(socket: Option<UnixDatagram>, feeds_watchdog: bool, counters: Vec<Arc<Counters>>) -> Self {
        let (workers, started) = (Progress::new(counters), Instant::now());
        let (is_ready, is_reloading, is_stopping, reloads) = (false, false, false, Vec::new());
        Self { socket, feeds_watchdog, workers, started, is_ready, is_reloading, reloads, is_stopping }
    }

    /// To be called several times a second: tells what has changed, and feeds the watchdog where all is well.
    pub fn look(&mut self, control: &ControlPlane) {
        self.look_at(control.is_synced(), Instant::now());
    }

    /// [`Notifier::look`] at a moment.
    fn look_at(&mut self, is_synced: bool, now: Instant) {
        let stuck = self.workers.stuck(now);
        if !self.is_ready && !self.is_stopping && stuck.is_none() && self.workers.has_begun() {
            if is_synced {
                self.is_ready = self.send("READY=1\nSTATUS=Answering");
            } else if now.duration_since(self.started) > SYNC_TIME_MAX {
                self.is_ready = self.send("READY=1\nSTATUS=Answering; not every source has been read, see /ready");
            }
        }
        if self.is_reloading && !self.is_stopping {
            self.reloads.retain_mut(|reload| !reload.is_over());
            self.is_reloading = !self.reloads.is_empty();
            if !self.is_reloading {
                self.send("READY=1\nSTATUS=Answering");
            }
        }
        match stuck {
            None if self.feeds_watchdog => drop(self.send("WATCHDOG=1")),
            None => {}
            Some(worker) => drop(self.send(&format!("STATUS=Worker {worker} does not poll its ports"))),
        }
    }

    /// Tells that a reload has begun; [`Notifier::look`] tells when it is over.
    pub fn reloading(&mut self) {
        self.is_reloading =
            !self.is_stopping && self.send("RELOADING=1\nSTATUS=Reading configuration and zone files again");
    }

    /// What of a reload goes on by itself: none where the configuration was refused.
    pub fn expect(&mut self, reload: Option<PendingReload>) {
        self.reloads.extend(reload);
    }

    /// Tells that the server is about to end, and for how long it answers yet.
    pub fn stopping(&mut self, lameduck: Duration) {
        self.is_stopping = true;
        if lameduck.is_zero() {
            self.send("STOPPING=1\nSTATUS=Draining");
        } else {
            let microseconds = (lameduck + DRAIN_TIME_MAX).as_micros();
            let status = "Not ready any more, answering for a while yet";
            self.send(&format!("STOPPING=1\nSTATUS={status}\nEXTEND_TIMEOUT_USEC={microseconds}"));
        }
    }

    /// Sends a message; true where it is gone, or where nobody listens. One that is lost is followed by others.
    fn send(&self, message: &str) -> bool {
        self.socket.as_ref().is_none_or(|socket| socket.send(message.as_bytes()).is_ok())
    }
}

/// Connects to the service manager's socket: a path, or an abstract name behind an `@`.
fn connect(name: &OsString) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    // A manager that does not read must not stop the thread that watches the workers.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Watches whether the workers poll.
struct Progress {
    /// What the workers count.
    counters: Vec<Arc<Counters>>,
    /// The polls of each when they were last seen to rise, and when that was.
    seen: Vec<Option<(u64, Instant)>>,
}

impl Progress {
    /// Workers that have not been looked at.
    fn new(counters: Vec<Arc<Counters>>) -> Self {
        Self { seen: vec![None; counters.len()], counters }
    }

    /// Whether each worker has polled.
    fn has_begun(&self) -> bool {
        self.seen.iter().all(|seen| matches!(seen, Some((polls, _)) if *polls != 0))
    }

    /// The first worker that has not polled for too long.
    fn stuck(&mut self, now: Instant) -> Option<usize> {
        let mut stuck = None;
        for (worker, (seen, counters)) in self.seen.iter_mut().zip(&self.counters).enumerate() {
            let polls = counters.polls.get();
            match seen {
                Some((before, rose)) if *before == polls => {
                    if now.duration_since(*rose) > STUCK_AFTER {
                        stuck.get_or_insert(worker);
                    }
                }
                _ => *seen = Some((polls, now)),
            }
        }
        stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A notifier of two workers, with the manager's end of its socket.
    fn notifier() -> (Notifier, UnixDatagram, Vec<Arc<Counters>>) {
        let (ours, managers) = UnixDatagram::pair().unwrap();
        managers.set_nonblocking(true).unwrap();
        let counters: Vec<Arc<Counters>> = vec![Arc::default(), Arc::default()];
        (Notifier::new(Some(ours), true, counters.clone()), managers, counters)
    }

    /// What the manager has heard since the last time.
    fn heard(managers: &UnixDatagram) -> Vec<String> {
        let mut bytes = [0; 256];
        let messages = std::iter::from_fn(|| managers.recv(&mut bytes).ok().map(|len| bytes[..len].to_vec()));
        messages.map(|message| String::from_utf8(message).unwrap()).collect()
    }

    #[test]
    fn ready_is_told_once_all_poll_and_all_is_read() {
        let (mut notifier, managers, counters) = notifier();
        let start = Instant::now();
        counters[0].polls.add(1);
        notifier.look_at(true, start);
        assert_eq!(heard(&managers), ["WATCHDOG=1"], "one has not polled yet");
        counters[1].polls.add(1);
        notifier.look_at(false, start);
        assert_eq!(heard(&managers), ["WATCHDOG=1"], "the sources have not been read yet");
        notifier.look_at(true, start);
        assert_eq!(heard(&managers), ["READY=1\nSTATUS=Answering", "WATCHDOG=1"]);
        notifier.look_at(true, start);
        assert_eq!(heard(&managers), ["WATCHDOG=1"]);
    }

    #[test]
    fn a_source_that_is_never_read_does_not_keep_the_service_starting() {
        let (mut notifier, managers, counters) = notifier();
        counters.iter().for_each(|counters| counters.polls.add(1));
        notifier.look_at(false, Instant::now());
        assert_eq!(heard(&managers), ["WATCHDOG=1"]);
        counters.iter().for_each(|counters| counters.polls.add(1));
        notifier.look_at(false, Instant::now() + SYNC_TIME_MAX + STUCK_AFTER);
        assert!(heard(&managers)[0].starts_with("READY=1\nSTATUS=Answering; not every source"));
    }

    #[test]
    fn a_worker_that_is_stuck_leaves_the_watchdog_hungry() {
        let (mut notifier, managers, counters) = notifier();
        counters.iter().for_each(|counters| counters.polls.add(1));
        let start = Instant::now();
        notifier.look_at(true, start);
        heard(&managers);
        counters[0].polls.add(1);
        notifier.look_at(true, start + STUCK_AFTER);
        assert_eq!(heard(&managers), ["WATCHDOG=1"], "a moment without polls is no harm");
        counters[0].polls.add(1);
        notifier.look_at(true, start + 2 * STUCK_AFTER);
        assert_eq!(heard(&managers), ["STATUS=Worker 1 does not poll its ports"]);
        counters[1].polls.add(1);
        notifier.look_at(true, start + 2 * STUCK_AFTER);
        assert_eq!(heard(&managers), ["WATCHDOG=1"]);
    }

    #[test]
    fn who_is_about_to_end_says_for_how_long_and_nothing_of_readiness() {
        let (mut notifier, managers, counters) = notifier();
        notifier.stopping(Duration::from_secs(5));
        assert!(heard(&managers)[0].ends_with("\nEXTEND_TIMEOUT_USEC=35000000"));
        counters.iter().for_each(|counters| counters.polls.add(1));
        notifier.reloading();
        notifier.look_at(true, Instant::now());
        assert_eq!(heard(&managers), ["WATCHDOG=1"], "it goes on being watched");
    }

    #[test]
    fn both_kinds_of_sockets_are_found_and_a_manager_that_is_not_there_is_no_harm() {
        let name = format!("ringdns-notify-{}", std::process::id());
        let listener = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut notifier = Notifier::new(connect(&OsString::from(format!("@{name}"))).ok(), false, Vec::new());
        notifier.stopping(Duration::ZERO);
        assert_eq!(heard(&listener), ["STOPPING=1\nSTATUS=Draining"]);
        assert!(connect(&OsString::from("/nonexistent/notify")).is_err());
        Notifier::new(None, true, Vec::new()).look_at(true, Instant::now());
    }
}
