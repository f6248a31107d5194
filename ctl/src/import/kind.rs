//! Which program a file is of.

use std::collections::HashSet;

use clap::ValueEnum;

/// The files that can be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// containerdns.conf, skydns.conf: the server of ContainerDNS
    Containerdns,
    /// containerdns-api.conf, skydns-api.conf: its record interface and its watcher of Kubernetes
    ContainerdnsApi,
    /// kdns.cfg
    Kdns,
    /// kdns-agent.yaml
    KdnsAgent,
    /// The JSON object that SkyDNS keeps in etcd
    SkydnsJson,
    /// The variables that SkyDNS is started with, one a line
    SkydnsEnv,
    /// Corefile, of CoreDNS and node-cache
    Corefile,
    /// The ConfigMap of kube-dns: the directory where it is mounted
    KubeDnsConfigmap,
}

impl Kind {
    /// What it is.
    pub(super) fn describes(self) -> &'static str {
        match self {
            Self::Containerdns => "the server of ContainerDNS",
            Self::ContainerdnsApi => "the record interface of ContainerDNS",
            Self::Kdns => "kdns",
            Self::KdnsAgent => "the agent of kdns",
            Self::SkydnsJson => "SkyDNS's object in etcd",
            Self::SkydnsEnv => "SkyDNS's variables",
            Self::Corefile => "CoreDNS",
            Self::KubeDnsConfigmap => "the ConfigMap of kube-dns",
        }
    }
}

/// What is said where nobody can tell.
const UNKNOWN: &str = "the content does not tell whose configuration it is; name it with --kind";

/// The kind that is given, or that the content tells.
pub(super) fn of(given: Option<Kind>, name: &str, text: &str) -> Result<Kind, String> {
    if let Some(kind) = given {
        return Ok(kind);
    }
    if text.trim_start().starts_with('{') {
        return Ok(Kind::SkydnsJson);
    }
    if ringdns_corefile::is_corefile(name, text) {
        return Ok(Kind::Corefile);
    }
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    let sections: HashSet<String> = lines()
        .filter_map(|line| Some(line.strip_prefix('[')?.split_once(']')?.0.trim().to_ascii_lowercase()))
        .collect();
    let has = |names: &[&str]| names.iter().any(|name| sections.contains(*name));
    let starts = |words: &[&str]| {
        lines().any(|line| {
            let line = line.strip_prefix("export ").unwrap_or(line);
            words.iter().any(|word| line.starts_with(word))
        })
    };
    let of_health = |program: &str| {
        Err(format!(
            "this is the configuration of {program}, which looks after addresses; RingDNS does not take its place: leave it \
             running, RingDNS reads the status that it writes to etcd"
        ))
    };
    if has(&["check"]) {
        return of_health("dns-scanner");
    }
    if has(&["general"]) && starts(&["schedule-interval", "agent-downtime", "force-lock-time"]) {
        return of_health("dns-schedule");
    }
    if has(&["eal", "netdev", "common"]) {
        return Ok(Kind::Kdns);
    }
    if has(&["kube2dns", "kube2skydns", "dnsapi", "skydnsapi"]) {
        return Ok(Kind::ContainerdnsApi);
    }
    if has(&["dns"]) {
        return Ok(Kind::Containerdns);
    }
    if sections.is_empty() && starts(&["dns-domains:", "kdns-servers:", "etcd-servers:"]) {
        return Ok(Kind::KdnsAgent);
    }
    if sections.is_empty() && starts(&["SKYDNS_", "ETCD_MACHINES="]) {
        return Ok(Kind::SkydnsEnv);
    }
    Err(UNKNOWN.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_tells_the_kind() {
        for (text, expected) in [
            ("; x\n[EAL]\ncores = 1,3\n", Kind::Kdns),
            ("[Dns]\ndns-domains = a\n", Kind::Containerdns),
            ("[General]\n[SkydnsApi]\n", Kind::ContainerdnsApi),
            ("#log\netcd-servers: http://a:1\n", Kind::KdnsAgent),
            ("\n{\"dns_addr\":\"0.0.0.0:53\"}", Kind::SkydnsJson),
            ("# x\nexport SKYDNS_ADDR=a:53\n", Kind::SkydnsEnv),
            (".:53 {\n    errors\n}\n", Kind::Corefile),
        ] {
            assert_eq!(of(None, "x", text), Ok(expected), "{text}");
        }
        assert_eq!(of(Some(Kind::Kdns), "x", "{}"), Ok(Kind::Kdns));
        assert_eq!(of(None, "x", "zone \"a\" { };"), Err(UNKNOWN.to_owned()));
        assert!(of(None, "x", "[General]\nschedule-interval = 60\n").unwrap_err().contains("dns-schedule"));
        assert!(of(None, "x", "[General]\n[Check]\ncheck-interval = 2\n").unwrap_err().contains("dns-scanner"));
    }
}
