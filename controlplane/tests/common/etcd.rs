//! A real etcd for tests: members on loopback, a client, and a way to them that can be cut.
#![allow(dead_code, reason = "each test binary uses some of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use etcd_client::{Client, CompactionOptions, ConnectOptions, Error, GetOptions, Permission, PutOptions, Txn, TxnOp};

/// The program: an installed one, or the one that scripts/reference-server has unpacked.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path).map(|directory| directory.join("etcd"));
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home).unwrap_or_default();
    let unpacked = cache.join("ringdns/reference-servers/usr/bin/etcd");
    let found = installed.chain([unpacked]).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("there is no etcd: run scripts/reference-server fetch, or apt-get install etcd-server")
    })
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A member of a cluster. Killed when it is dropped.
pub struct Member {
    /// What it is started with.
    arguments: Vec<String>,
    /// It; nothing while it is down.
    child: Option<Child>,
    /// Where clients reach it.
    pub port: u16,
}

impl Member {
    /// Starts it, also again with what it had.
    pub fn start(&mut self) {
        let child = Command::new(program()).args(&self.arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.unwrap());
    }

    /// Ends it without a warning.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The URL for clients.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A cluster and somebody who writes to it.
pub struct Etcd {
    /// The members.
    pub members: Vec<Member>,
    /// Who writes to it.
    pub options: Option<ConnectOptions>,
    /// Where the client runs.
    runtime: tokio::runtime::Runtime,
    /// Holds the members' data.
    _directory: tempfile::TempDir,
}

impl Etcd {
    /// Starts a cluster and waits until it takes writes.
    pub fn start(count: usize) -> Self {
        Self::start_with(count, &|_| Vec::new())
    }

    /// Starts a cluster whose members have more arguments, those that a client's port gives.
    pub fn start_with(count: usize, more: &dyn Fn(&str) -> Vec<(&'static str, String)>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let peers: Vec<u16> = (0..count).map(|_| free_port()).collect();
        let all: Vec<String> =
            peers.iter().enumerate().map(|(index, port)| format!("m{index}=http://127.0.0.1:{port}")).collect();
        let member = |(index, peer): (usize, &u16)| {
            let port = free_port();
            let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer}"));
            let data = directory.path().join(format!("m{index}")).display().to_string();
            let arguments = [
                ("--name", format!("m{index}")),
                ("--data-dir", data),
                ("--listen-client-urls", client.clone()),
                ("--advertise-client-urls", client),
                ("--listen-peer-urls", peer.clone()),
                ("--initial-advertise-peer-urls", peer),
                ("--initial-cluster", all.join(",")),
            ];
            // The last one of a name counts.
            let arguments = arguments
                .into_iter()
                .chain(more(&format!("http://127.0.0.1:{port}")))
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            let mut member = Member { arguments, child: None, port };
            member.start();
            member
        };
        let members = peers.iter().enumerate().map(member).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let etcd = Self { members, options: None, runtime, _directory: directory };
        etcd.put("/ready", "1");
        etcd
    }

    /// Asks the members in turn until one answers; what was asked for can be carried out twice.
    pub fn ask<T, F: Future<Output = Result<T, Error>>>(&self, mut request: impl FnMut(Client) -> F) -> T {
        let deadline = Instant::now() + Duration::from_secs(60);
        for member in self.members.iter().filter(|member| member.child.is_some()).cycle() {
            assert!(Instant::now() < deadline, "etcd does not answer");
            let answer = self.runtime.block_on(async {
                let client = Client::connect([member.endpoint()], self.options.clone()).await.ok()?;
                // Beside a busy disk a write takes seconds; asked for again it may be refused, because it was carried out.
                tokio::time::timeout(Duration::from_secs(10), request(client)).await.ok()?.ok()
            });
            if let Some(answer) = answer {
                return answer;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("no member is up")
    }

    /// Writes a key.
    pub fn put(&self, key: &str, value: &str) {
        self.put_all(&[(key.to_owned(), value.to_owned())]);
    }

    /// Writes keys, as many at once as etcd takes.
    pub fn put_all(&self, pairs: &[(String, String)]) {
        for pairs in pairs.chunks(128) {
            let put = |(key, value): &(String, String)| TxnOp::put(key.as_str(), value.as_str(), None);
            let writes: Vec<TxnOp> = pairs.iter().map(put).collect();
            self.ask(|client| {
                let writes = Txn::new().and_then(writes.clone());
                async move { client.kv_client().txn(writes).await }
            });
        }
    }

    /// Writes a key that goes by itself after some seconds, unless its lease is kept alive.
    pub fn put_for(&self, seconds: i64, key: &str, value: &str) {
        self.ask(|client| async move {
            let lease = client.lease_client().grant(seconds, None).await?.id();
            client.kv_client().put(key, value, Some(PutOptions::new().with_lease(lease))).await
        });
    }

    /// All keys below a prefix, with their values, as they are at one revision.
    pub fn all(&self, prefix: &str) -> Vec<(String, String)> {
        let (mut pairs, mut from, mut revision) = (Vec::new(), prefix.as_bytes().to_vec(), 0);
        let end = format!("{prefix}\u{7f}");
        loop {
            let mut page = self.ask(|client| {
                let options = GetOptions::new().with_range(end.clone()).with_limit(5000).with_revision(revision);
                let from = from.clone();
                async move { client.kv_client().get(from, Some(options)).await }
            });
            revision = page.header().unwrap().revision();
            let more = page.more();
            for pair in page.take_kvs() {
                let (key, value) = pair.into_key_value();
                from = [key.as_slice(), &[0]].concat();
                pairs.push((String::from_utf8(key).unwrap(), String::from_utf8(value).unwrap()));
            }
            if !more {
                return pairs;
            }
        }
    }

    /// Deletes a key.
    pub fn delete(&self, key: &str) {
        self.ask(|client| async move { client.kv_client().delete(key, None).await });
    }

    /// Forgets every revision before the newest.
    pub fn compact(&self) {
        let answer = self.ask(|client| async move { client.kv_client().get("/ready", None).await });
        let revision = answer.header().unwrap().revision();
        // Where it was carried out and the answer got lost, the second try is refused; both are fine.
        self.ask(|client| async move {
            let options = CompactionOptions::new().with_physical();
            Ok(client.kv_client().compact(revision, Some(options)).await.is_ok())
        });
    }

    /// Has everybody show a password from now on: `root` all, `reader` may read below a prefix.
    pub fn protect(&mut self, prefix: &str, password: &str) {
        self.ask(|client| async move {
            let mut auth = client.auth_client();
            // What an earlier try has done is refused; where something is wrong, the last step is.
            let _ = auth.user_add("root", password, None).await;
            let _ = auth.user_grant_role("root", "root").await;
            let _ = auth.role_add("reader").await;
            let _ = auth.role_grant_permission("reader", Permission::read(prefix).with_prefix()).await;
            let _ = auth.user_add("reader", password, None).await;
            let _ = auth.user_grant_role("reader", "reader").await;
            auth.auth_enable().await
        });
        self.options = Some(ConnectOptions::new().with_user("root", password));
    }

    /// The place of the member that leads.
    pub fn leader(&self) -> usize {
        let of = |member: &Member| {
            let answer = self.runtime.block_on(async {
                let mut client = Client::connect([member.endpoint()], None).await.ok()?;
                client.status().await.ok()
            })?;
            let id = answer.header()?.member_id();
            Some((id, answer.leader()))
        };
        let place = self.members.iter().position(|member| of(member).is_some_and(|(id, leader)| id == leader));
        place.unwrap_or_else(|| panic!("nobody leads"))
    }
}

/// A way to a port that can be cut.
pub struct Way {
    /// Where it begins.
    pub port: u16,
    /// True: nobody passes.
    is_cut: Arc<AtomicBool>,
    /// Both ends of the connections that are open.
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Way {
    /// Opens a way.
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (is_cut, open) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let way = Self { port, is_cut: Arc::clone(&is_cut), open: Arc::clone(&open) };
        // Ends with the process: it waits for connections that no longer come.
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Some(far) =
                    TcpStream::connect(("127.0.0.1", target)).ok().filter(|_| !is_cut.load(Ordering::SeqCst))
                else {
                    continue;
                };
                open.lock().unwrap().extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
                let back = (far.try_clone().unwrap(), near.try_clone().unwrap());
                for (mut from, mut to) in [(near, far), back] {
                    std::thread::spawn(move || {
                        let mut bytes = [0; 16 << 10];
                        while let Ok(length @ 1..) = from.read(&mut bytes) {
                            if to.write_all(&bytes[..length]).is_err() {
                                break;
                            }
                        }
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        way
    }

    /// Cuts it, or mends it.
    pub fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
