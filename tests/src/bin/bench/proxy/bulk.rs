//! Streams of iperf3, from client to server.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail};
use lb_tests::{process::Process, run::output};
use serde_json::Value;

use super::{
    machines::{BULK, Machines, PROXY, wait_for},
    scenario::{Figures, Metric},
    subject::Subject,
    usage,
};

/// One turn with so many streams.
pub(super) fn measure(
    machines: &Machines,
    subject: Subject,
    streams: u32,
    length: Duration,
) -> Result<Figures> {
    let mut server = machines.server.command("iperf3");
    let _ = server.args(["-s", "-p", &BULK.to_string()]);
    let mut server = Process::start(server.stdout(Stdio::null()).stderr(Stdio::null()))?;
    wait_for(&mut server, &machines.server, &[BULK]).context("the server of streams")?;
    let _proxy = subject.start(machines)?;
    let before = usage::cpu(&machines.proxy)?;
    let mut client = machines.client.command("iperf3");
    let _ = client.args(["-c", &PROXY.to_string(), "-p", &BULK.to_string(), "--json"]).args([
        "-P",
        &streams.to_string(),
        "-t",
        &length.as_secs().to_string(),
    ]);
    let said = output(&mut client)?.stdout;
    let cpu = usage::cpu(&machines.proxy)? - before;
    let Received { bytes, bits_per_second } = received(&said)?;
    Ok(vec![(Metric::Gbps, bits_per_second / 1e9), (Metric::CpuPerGb, cpu / (bytes / 1e9))])
}

/// What came to the server.
#[derive(Debug, PartialEq)]
struct Received {
    bytes: f64,
    bits_per_second: f64,
}

/// iperf3's report, or its complaint.
fn received(report: &[u8]) -> Result<Received> {
    let report: Value = serde_json::from_slice(report).context("iperf3's report")?;
    if let Some(error) = report.get("error") {
        bail!("iperf3: {error}");
    }
    let figure = |name: &str| {
        let figure = report.pointer(&format!("/end/sum_received/{name}")).and_then(Value::as_f64);
        figure.filter(|it| *it > 0.0).with_context(|| format!("iperf3 reports no {name}"))
    };
    Ok(Received { bytes: figure("bytes")?, bits_per_second: figure("bits_per_second")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_reported() {
        let report = br#"{"end": {"sum_received": {"bytes": 5e9, "bits_per_second": 2e10}}}"#;
        let expected = Received { bytes: 5e9, bits_per_second: 2e10 };
        assert_eq!(received(report).unwrap(), expected);
    }

    #[test]
    fn nothing_is_no_result() {
        let nothing = br#"{"end": {"sum_received": {"bytes": 0, "bits_per_second": 0.0}}}"#;
        assert!(received(nothing).unwrap_err().to_string().contains("no bytes"));
        let refused = br#"{"end": {}, "error": "unable to connect"}"#;
        assert!(received(refused).unwrap_err().to_string().contains("unable to connect"));
    }
}
