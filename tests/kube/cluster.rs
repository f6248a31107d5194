//! A control plane of Kubernetes without controllers: etcd, kube-apiserver, and a way in for quick writes. All of it is in the
//! namespace of the scenario, has one folder, and dies with the thread that started it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::http::{self, Connection};
use harness::process::finish;
use harness::wait_for;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where RingDNS finds the API server.
pub const URL: &str = "https://127.0.0.1:6443";

/// Port of the API server.
pub const PORT: u16 = 6443;

/// Where etcd listens.
const ETCD: &str = "http://127.0.0.1:2379";

/// Where members of etcd would reach it.
const ETCD_PEERS: &str = "http://127.0.0.1:2380";

/// Where `kubectl proxy` listens, which shows the administrator's token to the API server.
const PROXY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8001);

/// The administrator's token.
const ADMIN_TOKEN: &str = "the-administrator-of-the-tests";

/// What slices are, to an API server that does not know their version 1.
const SLICES: &str = include_str!("endpoint-slices.yaml");

/// What RingDNS may do: the manifest that its users apply.
const PERMISSIONS: &str = include_str!("../../conf/kubernetes/rbac.yaml");

/// Where the account of that manifest is.
const ACCOUNT: &str = "/api/v1/namespaces/kube-system/serviceaccounts/ringdns";

/// Seconds for which the API server takes a token that has ended, for the sake of clocks that differ.
const LEEWAY_SECONDS: u64 = 60;

/// Longest from the start of etcd or of an API server to its first answer, on a busy machine.
const START_TIME_MAX: Duration = Duration::from_secs(120);

/// Longest that a command may take.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(60);

/// A process; killed when dropped.
struct Process(Child);

impl Process {
    /// Starts a program that dies with this thread, its output in a file.
    fn start(log: &Path, program: &Path, arguments: &[String]) -> Process {
        let file = File::options().create(true).append(true).open(log).expect("a writable folder");
        let errors = file.try_clone().expect("a second handle");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program).args(arguments);
        let child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn().expect("setpriv of util-linux");
        Process(child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The cluster.
pub struct Cluster {
    /// Keys, data and logs.
    folder: TempDir,
    /// The proxy.
    proxy: Option<Process>,
    /// The API server; none while it is away.
    api: Option<Process>,
    /// etcd; none while it is away.
    etcd: Option<Process>,
    /// The folder of etcd's data: another one after each restoration.
    data: PathBuf,
}

impl Cluster {
    /// Starts one that serves slices, with the permissions that RingDNS asks its users for.
    pub fn start() -> Cluster {
        let cluster = Self::start_bare();
        cluster.serve_slices();
        cluster.apply(PERMISSIONS);
        cluster
    }

    /// Starts one without slices, and without anything of RingDNS.
    pub fn start_bare() -> Cluster {
        let folder = tempfile::Builder::new().prefix("ringdns-kube.").tempdir().expect("a folder for the test");
        let data = folder.path().join("etcd");
        let mut cluster = Cluster { folder, proxy: None, api: None, etcd: None, data };
        cluster.make_keys();
        cluster.start_etcd();
        cluster.start_api(PORT);
        let arguments = ["proxy", "--port=8001", "--kubeconfig"].map(str::to_owned);
        let arguments = [arguments.as_slice(), &[cluster.text("kubeconfig")]].concat();
        cluster.proxy = Some(Process::start(&cluster.path("proxy.log"), &program("kubectl"), &arguments));
        cluster.wait_ready();
        // The API server makes it a moment after it is ready.
        wait_for("namespace kube-system", START_TIME_MAX, || cluster.get("/api/v1/namespaces/kube-system"));
        cluster
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Runs openssl in the folder.
    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command.current_dir(self.folder.path()).args(arguments.split(' '));
        let finished = finish(&mut command, COMMAND_TIME_MAX);
        assert!(finished.status.success(), "openssl {arguments}: {}", finished.stderr);
    }

    /// Keys, certificates, and how the administrator comes in.
    fn make_keys(&self) {
        self.openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.crt");
        self.openssl("req -newkey rsa:2048 -nodes -subj /CN=kube-apiserver -keyout api.key -out api.csr");
        fs::write(self.path("names"), "subjectAltName=IP:127.0.0.1\n").expect("a writable folder");
        self.openssl(
            "x509 -req -in api.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out api.crt",
        );
        self.openssl("genrsa -out accounts.key 2048");
        fs::write(self.path("tokens.csv"), format!("{ADMIN_TOKEN},admin,admin,system:masters\n")).expect("writable");
        let kubeconfig = format!(
            "clusters:\n- name: c\n  cluster: {{server: '{URL}', certificate-authority: ca.crt}}\n\
             users:\n- name: u\n  user: {{token: {ADMIN_TOKEN}}}\n\
             contexts:\n- name: x\n  context: {{cluster: c, user: u}}\ncurrent-context: x\n"
        );
        fs::write(self.path("kubeconfig"), kubeconfig).expect("a writable folder");
    }

    /// Starts etcd with the data that there are, and waits for it.
    pub fn start_etcd(&mut self) {
        let arguments = [
            format!("--data-dir={}", self.data.display()),
            format!("--listen-client-urls={ETCD}"),
            format!("--advertise-client-urls={ETCD}"),
            format!("--listen-peer-urls={ETCD_PEERS}"),
            format!("--initial-advertise-peer-urls={ETCD_PEERS}"),
            format!("--initial-cluster=default={ETCD_PEERS}"),
        ];
        self.etcd = Some(Process::start(&self.path("etcd.log"), &etcd_program("etcd"), &arguments));
        let address = SocketAddr::from(([127, 0, 0, 1], 2379));
        wait_for("etcd", START_TIME_MAX, || {
            let answer = http::request(address, "GET", "/health", None, None).ok()?;
            (answer.status == 200).then_some(())
        });
    }

    /// Starts the API server at a port, and does not wait.
    pub fn start_api(&mut self, port: u16) {
        let of = |key: &str, name: &str| format!("--{key}={}", self.text(name));
        let arguments = [
            format!("--etcd-servers={ETCD}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            "--feature-gates=IPv6DualStack=true".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112".to_owned(),
            of("tls-cert-file", "api.crt"),
            of("tls-private-key-file", "api.key"),
            of("client-ca-file", "ca.crt"),
            of("token-auth-file", "tokens.csv"),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            of("service-account-key-file", "accounts.key"),
            of("service-account-signing-key-file", "accounts.key"),
            "--api-audiences=https://kubernetes.default.svc".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            // Endpoints of its own would change versions at times of its own.
            "--endpoint-reconciler-type=none".to_owned(),
            // There is no controller that makes the default account.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--storage-media-type=application/json".to_owned(),
            "--runtime-config=discovery.k8s.io/v1beta1=false".to_owned(),
        ];
        self.api = Some(Process::start(&self.path("api.log"), &program("kube-apiserver"), &arguments));
    }

    /// Waits until the API server takes requests.
    pub fn wait_ready(&self) {
        wait_for("the API server", START_TIME_MAX, || {
            let answer = http::request(PROXY, "GET", "/readyz", None, None).ok()?;
            (answer.status == 200).then_some(())
        });
    }

    /// Starts the API server again and waits.
    pub fn restart_api(&mut self) {
        self.start_api(PORT);
        self.wait_ready();
    }

    /// Kills the API server: open watches break off, nobody is told anything.
    pub fn kill_api(&mut self) {
        self.api = None;
    }

    /// Has slices served.
    pub fn serve_slices(&self) {
        self.apply(SLICES);
        wait_for("slices to be served", START_TIME_MAX, || self.get("/apis/discovery.k8s.io/v1/endpointslices"));
    }

    /// Runs kubectl as the administrator.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.kubectl_at(URL, arguments)
    }

    /// The same at another API server.
    pub fn kubectl_at(&self, url: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program("kubectl"));
        command.args(["--kubeconfig", &self.text("kubeconfig"), "--server", url]).args(arguments);
        // It keeps what it finds there, which is another server's the next time.
        command.env("HOME", self.folder.path());
        let finished = finish(&mut command, COMMAND_TIME_MAX);
        assert!(finished.status.success(), "{command:?}: {}", finished.stderr);
        finished.stdout
    }

    /// Applies manifests.
    pub fn apply(&self, manifests: &str) {
        self.apply_at(URL, manifests);
    }

    /// The same at another API server.
    pub fn apply_at(&self, url: &str, manifests: &str) {
        fs::write(self.path("applied.yaml"), manifests).expect("a writable folder");
        // The server checks them; kubectl would first ask for a description of three megabytes.
        self.kubectl_at(url, &["apply", "--validate=false", "-f", &self.text("applied.yaml")]);
    }

    /// Applies what RingDNS may do.
    pub fn permit(&self) {
        self.apply(PERMISSIONS);
    }

    /// Runs etcdctl.
    pub fn etcdctl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(etcd_program("etcdctl"));
        command.env("ETCDCTL_API", "3").args(["--endpoints", ETCD]).args(arguments);
        let finished = finish(&mut command, COMMAND_TIME_MAX);
        assert!(finished.status.success(), "{command:?}: {}", finished.stderr);
        finished.stdout
    }

    /// Has etcd forget every version before the newest.
    pub fn compact(&self) {
        let shown = self.etcdctl(&["get", "/none", "--write-out=json"]);
        let shown: Value = serde_json::from_str(&shown).expect("JSON of etcdctl");
        self.etcdctl(&["compact", &shown["header"]["revision"].to_string()]);
    }

    /// Puts etcd back to a copy: it and the API server end, and start again with what the copy has.
    pub fn restore(&mut self, copy: &str) {
        self.kill_api();
        self.etcd = None;
        self.data = self.path(&format!("restored-from-{copy}"));
        let (copy, data) = (self.text(copy), self.data.display().to_string());
        let peers = format!("default={ETCD_PEERS}");
        let arguments = ["snapshot", "restore", &copy, "--data-dir", &data, "--initial-cluster", &peers];
        self.etcdctl(&[&arguments, ["--initial-advertise-peer-urls", ETCD_PEERS].as_slice()].concat());
        self.start_etcd();
        self.restart_api();
    }

    /// A connection for many requests as the administrator.
    pub fn connect(&self) -> Connection {
        Connection::open_without_token(PROXY).expect("the proxy")
    }

    /// An object; nothing where there is none.
    pub fn get(&self, path: &str) -> Option<Value> {
        let answer = http::request(PROXY, "GET", path, None, None).ok()?;
        (answer.status == 200).then(|| answer.json())
    }

    /// Changes the object at a path: what it is, and the status of it below `/status`.
    pub fn change(&self, path: &str, below: &str, change: impl Fn(&mut Value)) {
        let mut object = self.get(path).unwrap_or_else(|| panic!("there is no {path}"));
        change(&mut object);
        let body = object.to_string();
        let answer = http::request(PROXY, "PUT", &format!("{path}{below}"), None, Some(&body)).expect("the proxy");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }

    /// A token of RingDNS's account as its Pod would have one, in a file of the folder.
    pub fn write_token(&self, name: &str) -> PathBuf {
        let asked = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "expirationSeconds": 3600 } });
        let answer = http::request(PROXY, "POST", &format!("{ACCOUNT}/token"), None, Some(&asked.to_string()));
        let answer = answer.expect("the proxy");
        assert_eq!(answer.status, 201, "{}", answer.body);
        self.write_secret(name, answer.json()["status"]["token"].as_str().expect("a token"))
    }

    /// A token of the account that ends after some seconds. The API server gives none for less than ten minutes, so it is made here,
    /// with the key that the API server knows. It takes one for longer than that says.
    pub fn write_short_token(&self, name: &str, seconds: u64) -> PathBuf {
        let account = self.get(ACCOUNT).expect("the account");
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
        let issuer = "https://kubernetes.default.svc";
        let claims = json!({
            "iss": issuer, "aud": [issuer], "iat": since, "nbf": since, "exp": since + seconds - LEEWAY_SECONDS,
            "sub": "system:serviceaccount:kube-system:ringdns",
            "kubernetes.io": { "namespace": "kube-system",
                               "serviceaccount": { "name": "ringdns", "uid": account["metadata"]["uid"] } },
        });
        let header = json!({ "alg": "RS256", "typ": "JWT" });
        let signed = [header, claims].map(|part| base64url(part.to_string().as_bytes())).join(".");
        fs::write(self.path("claims"), &signed).expect("a writable folder");
        self.openssl("dgst -sha256 -sign accounts.key -out signature claims");
        let signature = fs::read(self.path("signature")).expect("what openssl wrote");
        self.write_secret(name, &format!("{signed}.{}", base64url(&signature)))
    }

    /// Writes a file as kubelet does: under another name, which is then changed.
    fn write_secret(&self, name: &str, text: &str) -> PathBuf {
        let (beside, path) = (self.path(&format!("{name}.new")), self.path(name));
        fs::write(&beside, text).expect("a writable folder");
        fs::rename(&beside, &path).expect("a writable folder");
        path
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in ["etcd.log", "api.log", "proxy.log"] {
                let log = fs::read_to_string(self.path(name)).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let last = lines[lines.len().saturating_sub(20)..].join("\n");
                eprintln!("--- the end of {name} ---\n{last}\n---");
            }
        }
    }
}

/// Base64 for URLs, without padding (RFC 4648 section 5).
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        text.extend((0..=group.len()).map(|place| char::from(DIGITS[(bits >> (18 - 6 * place) & 63) as usize])));
    }
    text
}

/// Where scripts unpack and build what tests run.
fn cache() -> PathBuf {
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home).unwrap_or_default().join("ringdns")
}

/// kube-apiserver or kubectl.
fn program(name: &str) -> PathBuf {
    let path = cache().join("kubernetes").join(name);
    assert!(path.is_file(), "there is no {}: run scripts/kube-apiserver fetch", path.display());
    path
}

/// etcd or etcdctl.
fn etcd_program(name: &str) -> PathBuf {
    let path = cache().join("reference-servers/usr/bin").join(name);
    assert!(path.is_file(), "there is no {}: run scripts/reference-server fetch", path.display());
    path
}

#[test]
fn base64url_is_that_of_the_rfc() {
    for (plain, coded) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v")] {
        assert_eq!(base64url(plain.as_bytes()), coded);
    }
    assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
}
