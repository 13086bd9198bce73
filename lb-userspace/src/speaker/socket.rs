//! The sockets that adverts travel by: raw IP, protocol 112.
//!
//! One receives for all virtual routers of a family on an interface; each virtual router sends by one of its
//! own, since its adverts come from its own address, and from a MAC address of its own if it has one.

use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use etherparse::Ipv4HeaderSlice;
use nix::{
    cmsg_space, libc,
    sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt},
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, SockAddrStorage, Socket, Type};

use crate::vrrp::{
    Received,
    packet::{GROUP_V4, GROUP_V6, HOP_LIMIT, PROTOCOL},
};

/// Internetwork control, as routing protocols are marked (RFC 791 §3.1).
const TRAFFIC_CLASS: u32 = 0xc0;
/// No advert is longer: 255 IPv6 addresses, and an IPv4 header with all options.
pub(super) const LONGEST: usize = 60 + 8 + 255 * 16 + 8;

/// Hears the adverts of a family on an interface.
#[derive(Debug)]
pub(super) struct Receiver {
    socket: Socket,
    is_v4: bool,
}

impl Receiver {
    /// A socket that is in the group of all VRRP routers.
    pub(super) fn open(interface: &str, index: u32, is_v4: bool) -> io::Result<Self> {
        let socket = raw(interface, is_v4)?;
        if is_v4 {
            socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(index))?;
        } else {
            socket.join_multicast_v6(&GROUP_V6, index)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            socket.set_recv_hoplimit_v6(true)?;
        }
        Ok(Self { socket, is_v4 })
    }

    /// The next advert that waits, if any does.
    pub(super) fn next<'a>(
        &self,
        buffer: &'a mut [u8; LONGEST],
    ) -> io::Result<Option<(&'a [u8], Received)>> {
        let datagram = if self.is_v4 { self.next_v4(buffer) } else { self.next_v6(buffer) };
        match datagram {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            other => other.map(Some),
        }
    }

    /// The kernel gives IPv4 with its header.
    fn next_v4<'a>(&self, buffer: &'a mut [u8; LONGEST]) -> io::Result<(&'a [u8], Received)> {
        let (length, _) =
            rustix::net::recv(&self.socket, &mut buffer[..], rustix::net::RecvFlags::DONTWAIT)?;
        let packet = &buffer[..length];
        let header = Ipv4HeaderSlice::from_slice(packet).map_err(io::Error::other)?;
        let end = usize::from(header.total_len()).min(length);
        let message = packet.get(header.slice().len()..end).unwrap_or_default();
        let received = Received {
            source: header.source_addr().into(),
            destination: header.destination_addr().into(),
            hop_limit: Some(header.ttl()),
            require_ttl: false,
        };
        Ok((message, received))
    }

    /// And IPv6 without.
    fn next_v6<'a>(&self, buffer: &'a mut [u8; LONGEST]) -> io::Result<(&'a [u8], Received)> {
        let mut control = cmsg_space!(libc::in6_pktinfo, libc::c_int);
        let mut parts = [IoSliceMut::new(&mut buffer[..])];
        let fd = self.socket.as_raw_fd();
        let message =
            recvmsg::<SockaddrIn6>(fd, &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
        let source = message.address.map_or(Ipv6Addr::UNSPECIFIED, |address| address.ip());
        let (mut destination, mut hop_limit) = (Ipv6Addr::UNSPECIFIED, None);
        for control in message.cmsgs()? {
            #[expect(clippy::wildcard_enum_match_arm, reason = "no other was asked for")]
            match control {
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    destination = info.ipi6_addr.s6_addr.into();
                }
                ControlMessageOwned::Ipv6HopLimit(limit) => hop_limit = u8::try_from(limit).ok(),
                _ => {}
            }
        }
        let received = Received {
            source: source.into(),
            destination: destination.into(),
            hop_limit,
            require_ttl: false,
        };
        let length = message.bytes;
        Ok((&buffer[..length], received))
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Sends the adverts of a virtual router.
#[derive(Debug)]
pub(super) struct Sender {
    socket: Socket,
    index: u32,
}

impl Sender {
    /// A socket that sends from an address of this node by an interface.
    pub(super) fn open(interface: &str, index: u32, source: IpAddr) -> io::Result<Self> {
        let socket = raw(interface, source.is_ipv4())?;
        if source.is_ipv4() {
            socket.set_multicast_ttl_v4(HOP_LIMIT.into())?;
            socket.set_ttl_v4(HOP_LIMIT.into())?;
            socket.set_tos_v4(TRAFFIC_CLASS)?;
            socket.set_multicast_loop_v4(false)?;
        } else {
            socket.set_multicast_hops_v6(HOP_LIMIT.into())?;
            socket.set_unicast_hops_v6(HOP_LIMIT.into())?;
            socket.set_tclass_v6(TRAFFIC_CLASS)?;
            socket.set_multicast_loop_v6(false)?;
            socket.set_multicast_if_v6(index)?;
        }
        socket.bind(&address(source, index))?;
        // Nobody reads from it: let the kernel keep as little as it can.
        socket.set_recv_buffer_size(0)?;
        Ok(Self { socket, index })
    }

    /// Sends a message to a group or a peer.
    pub(super) fn send(&self, message: &[u8], to: IpAddr) -> io::Result<()> {
        self.socket.send_to(message, &address(to, self.index)).map(drop)
    }
}

fn raw(interface: &str, is_v4: bool) -> io::Result<Socket> {
    let domain = if is_v4 { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(i32::from(PROTOCOL))))?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn address(address: IpAddr, index: u32) -> SockAddr {
    match address {
        IpAddr::V4(address) => SocketAddr::V4(SocketAddrV4::new(address, 0)),
        IpAddr::V6(address) => {
            let scope = if is_of_a_link(address) { index } else { 0 };
            SocketAddr::V6(SocketAddrV6::new(address, 0, 0, scope))
        }
    }
    .into()
}

fn is_of_a_link(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local() || address.is_multicast()
}

/// Puts whole frames on a link.
#[derive(Debug)]
pub(super) struct Frames(Socket);

impl Frames {
    /// A socket for all links.
    pub(super) fn open() -> io::Result<Self> {
        Socket::new(Domain::PACKET, Type::RAW, None).map(Self)
    }

    /// Sends a frame by an interface.
    pub(super) fn send(&self, frame: &[u8], index: u32) -> io::Result<()> {
        let mut storage = SockAddrStorage::zeroed();
        // SAFETY: an address of a link is one of the kinds that the storage is for.
        let link = unsafe { storage.view_as::<libc::sockaddr_ll>() };
        link.sll_family = libc::AF_PACKET as u16;
        link.sll_ifindex = index.cast_signed();
        // SAFETY: such an address is in it, with all that is not named being 0.
        let to = unsafe { SockAddr::new(storage, size_of::<libc::sockaddr_ll>() as u32) };
        self.0.send_to(frame, &to).map(drop)
    }
}
