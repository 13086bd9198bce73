//! A packet's way through the node.

use std::net::IpAddr;

use lb_common::{
    addr::Port,
    flow::{Choice, Moment},
    hash::{flow_hash, slot_index},
    slot::State,
    verdict::{Kind, Verdict},
};

use crate::{
    answer::Answer,
    deliver, error,
    memory::{Firsts, Flows, Target},
    node::Node,
    parse::{ICMP, ICMPV6, Packet, Part, TCP, parse},
};

/// A node with what it remembers.
#[derive(Clone, Debug)]
pub struct Model {
    node: Node,
    flows: Flows,
    firsts: Firsts,
}

/// What becomes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// What leaves the node, or goes on to its kernel.
    pub sent: Sent,
    /// What it took to know that.
    pub stage: Stage,
}

/// What leaves the node, or goes on to its kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Nothing.
    Nothing,
    /// The frame as it came, for the kernel.
    Untouched,
    /// This frame.
    Frame(Vec<u8>),
    /// An answer, whose bytes are free within what it must say.
    Answer(Answer),
}

/// What it took to know what becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The frame alone, and the maps.
    Single,
    /// What is remembered of flows.
    Flow,
    /// The first fragment.
    Fragment,
    /// An ICMP message.
    Icmp,
    /// An answer by the node.
    Answer,
}

/// What is done with a packet that is not stopped.
enum Act {
    Deliver(Vec<u8>, u32),
    Answer(Answer),
}

impl Model {
    /// A node that remembers nothing.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self { node, flows: Flows::default(), firsts: Firsts::default() }
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// What becomes of a frame.
    pub fn run(&mut self, frame: &[u8]) -> Outcome {
        let mut stage = Stage::Single;
        let act = self.act(frame, &mut stage);
        let (verdict, sent) = match act {
            Ok(Act::Deliver(sent, interface)) => self.leave(sent, interface),
            Ok(Act::Answer(_)) if !self.node.answers => {
                stage = Stage::Answer;
                (Verdict::RateLimited, Sent::Nothing)
            }
            Ok(Act::Answer(answer)) => {
                stage = Stage::Answer;
                (answer.verdict(), Sent::Answer(answer))
            }
            Err(verdict) => (verdict, kept(verdict)),
        };
        Outcome { verdict, sent, stage }
    }

    fn leave(&self, sent: Vec<u8>, interface: u32) -> (Verdict, Sent) {
        if interface == self.node.ingress {
            (Verdict::Transmitted, Sent::Frame(sent))
        } else if self.node.devices.contains(&interface) {
            (Verdict::Redirected, Sent::Frame(sent))
        } else {
            (Verdict::NoDevice, Sent::Nothing)
        }
    }

    fn act(&mut self, frame: &[u8], stage: &mut Stage) -> Result<Act, Verdict> {
        let packet = parse(frame)?;
        if self.node.denied.iter().any(|network| network.contains(packet.source)) {
            return Err(Verdict::Denied);
        }
        let target = if let Part::Later(identification) = packet.part {
            *stage = Stage::Fragment;
            self.firsts.target(&packet, identification).ok_or_else(|| self.lost(&packet))?
        } else if matches!(packet.protocol, ICMP | ICMPV6) {
            *stage = Stage::Icmp;
            return self.icmp(frame, &packet);
        } else {
            let ends = Ends {
                client: (packet.source, packet.ports.0),
                service: (packet.destination, packet.ports.1),
            };
            match self.service(&packet, ends, packet.moment, stage)? {
                Ok(target) => target,
                Err(answer) => return Ok(Act::Answer(answer)),
            }
        };
        self.firsts.remember(&packet, target);
        self.deliver(frame, &packet, target)
    }

    fn lost(&self, packet: &Packet) -> Verdict {
        if self.node.is_vip(packet.destination) {
            Verdict::LostFragment
        } else {
            Verdict::NoService
        }
    }

    /// Where a flow's packets go, or how they are refused.
    fn service(
        &mut self,
        packet: &Packet,
        ends: Ends,
        moment: Moment,
        stage: &mut Stage,
    ) -> Result<Result<Target, Answer>, Verdict> {
        let Ends { client, service: (vip, port) } = ends;
        let Some(position) = self.node.service(vip, port, packet.protocol) else {
            let reply = self.node.reply(client.0, client.1, packet.protocol);
            let (service, _) = reply.ok_or(Verdict::NoService)?;
            return Ok(Ok(Target::Client { service }));
        };
        let service = &self.node.services[position];
        let (source_port, destination_port) = (Port::new(client.1), Port::new(port));
        let hash = flow_hash(&self.node.hash_key, &client.0.into(), source_port, destination_port);
        let state = service.ring[slot_index(hash, service.ring.len() as u32) as usize];
        if !matches!(state, State::Stable { .. }) {
            *stage = Stage::Flow;
        }
        let key = (position, client.0, client.1, port);
        match self.flows.choose(key, service, state, moment) {
            Choice::Backend(index) => {
                let backend = usize::from(index) - 1;
                Ok(Ok(Target::Backend { service: position, backend, hash }))
            }
            Choice::None => Err(Verdict::NoBackend),
            Choice::Drop => Err(Verdict::BackendDown),
            Choice::Refuse if packet.protocol == TCP => Ok(Err(Answer::Reset)),
            Choice::Refuse => Ok(Err(Answer::PortUnreachable)),
        }
    }

    fn deliver(&self, frame: &[u8], packet: &Packet, target: Target) -> Result<Act, Verdict> {
        let ip = frame[packet.network..].to_vec();
        let (sent, interface) = match target {
            Target::Backend { service, backend, hash } => {
                let service = &self.node.services[service];
                let backend = &service.backends[backend];
                let room = deliver::room(service, backend);
                if packet.end - packet.network > usize::from(room) {
                    return Ok(Act::Answer(Answer::TooBig { mtu: room }));
                }
                deliver::to_backend(&self.node, ip, packet, (service, backend), hash)?
            }
            Target::Client { service } => {
                deliver::to_client(&self.node, ip, packet, &self.node.services[service])?
            }
        };
        Ok(Act::Deliver(sent, interface))
    }

    /// RFC 792 and RFC 4443: echo requests to a VIP, and errors about what a service sent.
    fn icmp(&mut self, frame: &[u8], packet: &Packet) -> Result<Act, Verdict> {
        let message = &frame[packet.transport..packet.end];
        let echo = if packet.protocol == ICMP { 8 } else { 128 };
        let whole = packet.part == Part::Whole;
        if message[0] == echo && whole && self.node.is_vip(packet.destination) {
            return Ok(Act::Answer(Answer::Echo));
        }
        let quoted = error::quoted(message, packet).ok_or(Verdict::NotTcpOrUdp)?;
        let flow = quoted.packet;
        // What was sent by the service is what its backend answered: the flow runs the other way.
        let ends =
            Ends { client: (flow.destination, flow.ports.1), service: (flow.source, flow.ports.0) };
        let is_service = self.node.service(ends.service.0, ends.service.1, flow.protocol);
        let _: usize = is_service.ok_or(Verdict::NotTcpOrUdp)?;
        let mut stage = Stage::Icmp;
        let Ok(target) = self.service(&flow, ends, Moment::Amid, &mut stage)? else {
            // An error is never answered by an error (RFC 1122 §3.2.2).
            return Err(Verdict::BackendDown);
        };
        let Target::Backend { service, backend, hash } = target else {
            return Err(Verdict::NotTcpOrUdp);
        };
        let service = &self.node.services[service];
        let backend = &service.backends[backend];
        let (sent, interface) =
            error::to_backend(&self.node, frame, packet, &quoted, (service, backend), hash)?;
        Ok(Act::Deliver(sent, interface))
    }
}

/// The two ends of a flow.
#[derive(Clone, Copy)]
struct Ends {
    client: (IpAddr, u16),
    service: (IpAddr, u16),
}

fn kept(verdict: Verdict) -> Sent {
    match verdict.kind() {
        Kind::Passed => Sent::Untouched,
        Kind::Forwarded | Kind::Answered | Kind::Dropped => Sent::Nothing,
    }
}
