//! `[[port]]`, right and wrong.

use super::*;

#[test]
fn ports_are_checked_one_by_one_and_against_each_other() {
    let with = |keys: &str| {
        let text = format!("[[port]]\ndevice = \"net_tap1,iface=b\"\naddresses = [\"192.0.2.1\"]\n{keys}");
        parse(&text).map(|config| config.ports[0].clone()).map_err(|error| error.to_string())
    };
    assert_eq!(with("vlan = 4094\nmtu = 9000\ndns_port = 5353").unwrap().vlan, Some(4094));
    for (keys, expected) in [
        ("vlan = 0", "ringdns.toml:4:8: port[0].vlan: 0 is out of bounds; give a number from 1 to 4094"),
        ("vlan = 4095", "4095 is out of bounds"),
        ("mtu = 575", "4:7: port[0].mtu: 575 is out of bounds; give a number from 576 to 9000 bytes"),
        ("dns_port = 0", "4:12: port[0].dns_port: 0 is out of bounds; give a number from 1 to 65535"),
        ("dns_port = 65536", "65536 is out of bounds"),
    ] {
        assert!(with(keys).unwrap_err().contains(expected), "{keys}: {:?}", with(keys));
    }
    for (port, expected) in [
        ("device = \"\"\naddresses = [\"192.0.2.1\"]", "port[0].device: the device is empty"),
        ("device = \"net_tap0 iface=a\"\naddresses = [\"192.0.2.1\"]", "has blanks in it; write DPDK device"),
        ("device = \"a\"\naddresses = []", "3:13: port[0].addresses: no address is given"),
        ("device = \"a\"\naddresses = [\"192.0.2.256\"]", "3:14: invalid IP address syntax"),
        (
            "device = \"a\"\naddresses = [\"192.0.2.1\", \"192.0.2.1\"]",
            "3:27: port[0].addresses: 192.0.2.1 is given twice",
        ),
        ("device = \"a\"\naddresses = [\"0.0.0.0\"]", "0.0.0.0 is the unspecified address; give a unicast"),
        ("device = \"a\"\naddresses = [\"127.0.0.1\"]", "is a loopback address"),
        ("device = \"a\"\naddresses = [\"ff02::1\"]", "is a multicast address"),
        ("device = \"a\"\naddresses = [\"255.255.255.255\"]", "is the broadcast address"),
        ("device = \"a\"\naddresses = [\"::ffff:192.0.2.1\"]", "is an IPv4-mapped address"),
        ("device = \"a\"\naddresses = [\"2001:db8::1\"]\nmtu = 1000", "give a number from 1280 to 9000"),
    ] {
        let error = parse(&format!("[[port]]\n{port}\n")).unwrap_err().to_string();
        assert!(error.contains(expected), "{port}\n{error}");
    }
    let two = |first: &str, second: &str| {
        let port = |device: &str| format!("[[port]]\ndevice = \"{device}\"\naddresses = [\"192.0.2.1\"]\n");
        parse(&(port(first) + &port(second))).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(two("net_tap0,iface=a", "net_tap1,iface=b"), Ok(()));
    assert!(
        two("net_tap0,iface=a", "net_tap1,iface=a").unwrap_err().contains("port[1].device: interface a is already")
    );
    assert!(
        two("net_tap0,iface=a", "net_tap0,iface=b").unwrap_err().contains("device net_tap0 is already that of port[0]")
    );
    let many: Vec<String> = (0..65).map(|host| format!("\"192.0.2.{host}\"")).collect();
    let error =
        parse(&format!("[[port]]\ndevice = \"a\"\naddresses = [{}]\n", many.join(","))).unwrap_err().to_string();
    assert!(error.contains("65 addresses are given; a port serves at most 64"), "{error}");
    assert!(parse("").unwrap_err().to_string().contains("ringdns.toml: port: no port and no socket is configured"));
}

#[test]
fn nics_have_a_kernel_path_unless_told_otherwise() {
    let kernel = |lines: &str| {
        let text = format!("[[port]]\ndevice = \"0000:01:00.0\"\naddresses = [\"192.0.2.1\"]\n{lines}");
        parse(&text).map(|config| config.ports[0].kernel.clone())
    };
    let port = |kind, interface: &str| Some(KernelConfig { kind, interface: interface.to_owned() });
    assert_eq!(kernel("").unwrap(), port(KernelKind::Auto, "ring0"));
    assert_eq!(kernel("kernel = \"off\"").unwrap(), None);
    assert_eq!(kernel("kernel = \"vhost\"\nkernel_interface = \"dns0\"").unwrap(), port(KernelKind::Vhost, "dns0"));
    let virtual_port = "[[port]]\ndevice = \"net_tap0\"\naddresses = [\"192.0.2.1\"]\n";
    assert_eq!(parse(virtual_port).unwrap().ports[0].kernel, None);
    let auto = format!("{virtual_port}kernel = \"auto\"");
    assert_eq!(parse(&auto).unwrap().ports[0].kernel, port(KernelKind::Auto, "ring0"));
    let port = |lines: &str| format!("{virtual_port}{lines}\n");
    for (text, expected) in [
        (port("kernel = \"kni\""), "port[0].kernel: \"kni\" is no way to the kernel; write \"auto\""),
        (
            port("kernel = \"tap\"\nkernel_interface = \"a name too long for it\""),
            "port[0].kernel_interface: \"a name too long for it\" is no name for an interface; give 1 to 15",
        ),
        (port("kernel = \"tap\"\nkernel_interface = \"a,b\""), "\"a,b\" is no name for an interface"),
        (
            port("kernel = \"tap\"\nkernel_interface = \"ring1\"") + &port("kernel = \"tap\"").replace("tap0", "tap1"),
            "interface ring1 is already that of port[0]; give each port an interface of its own",
        ),
    ] {
        assert_told(&text, expected);
    }
}
