//! `lb explain`.

use std::{fmt::Write as _, net::SocketAddr};

use super::{
    Error,
    output::Output,
    table::{Column, Table, cell},
};
use crate::api::{
    client::Client,
    explain::{Explanation, Question, Step, Transport},
};

/// Show what the node does with a packet, step by step
///
/// The loaded program runs on that packet, over the node's own maps. No counter and no map changes,
/// and nothing is sent.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  lb explain tcp 198.51.100.7:40000 203.0.113.10:443
  lb explain tcp 198.51.100.7:40000 203.0.113.10:443 --syn
  lb explain udp [2001:db8::7]:40000 [2001:db8::10]:53 --json | jq -r .verdict")]
pub(super) struct ExplainArgs {
    /// The protocol
    protocol: Transport,
    /// The client: address and port
    source: SocketAddr,
    /// What it talks to: address and port
    destination: SocketAddr,
    /// A packet that opens a connection; one amid a connection if left out
    #[arg(long)]
    syn: bool,
}

pub(super) async fn explain(
    client: &Client,
    output: Output,
    args: ExplainArgs,
) -> Result<(), Error> {
    let ExplainArgs { protocol, source, destination, syn } = args;
    let explanation = client.explain(&Question { protocol, source, destination, syn }).await?;
    output.show(&explanation, |explanation| text(explanation, output.colour))
}

fn text(explanation: &Explanation, colour: bool) -> String {
    let Explanation { steps, verdict, meaning, received, sent } = explanation;
    let mut table = Table::new(&[Column::Text("STAGE"), Column::Text("FINDING")], colour);
    for Step { stage, finding } in steps {
        table.row(vec![cell(stage), cell(finding)]);
    }
    table.row(vec![cell(&"verdict"), cell(&format!("{verdict}: {meaning}"))]);
    let mut text = table.render();
    // Writing to a string cannot fail.
    let _written = writeln!(text, "\nin   {received}");
    if let Some(sent) = sent {
        let _written = writeln!(text, "out  {sent}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_reads_from_top_to_bottom() {
        let step =
            |stage: &str, finding: &str| Step { stage: stage.into(), finding: finding.into() };
        let explanation = Explanation {
            steps: vec![step("service", "web"), step("slot", "stable: web1")],
            verdict: "transmitted".into(),
            meaning: "Sent out.".into(),
            received: "00".into(),
            sent: Some("01".into()),
        };
        assert_eq!(
            text(&explanation, false),
            "STAGE    FINDING\nservice  web\nslot     stable: web1\nverdict  transmitted: Sent out.\n\n\
             in   00\nout  01\n"
        );
    }
}
