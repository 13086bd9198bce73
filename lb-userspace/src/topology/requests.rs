//! What is asked of the kernel over rtnetlink.

use std::{io, net::IpAddr, time::Duration};

use futures::StreamExt;
use rtnetlink::{
    Handle,
    packet_core::{
        NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REPLACE, NLM_F_REQUEST,
        NetlinkMessage, NetlinkPayload,
    },
    packet_route::{
        AddressFamily,
        RouteNetlinkMessage::{self, GetAddress, GetLink, GetNeighbour, GetRoute, NewNeighbour},
        address::AddressMessage,
        link::{LinkAttribute, LinkExtentMask, LinkMessage},
        neighbour::{NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage},
        route::RouteMessage,
    },
};
use tokio::time::timeout;

use super::{
    dump::{Dump, PROTOCOL},
    keep::Action,
};

/// The kernel answers at once; anything longer means that the answer was lost.
const ANSWER: Duration = Duration::from_secs(5);
/// A dump that was interrupted by changes is tried this often.
const ATTEMPTS: usize = 4;

/// Why the kernel's links, routes and neighbours cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No socket.
    #[error("cannot open a netlink socket: {0}")]
    Socket(io::Error),
    /// The kernel refused a request.
    #[error("the kernel refused to {what}: {cause}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// The kernel's answer.
        cause: io::Error,
    },
    /// The kernel did not answer.
    #[error("the kernel did not {0} within {ANSWER:?}")]
    NoAnswer(&'static str),
    /// The socket's task ended.
    #[error("the netlink socket was closed")]
    Closed,
}

/// A socket for requests alone: notifications that overflow a socket would take answers with them.
pub(super) struct Requests(Handle);

#[derive(Default)]
struct Answer {
    messages: Vec<RouteNetlinkMessage>,
    refusal: Option<io::Error>,
    interrupted: bool,
}

impl Requests {
    pub(super) fn open() -> Result<Self, Error> {
        let (mut connection, handle, _) = rtnetlink::new_connection().map_err(Error::Socket)?;
        // An error in the middle of a dump comes with its end.
        connection.set_forward_done(true);
        // It ends with the handle.
        drop(tokio::spawn(connection));
        Ok(Self(handle))
    }

    pub(super) async fn dump(&mut self) -> Result<Dump, Error> {
        let mut links = LinkMessage::default();
        // The counters are the bulk of a link's description.
        links.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let mut messages = self.list("list links", GetLink(links)).await?;
        messages.extend(self.list("list addresses", GetAddress(AddressMessage::default())).await?);
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut routes = RouteMessage::default();
            routes.header.address_family = family;
            messages.extend(self.list("list routes", GetRoute(routes)).await?);
        }
        let neighbours = GetNeighbour(NeighbourMessage::default());
        messages.extend(self.list("list neighbours", neighbours).await?);
        Ok(Dump::new(messages))
    }

    pub(super) async fn carry_out(&mut self, action: Action) -> Result<(), Error> {
        match action {
            Action::Release(interface, address) => self.replace(probe(interface, address)).await,
            Action::Keep(interface, address) => {
                match self.replace(managed(interface, address)).await {
                    // A kernel that knows only some of the flags.
                    Err(Error::Refused { .. }) => self.replace(probe(interface, address)).await,
                    result => result,
                }
            }
        }
    }

    async fn list(
        &mut self,
        what: &'static str,
        request: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        let mut answer = Answer::default();
        for _ in 0..ATTEMPTS {
            answer = self.ask(what, NLM_F_DUMP, request.clone()).await?;
            if !answer.interrupted {
                break;
            }
        }
        // What interrupted the last attempt has caused a notification as well.
        Ok(answer.messages)
    }

    async fn replace(&mut self, neighbour: NeighbourMessage) -> Result<(), Error> {
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
        self.ask("keep a neighbour resolved", flags, NewNeighbour(neighbour)).await.map(drop)
    }

    /// Makes a change.
    pub(super) async fn change(
        &mut self,
        what: &'static str,
        flags: u16,
        request: RouteNetlinkMessage,
    ) -> Result<(), Error> {
        self.ask(what, flags, request).await.map(drop)
    }

    async fn ask(
        &mut self,
        what: &'static str,
        flags: u16,
        request: RouteNetlinkMessage,
    ) -> Result<Answer, Error> {
        let mut message = NetlinkMessage::from(request);
        message.header.flags = NLM_F_REQUEST | flags;
        let answer = timeout(ANSWER, self.exchange(message));
        let answer = answer.await.map_err(|_| Error::NoAnswer(what))??;
        match answer.refusal {
            Some(cause) => Err(Error::Refused { what, cause }),
            None => Ok(answer),
        }
    }

    async fn exchange(
        &mut self,
        message: NetlinkMessage<RouteNetlinkMessage>,
    ) -> Result<Answer, Error> {
        let mut stream = self.0.request(message).map_err(|_| Error::Closed)?;
        let mut answer = Answer::default();
        while let Some(message) = stream.next().await {
            answer.interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
            #[expect(clippy::wildcard_enum_match_arm, reason = "an end without an error")]
            match message.payload {
                NetlinkPayload::InnerMessage(inner) => answer.messages.push(inner),
                NetlinkPayload::Error(error) => {
                    answer.refusal = error.code.map(|_| error.to_io());
                }
                NetlinkPayload::Done(done) if done.code != 0 => {
                    answer.refusal = Some(io::Error::from_raw_os_error(done.code.abs()));
                }
                _ => {}
            }
        }
        Ok(answer)
    }
}

/// Asks the kernel to resolve a neighbour now. Being without the other flags, this also takes them
/// off an entry.
fn probe(interface: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.ifindex = interface;
    message.header.flags = NeighbourFlags::Use;
    message.attributes.push(NeighbourAttribute::Destination(address.into()));
    message
}

/// Asks the kernel to resolve a neighbour, to keep it resolved, and not to give its entry away
/// when the table is full.
fn managed(interface: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = probe(interface, address);
    message.header.flags |= NeighbourFlags::ExtLearned;
    message.attributes.push(NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed));
    message.attributes.push(NeighbourAttribute::Protocol(PROTOCOL));
    message
}
