//! SIGHUP and the admin API read the configuration and the zone files again.

use std::time::Duration;

use harness::dig::{dig, dig_with};
use harness::link::addresses::SERVED4;
use harness::{Server, Setup, turn, wait_for};
use serde_json::Value;

use crate::zone_text;

/// Longest from the signal to the new answers.
const RELOAD_TIME_MAX: Duration = Duration::from_secs(10);

#[test]
fn sighup_brings_the_new_file_and_a_broken_one_leaves_the_old_data() {
    let _turn = turn();
    let mut setup = Setup::new();
    setup.write_zone("file.example.", &zone_text("file.example.", 1, "www IN A 203.0.113.1\ngone IN A 203.0.113.9\n"));
    setup.write_zone("other.example.", &zone_text("other.example.", 1, "www IN A 203.0.113.5\n"));
    let server = setup.start();
    let address = || dig(SERVED4, "www.file.example", "A").answer;
    assert_eq!(address(), ["www.file.example. 300 IN A 203.0.113.1"]);

    setup.write_zone("file.example.", &zone_text("file.example.", 2, "www IN A 203.0.113.2\n"));
    server.reload();
    wait_for("the new file's answer", RELOAD_TIME_MAX, || {
        (address() == ["www.file.example. 300 IN A 203.0.113.2"]).then_some(())
    });
    assert_eq!(dig(SERVED4, "gone.file.example", "A").rcode, "NXDOMAIN", "what the new file lacks is gone");

    setup
        .write_zone("file.example.", &zone_text("file.example.", 3, "www IN A 203.0.113.3\nbad IN A not-an-address\n"));
    setup.write_zone("other.example.", &zone_text("other.example.", 2, "www IN A 203.0.113.6\n"));
    server.reload();
    // The broken file spoils its own zone only.
    wait_for("the other zone's new answer", RELOAD_TIME_MAX, || {
        (dig(SERVED4, "www.other.example", "A").answer == ["www.other.example. 300 IN A 203.0.113.6"]).then_some(())
    });
    assert_eq!(address(), ["www.file.example. 300 IN A 203.0.113.2"], "the old data stay");
    // The other zone's answer may come before the first one's file was read.
    let ready = wait_for("/ready to name what is wrong", RELOAD_TIME_MAX, || {
        let ready = server.get("/ready");
        ready.body.contains("not-an-address").then_some(ready)
    });
    assert_eq!(ready.status, 200, "what is served is whole: {ready:?}");
    let is_ok = |zone: &str| server.metrics().sum("ringdns_zone_file_ok", &[&format!("zone=\"{zone}\"")]);
    assert_eq!((is_ok("file.example."), is_ok("other.example.")), (0, 1));
    assert!(server.log().contains("not-an-address"), "so does the log");
}

/// Asks for a reload and gives what came of it.
fn reload(server: &Server) -> (u16, Value) {
    let response = server.send("POST", "/api/v1/reload", None);
    (response.status, serde_json::from_str(&response.body).expect("JSON"))
}

/// The text that the server gives as its version.
fn version() -> Vec<String> {
    dig_with(SERVED4, "version.bind", "TXT", &["-c", "CH"]).answer
}

#[test]
fn what_can_change_does_and_what_cannot_is_named() {
    let _turn = turn();
    let mut setup = Setup::new();
    setup.write_zone("first.example.", &zone_text("first.example.", 1, "www IN A 203.0.113.1\n"));
    setup.more = "[dns]\nversion = \"one\"\n".to_owned();
    let server = setup.start();
    assert_eq!(version(), ["version.bind. 0 CH TXT \"one\""]);
    assert_eq!(dig(SERVED4, "www.second.example", "A").rcode, "REFUSED");

    setup.write_zone("second.example.", &zone_text("second.example.", 1, "www IN A 203.0.113.2\n"));
    setup.eal = "memory_mib = 300".to_owned();
    setup.more = "[dns]\nversion = \"two\"\n[[view]]\nname = \"near\"\nprefixes = [\"192.0.2.0/24\"]\n".to_owned();
    setup.write_config();
    let (status, report) = reload(&server);
    assert_eq!(status, 200, "{report}");
    assert_eq!(report["changed"], serde_json::json!(["dns.version", "zone_file", "view"]));
    assert_eq!(report["needs_restart"], serde_json::json!(["eal.memory_mib"]));
    assert_eq!((&report["zone_files_loaded"], &report["zone_files_failed"]), (&2.into(), &serde_json::json!([])));
    // The answer comes when all of it holds, but for the worker, which takes its part before its next burst.
    assert_eq!(dig(SERVED4, "www.second.example", "A").answer, ["www.second.example. 300 IN A 203.0.113.2"]);
    assert_eq!(version(), ["version.bind. 0 CH TXT \"two\""]);
    server.put_zone("views.example.");
    let path = "/api/v1/zones/views.example./rrsets/www/A?view=near";
    let body = Some("{\"ttl\":60,\"records\":[\"203.0.113.9\"]}");
    assert_eq!(server.send("PUT", path, body).status, 201, "the view is known");
    assert_eq!(dig(SERVED4, "www.views.example", "A").answer, ["www.views.example. 60 IN A 203.0.113.9"]);

    setup.remove_zone("first.example.");
    setup.more = "[dns]\nversion = \"three\"\n".to_owned();
    setup.write_config();
    server.reload();
    wait_for("the zone without a file to go", RELOAD_TIME_MAX, || {
        (dig(SERVED4, "www.first.example", "A").rcode == "REFUSED").then_some(())
    });
    assert_eq!(version(), ["version.bind. 0 CH TXT \"three\""]);
    assert!(dig(SERVED4, "www.views.example", "A").answer.is_empty(), "nobody is in the view any more");
}

#[test]
fn a_wrong_configuration_changes_nothing_and_is_told() {
    let _turn = turn();
    let mut setup = Setup::new();
    setup.write_zone("first.example.", &zone_text("first.example.", 1, "www IN A 203.0.113.1\n"));
    setup.more = "[dns]\nversion = \"one\"\n".to_owned();
    let server = setup.start();
    setup.write_zone("first.example.", &zone_text("first.example.", 2, "www IN A 203.0.113.2\n"));
    setup.more = "[dns]\nversion = \"two\"\nnsdi = \"a\"\n".to_owned();
    setup.write_config();
    let (status, report) = reload(&server);
    assert_eq!((status, &report["error"]["code"]), (422, &"invalid_configuration".into()), "{report}");
    assert!(report.to_string().contains("nsdi"), "{report}");
    server.reload();
    let counts = |outcome: &str| {
        let label = format!("outcome=\"{outcome}\"");
        server.metrics().sum("ringdns_config_reloads_total", &[&label])
    };
    wait_for("the second refusal", RELOAD_TIME_MAX, || (counts("refused") == 2).then_some(()));
    assert_eq!((counts("taken"), server.metrics().sum("ringdns_config_ok", &[])), (0, 0));
    let told: Value = serde_json::from_str(&server.get("/api/v1/status").body).expect("JSON");
    assert!(told["configuration"]["error"].as_str().is_some_and(|error| error.contains("nsdi")), "{told}");
    assert_eq!(version(), ["version.bind. 0 CH TXT \"one\""]);
    assert_eq!(dig(SERVED4, "www.first.example", "A").answer, ["www.first.example. 300 IN A 203.0.113.1"]);

    setup.more = "[dns]\nversion = \"two\"\n".to_owned();
    setup.write_config();
    assert_eq!(reload(&server).0, 200);
    assert_eq!((counts("taken"), server.metrics().sum("ringdns_config_ok", &[])), (1, 1));
    assert_eq!(version(), ["version.bind. 0 CH TXT \"two\""]);
}
