//! Plugins that RingDNS has no need of, and those that it cannot take the place of.

/// Plugins without need, and why.
pub(super) const NOT_NEEDED: &[(&str, &str)] = &[
    ("errors", "what goes wrong is in the log and in the metrics in any case"),
    ("log", "queries are not logged one by one; [stats] names counts them by name, /metrics by type and response code"),
    ("debug", "[log] level says how much is told"),
    ("pprof", "it shows the insides of Go programs"),
    ("loop", "a question that comes back is known for what it is, and refused"),
    ("reload", "a Corefile that is served is looked at every few seconds in any case"),
    ("cancel", "an answer takes microseconds, so none is given up"),
    ("multisocket", "one thread a core answers the ports, see [workers]"),
    ("shed", "what cannot be sent is dropped and counted, and nothing piles up"),
    ("any", "a question for ANY gets one RRset (RFC 8482 section 4.1)"),
    ("minimal", "answers have nothing in them that a client can do without"),
    ("metadata", "nothing uses what it publishes"),
    ("geoip", "it publishes metadata, and nothing uses them"),
    ("whoami", "it is for trials; /api/v1/status tells of the server"),
    ("federation", "federations are gone from Kubernetes"),
    ("quic", "its limits are those of DNS over QUIC, which is not answered"),
    ("grpc_server", "its limits are those of DNS over gRPC, which is not answered"),
    ("https", "its limits are those of DNS over HTTPS, which is not answered"),
    ("https3", "its limits are those of DNS over HTTPS, which is not answered"),
    ("nodecache", "RingDNS sets no firewall rules by itself"),
];

/// Plugins that change answers and that nothing takes the place of: the plugin, what is missing, what to do.
pub(super) const UNSUPPORTED: &[(&str, &str, &str)] = &[
    ("rewrite", "rewriting questions and answers", "write the names as records (CNAME) into a zone file or the store"),
    ("template", "answers made from patterns", "write the names, or a wildcard record, into a zone file or the store"),
    ("dns64", "AAAA records made from A records", "leave the translation to the resolver in front of the clients"),
    ("acl", "refusing clients by their networks", "write [policy] allow and deny, which are about names of others"),
    (
        "view",
        "a server block for some of the clients",
        "write a [[view]] with their networks, and records in that view",
    ),
    ("header", "setting bits of the header", "remove it"),
    ("dnssec", "signing answers", "sign outside of it; clients that check signatures must not expect them here"),
    ("sign", "signing zone files", "sign the file with a tool such as dnssec-signzone, and serve the result"),
    ("tsig", "signed requests", "limit who may ask by address"),
    ("tls", "DNS over TLS", "put a proxy in front that ends TLS, or remove the block"),
    ("secondary", "zones transferred from another server", "have the zone's file copied and serve it by [[zone_file]]"),
    ("route53", "zones of a cloud", "leave them to the cloud's resolvers"),
    ("azure", "zones of a cloud", "leave them to the cloud's resolvers"),
    ("clouddns", "zones of a cloud", "leave them to the cloud's resolvers"),
    ("nomad", "services of Nomad", "leave them to Nomad's or Consul's own name server"),
    ("grpc", "forwarding over gRPC", "use forward"),
    ("erratic", "answers that fail on purpose", "remove it; it is for tests of clients"),
    ("dnstap", "a log of all messages", "capture packets beside the server, or remove it"),
    ("trace", "traces of single queries", "remove it; latency is in the metrics"),
    (
        "on",
        "commands at start and end",
        "have the service manager run them (ExecStartPost, ExecStopPost, lifecycle hooks)",
    ),
    ("proxyproto", "addresses of clients from the PROXY protocol", "have clients reach the server itself"),
];
