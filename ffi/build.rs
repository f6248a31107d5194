//! Finds DPDK by pkg-config, compiles the shim, and has bindgen read what the data plane uses.
//!
//! Whatever is missing on the machine is said in one line that names the remedy.

use std::env;
use std::panic;
use std::path::PathBuf;
use std::process::Command;

/// The oldest DPDK that is supported: the LTS of Debian 12.
const VERSION_MIN: &str = "22.11";

/// What a build machine needs, as Debian names it.
const INSTALL: &str =
    "apt-get install --no-install-recommends libdpdk-dev pkg-config libclang1-14 libclang-common-14-dev gcc libc6-dev";

/// The libraries that are linked. Drivers, buses and mempool handlers are loaded by the EAL from its plugin folder.
const LIBRARIES: &[&str] = &["rte_eal", "rte_mempool", "rte_mbuf", "rte_ethdev"];

/// Functions of DPDK that the data plane calls.
const FUNCTIONS: &[&str] = &[
    // EAL
    "rte_eal_init",
    "rte_eal_cleanup",
    "rte_strerror",
    "rte_version",
    "rte_thread_register",
    "rte_thread_unregister",
    // devices
    "rte_dev_probe",
    "rte_eal_hotplug_remove",
    // buffers
    "rte_pktmbuf_free_bulk",
    "rte_mempool_free",
    "rte_mempool_avail_count",
    // ports
    "rte_eth_allmulticast_enable",
    "rte_eth_dev_adjust_nb_rx_tx_desc",
    "rte_eth_dev_close",
    "rte_eth_dev_configure",
    "rte_eth_dev_get_port_by_name",
    "rte_eth_dev_info_get",
    "rte_eth_dev_set_mtu",
    "rte_eth_dev_socket_id",
    "rte_eth_dev_start",
    "rte_eth_dev_stop",
    "rte_eth_macaddr_get",
    "rte_eth_promiscuous_disable",
    "rte_eth_promiscuous_enable",
    "rte_eth_dev_rx_intr_ctl_q_get_fd",
    "rte_eth_dev_rx_intr_disable",
    "rte_eth_dev_rx_intr_enable",
    "rte_eth_rx_queue_setup",
    "rte_eth_stats_get",
    "rte_eth_tx_queue_setup",
    // shim.c
    "ringdns_.*",
];

/// Constants, those of shim.h included.
const CONSTANTS: &[&str] =
    &["RTE_MAX_LCORE", "RTE_ETH_NAME_MAX_LEN", "RTE_ETH_MQ_RX_RSS", "RTE_VER_YEAR", "RINGDNS_.*"];

/// Structs that are only ever seen through a pointer.
const OPAQUE: &[&str] = &["rte_mempool", "rte_device"];

fn main() {
    for path in ["build.rs", "src/shim.c", "src/shim.h"] {
        println!("cargo::rerun-if-changed={path}");
    }
    for variable in ["PKG_CONFIG", "PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR", "LIBCLANG_PATH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    if let Err(missing) = build() {
        // One line: Cargo shows it as the build's error.
        println!(
            "cargo::error={missing}. Install what the build needs: `{INSTALL}`. Without DPDK, these crates build and test: \
             ringdns-engine, ringdns-controlplane, ringdns-dataplane (without its feature `dpdk`)."
        );
    }
}

/// The three steps; the error says what is missing.
fn build() -> Result<(), String> {
    let version = pkg_config(&["--modversion"])?;
    pkg_config(&[&format!("--atleast-version={VERSION_MIN}")])
        .map_err(|_| format!("libdpdk is {}, older than {VERSION_MIN}", version.trim()))?;
    let cflags = pkg_config(&["--cflags"])?;
    let cflags: Vec<&str> = cflags.split_whitespace().collect();
    generate_bindings(&cflags)?;
    compile_shim(&cflags)?;
    for path in pkg_config(&["--libs-only-L"])?.split_whitespace() {
        println!("cargo::rustc-link-search=native={}", path.trim_start_matches("-L"));
    }
    for library in LIBRARIES {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    // For those that depend on this crate: DEP_DPDK_VERSION.
    println!("cargo::metadata=version={}", version.trim());
    Ok(())
}

/// Asks pkg-config about libdpdk.
///
/// The crate of that name is not used: it drops `-march` and `-include`, without which DPDK's headers do not compile.
fn pkg_config(arguments: &[&str]) -> Result<String, String> {
    let program = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    let output = Command::new(&program)
        .args(arguments)
        .arg("libdpdk")
        .output()
        .map_err(|error| format!("{} cannot be run ({error})", program.display()))?;
    if !output.status.success() {
        return Err("DPDK's headers are not found: pkg-config knows no libdpdk".to_owned());
    }
    String::from_utf8(output.stdout).map_err(|error| format!("pkg-config's output is not text ({error})"))
}

/// Writes bindings.rs. bindgen panics where it finds no libclang; that becomes an error like the others.
fn generate_bindings(cflags: &[&str]) -> Result<(), String> {
    let mut builder = bindgen::builder()
        .header("src/shim.h")
        .clang_args(cflags)
        .use_core()
        .blocklist_type("rte_mbuf.*")
        .prepend_enum_name(false)
        .generate_comments(false)
        .merge_extern_blocks(true)
        .rust_edition(bindgen::RustEdition::Edition2024);
    for function in FUNCTIONS {
        builder = builder.allowlist_function(function);
    }
    for constant in CONSTANTS {
        builder = builder.allowlist_var(constant);
    }
    for name in OPAQUE {
        builder = builder.opaque_type(name);
    }
    panic::set_hook(Box::new(|_| ()));
    let generated = panic::catch_unwind(panic::AssertUnwindSafe(|| builder.generate()));
    drop(panic::take_hook());
    let bindings = match generated {
        Ok(Ok(bindings)) => bindings,
        Ok(Err(error)) => return Err(one_line(&format!("libclang cannot read DPDK's headers: {error}"))),
        Err(_) => return Err("libclang is not found (bindgen needs it; LIBCLANG_PATH may name its folder)".to_owned()),
    };
    let path = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?).join("bindings.rs");
    bindings.write_to_file(&path).map_err(|error| format!("{} cannot be written ({error})", path.display()))
}

/// Compiles shim.c into a static library.
fn compile_shim(cflags: &[&str]) -> Result<(), String> {
    let mut compiler = cc::Build::new();
    compiler.file("src/shim.c").warnings(true).std("gnu11").opt_level(3);
    for flag in cflags {
        compiler.flag(flag);
    }
    // cc prints its own warnings for Cargo; an error becomes our line.
    compiler.try_compile("ringdns_shim").map_err(|error| one_line(&format!("the C compiler failed on shim.c: {error}")))
}

/// A message's first line: Cargo's protocol takes one line.
fn one_line(text: &str) -> String {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}
