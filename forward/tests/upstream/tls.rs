//! Over TLS (RFC 7858): a good certificate, or nothing.

use std::net::SocketAddr;

use ringdns_controlplane::config::forward::UpstreamConfig;
use ringdns_forward::upstream::{Failure, Means, StartError, Upstream};
use tokio::runtime::Handle;

use crate::asking::{SHORT, TRY, address, ask, quiet, with};
use crate::certificates::{Authority, acceptor};
use crate::double::{Double, only};
use crate::reply::{HONEST, PADDING, Reply};

/// An upstream over TLS.
fn tls(address: SocketAddr, name: Option<&str>) -> Upstream {
    let name = name.map(str::to_owned);
    let authority = Authority::file();
    with(&UpstreamConfig::Tls { address, name, ca_file: Some(authority.path()) }, quiet())
}

/// A double over TLS.
async fn double(certificate: &str) -> Double {
    Double::with(true, Some(acceptor(certificate, &[b"dot"])), |asked| only(asked.reply())).await
}

#[tokio::test]
async fn a_certificate_for_the_name_or_for_the_address_is_good() {
    for name in [Some("dns.example"), None] {
        let double = double("good").await;
        let upstream = tls(double.address, name);
        for _ in 0..3 {
            assert_eq!(address(&upstream).await, HONEST);
        }
        assert_eq!(double.connections(), (1, 0));
        for asked in double.asked() {
            // Who listens learns no length (RFC 8467), and nobody else could answer.
            assert_eq!(asked.message.len() % 128, 0);
            assert!(asked.option(PADDING).is_some() && asked.option(crate::reply::COOKIE).is_none());
            assert_eq!(asked.name(), asked.name().to_ascii_lowercase());
        }
    }
}

#[tokio::test]
async fn a_server_that_chooses_no_protocol_is_taken() {
    let double = Double::with(true, Some(acceptor("good", &[])), |asked| only(asked.reply())).await;
    assert_eq!(address(&tls(double.address, None)).await, HONEST);
}

#[tokio::test]
async fn any_other_certificate_is_refused_and_nothing_is_asked() {
    for certificate in ["elsewhere", "expired", "untrusted"] {
        let double = double(certificate).await;
        for name in [Some("dns.example"), None] {
            let upstream = tls(double.address, name);
            for _ in 0..2 {
                assert_eq!(ask(&upstream, "some.name.", TRY).await, Err(Failure::Certificate), "{certificate}");
            }
        }
        assert!(double.asked().is_empty(), "{certificate}");
    }
}

#[tokio::test]
async fn plain_dns_is_not_spoken_to_who_has_no_tls() {
    let double = Double::start(|asked| only(asked.reply())).await;
    let failure = ask(&tls(double.address, None), "some.name.", SHORT).await.unwrap_err();
    assert!(matches!(failure, Failure::Tls | Failure::Timeout), "{failure:?}");
    // What came was a handshake, whatever the double took it for.
    assert!(double.asked().iter().all(|asked| asked.over_tcp && !asked.message.windows(4).any(|part| part == b"some")));
}

#[tokio::test]
async fn another_protocol_is_refused() {
    let double = Double::with(true, Some(acceptor("good", &[b"h2"])), |asked| only(asked.reply())).await;
    assert_eq!(ask(&tls(double.address, None), "some.name.", TRY).await, Err(Failure::Tls));
}

#[tokio::test]
async fn edns_is_left_out_for_who_does_not_understand_it() {
    let acceptor = acceptor("good", &[b"dot"]);
    let double = Double::with(true, Some(acceptor), |asked| match asked.opt() {
        Some(_) => only(Reply { options: None, ..asked.reply() }.rcode(1)),
        None => only(asked.reply()),
    })
    .await;
    assert_eq!(address(&tls(double.address, None)).await, HONEST);
}

#[tokio::test]
async fn what_is_wrong_with_the_configuration_is_told_at_the_start() {
    let start = |name: Option<&str>, ca_file: &str| {
        let (name, ca_file) = (name.map(str::to_owned), Some(ca_file.into()));
        let config = UpstreamConfig::Tls { address: SocketAddr::from(([127, 0, 0, 1], 853)), name, ca_file };
        Upstream::start(&config, quiet(), &Means::new(Handle::current(), 1)).err().unwrap()
    };
    let missing = start(None, "/nowhere/ca.pem");
    assert!(matches!(&missing, StartError::CaFile { .. }), "{missing}");
    assert!(missing.to_string().contains("/nowhere/ca.pem"), "{missing}");
    let empty = start(None, "/dev/null").to_string();
    assert!(empty.contains("no certificate is in it"), "{empty}");
    let authority = Authority::file();
    let name = start(Some("not a host"), authority.path().to_str().unwrap());
    assert!(matches!(&name, StartError::Name(_)), "{name}");
}
