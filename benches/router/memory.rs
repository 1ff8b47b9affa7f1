//! Resident memory of the idle router: four SMS transports, the SSMI transport, two campaigns, no sandbox in it.

use crate::harness::{BenchHarness, free_port};

pub(crate) fn run() {
    let default = include_str!("../../settings/default.toml");
    let production = default.split("[sandbox]").next().unwrap();
    let harness = BenchHarness::new(&production.replace("127.0.0.1:8000", &format!("127.0.0.1:{}", free_port())));
    let router = harness.start(&["run"]);
    println!("\nresident memory, idle: {:.1} MB", router.resident_mb());
}
