//! SIGHUP reads the zone files again.

use std::time::Duration;

use harness::dig::dig;
use harness::link::addresses::SERVED4;
use harness::{Setup, turn, wait_for};

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
