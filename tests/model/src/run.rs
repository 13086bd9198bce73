//! A packet's way through the node.

use std::net::IpAddr;

use lb_common::{
    addr::Port,
    flow::Choice,
    hash::{flow_hash, slot_index},
    slot::State,
    verdict::{Kind, Verdict},
};

use crate::{
    answer::{Answer, is_answerable, is_plain, is_reset},
    deliver, error,
    memory::{Firsts, FlowKey, Flows, Target},
    node::{Hop, Node, Service},
    parse::{DESTINATION_OPTIONS, ICMP, ICMPV6, Packet, Part, TCP, UDP, parse},
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
            match self.flow(frame, &packet, stage)? {
                Ok(target) => target,
                Err(answer) => return Ok(Act::Answer(answer)),
            }
        };
        if let Target::Client { .. } = target {
            let _: &Hop = deliver::route(&self.node, &packet)?;
        }
        self.firsts.remember(&packet, target);
        self.deliver(frame, &packet, target)
    }

    /// A fragment whose first was not seen. Behind an IPv6 fragment header may stand destination
    /// options; what is of no balanced protocol is the kernel's to put together.
    fn lost(&self, packet: &Packet) -> Verdict {
        let options = !packet.source.is_ipv4() && packet.protocol == DESTINATION_OPTIONS;
        match (packet.protocol, self.node.is_vip(packet.destination)) {
            (TCP | UDP, true) => Verdict::LostFragment,
            (_, true) if options => Verdict::LostFragment,
            (TCP | UDP, false) => Verdict::NoService,
            _ => Verdict::NotTcpOrUdp,
        }
    }

    /// Where a packet goes, or how it is refused.
    fn flow(
        &mut self,
        frame: &[u8],
        packet: &Packet,
        stage: &mut Stage,
    ) -> Result<Result<Target, Answer>, Verdict> {
        let (source, destination) = packet.ports;
        let Some(service) = self.node.service(packet.destination, destination, packet.protocol)
        else {
            let reply = self.node.reply(packet.source, source, packet.protocol);
            let (service, _) = reply.ok_or(Verdict::NoService)?;
            return Ok(Ok(Target::Client { service }));
        };
        let (key, hash, state) = self.slot(service, (packet.source, source), destination);
        if !matches!(state, State::Stable { .. }) {
            *stage = Stage::Flow;
        }
        match self.flows.choose(key, &self.node.services[service], state, packet.moment) {
            Choice::Backend(index) => Ok(Ok(Target::new(service, index, hash))),
            Choice::None => Err(Verdict::NoBackend),
            Choice::Drop => Err(Verdict::BackendDown),
            Choice::Refuse if !is_answerable(frame, packet) => Err(Verdict::BackendDown),
            Choice::Refuse if packet.protocol == UDP => Ok(Err(Answer::PortUnreachable)),
            Choice::Refuse if is_reset(frame, packet) => Err(Verdict::BackendDown),
            Choice::Refuse => Ok(Err(Answer::Reset)),
        }
    }

    /// A flow's key, hash and slot.
    fn slot(
        &self,
        service: usize,
        (client, client_port): (IpAddr, u16),
        service_port: u16,
    ) -> (FlowKey, u32, State) {
        let ports = (Port::new(client_port), Port::new(service_port));
        let hash = flow_hash(&self.node.hash_key, &client.into(), ports.0, ports.1);
        let ring = &self.node.services[service].ring;
        let state = ring[slot_index(hash, ring.len() as u32) as usize];
        ((service, client, client_port, service_port), hash, state)
    }

    fn deliver(&self, frame: &[u8], packet: &Packet, target: Target) -> Result<Act, Verdict> {
        let ip = frame[packet.network..].to_vec();
        let (sent, interface) = match target {
            Target::Backend { service, backend, hash } => {
                let service = &self.node.services[service];
                let backend = &service.backends[backend];
                let room = deliver::room(service, backend);
                if packet.end - packet.network > usize::from(room) {
                    let later = matches!(packet.part, Part::Later(_));
                    let may = !later && is_answerable(frame, packet);
                    return answer_if(may, Answer::TooBig { mtu: room }, Verdict::Oversize);
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
    fn icmp(&self, frame: &[u8], packet: &Packet) -> Result<Act, Verdict> {
        if packet.part != Part::Whole || !self.node.is_vip(packet.destination) {
            return Err(Verdict::NotTcpOrUdp);
        }
        let (message, v4) = (&frame[packet.transport..packet.end], packet.protocol == ICMP);
        if message[0] == if v4 { 8 } else { 128 } {
            // The kernel answers those with options (RFC 1122 §3.2.2.6).
            let may = is_plain(packet) && is_answerable(frame, packet);
            return answer_if(may, Answer::Echo, Verdict::NotTcpOrUdp);
        }
        if !error::is_error(message, v4) {
            return Err(Verdict::NotTcpOrUdp);
        }
        let quoted = error::quoted(message, packet)?;
        let (service, backend, hash) = self.quoted_flow(&quoted)?;
        let backend = &service.backends[backend];
        if packet.end - packet.network > usize::from(deliver::room(service, backend)) {
            return Err(Verdict::Oversize);
        }
        let (sent, interface) =
            error::to_backend(&self.node, frame, packet, &quoted, (service, backend), hash)?;
        Ok(Act::Deliver(sent, interface))
    }

    /// The service and the backend that sent a packet, and the hash of its flow, which runs the other
    /// way.
    fn quoted_flow(&self, packet: &Packet) -> Result<(&Service, usize, u32), Verdict> {
        let (port, client_port) = packet.ports;
        let position = self.node.service(packet.source, port, packet.protocol);
        let position = position.ok_or(Verdict::NotTcpOrUdp)?;
        let (key, hash, state) = self.slot(position, (packet.destination, client_port), port);
        let service = &self.node.services[position];
        match self.flows.look_up(key, service, state) {
            Choice::Backend(index) => Ok((service, usize::from(index) - 1, hash)),
            Choice::None => Err(Verdict::NoBackend),
            Choice::Drop | Choice::Refuse => Err(Verdict::BackendDown),
        }
    }
}

fn answer_if(may: bool, answer: Answer, otherwise: Verdict) -> Result<Act, Verdict> {
    if may { Ok(Act::Answer(answer)) } else { Err(otherwise) }
}

fn kept(verdict: Verdict) -> Sent {
    match verdict.kind() {
        Kind::Passed => Sent::Untouched,
        Kind::Forwarded | Kind::Answered | Kind::Dropped => Sent::Nothing,
    }
}
