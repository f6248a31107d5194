//! What needs no server: the checks before the first request, and the help.

use std::net::TcpListener;

use super::*;

/// Output, errors and exit code.
fn call(program: Program, words: &[&str], environment: &[(&str, &str)]) -> (String, String, u8) {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let variables =
        |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(program, &words, &variables, &mut Terminal { out: &mut out, err: &mut err });
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), code)
}

#[test]
fn the_checks_come_in_the_order_of_the_original() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let gone = format!(" the addr : {closed} can not access \n");
    let reach = ["-token", "t", "-addr", addr.as_str()];
    for (words, expected) in [
        (&[][..], "token must be input\n"),
        (&["-list", "-addr", &closed], "token must be input\n"),
        (&["-token", "t"], "url must be input \n"),
        (&["-token", "t", "-addr", &closed, "-method", "x"], gone.as_str()),
        (&reach, "method must be  create delete or update \n"),
        (&[&reach[..], &["-method", "show"]].concat(), "method must be  create delete or update \n"),
        (&[&reach[..], &["-method", "create"]].concat(), "domain must be input\n"),
        (&[&reach[..], &["-method", "delete"]].concat(), "domain must be input\n"),
        (&[&reach[..], &["-method", "Update"]].concat(), "domain must be input\n"),
        (&[&reach[..], &["-method", "create", "-domain", "a"]].concat(), "either ips or alias must be offered\n"),
        (
            &[&reach[..], &["-method", "create", "-domain", "a", "-ips", "b", "-alias", "c"]].concat(),
            "either ips or alias must be offered\n",
        ),
        (&[&reach[..], &["-method", "update", "-domain", "a"]].concat(), "updates must be offered\n"),
        (
            &[&reach[..], &["-method", "update", "-domain", "a", "-updates", "ips:1->2;3"]].concat(),
            "updates data err,input like ips:10.0.0.0->192.168.0.1;10.0.0.1->192.168.0.2 \n",
        ),
        (
            &[&reach[..], &["-method", "update", "-domain", "a", "-updates", "alias:b->c->d"]].concat(),
            "updates data err,input like alias: baidu->baidu1 \n",
        ),
        (
            &[&reach[..], &["-method", "update", "-domain", "a", "-updates", "b->c"]].concat(),
            "updates data err,input like ips:10.0.0.0->192.168.0.1;10.0.0.1->192.168.0.2    or    alias: baidu->baidu1  \n",
        ),
    ] {
        assert_eq!(call(Program::ContainerDns, words, &[]), (expected.to_owned(), String::new(), 0), "{words:?}");
        assert_eq!(call(Program::Own, words, &[]), (expected.to_owned(), String::new(), 1), "{words:?}");
        let strict = [&["-fail"], words].concat();
        assert_eq!(call(Program::SkyDns, &strict, &[]).2, 1, "{words:?}");
    }
}

#[test]
fn each_generation_reads_its_own_variables_first() {
    let both = [("CONDNS_API_ADDR", "new.invalid:1"), ("SKYDNS_API_ADDR", "old.invalid:1"), ("SKYDNS_API_TOKEN", "t")];
    assert_eq!(call(Program::ContainerDns, &[], &both).0, " the addr : new.invalid:1 can not access \n");
    assert_eq!(call(Program::SkyDns, &[], &both).0, " the addr : old.invalid:1 can not access \n");
    assert_eq!(call(Program::ContainerDns, &[], &both[1..]).0, " the addr : old.invalid:1 can not access \n");
    assert_eq!(call(Program::Own, &["-addr", "x.invalid:1"], &both).0, " the addr : x.invalid:1 can not access \n");
}

#[test]
fn names_lead_to_the_programs() {
    let called = |name: &str| Program::called_as(OsStr::new(name));
    assert_eq!(called("/usr/local/bin/containerdns-apicmd"), Some(Program::ContainerDns));
    assert_eq!(called("skydns-apicmd"), Some(Program::SkyDns));
    assert_eq!(called("/usr/bin/ringdns"), None);
}

#[test]
fn wrong_flags_and_help_say_how_it_is_used() {
    let (out, err, code) = call(Program::SkyDns, &["-nope"], &[]);
    assert_eq!((out.as_str(), code), ("", 2));
    assert!(err.starts_with("flag provided but not defined: -nope\nUsage of skydns-apicmd:\n"), "{err}");
    let (out, err, code) = call(Program::ContainerDns, &["-h"], &[]);
    assert_eq!((err.as_str(), code), ("", 0));
    assert!(out.contains("(CONDNS_API_TOKEN, else SKYDNS_API_TOKEN)"), "{out}");
}

#[test]
fn a_connection_that_breaks_is_told_and_is_no_success() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    // Takes the probe and the request, and answers neither.
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            drop(listener.accept().unwrap());
        }
    });
    let (out, _, code) =
        call(Program::ContainerDns, &["-addr", &addr, "-token", "t", "-method", "delete", "-domain", "a"], &[]);
    server.join().unwrap();
    assert!(out.starts_with("err :"), "{out}");
    assert_eq!(code, 1);
}
