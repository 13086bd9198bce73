//! The sockets that nodes tell each other by.

use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr, SocketAddrV6},
    os::fd::AsRawFd as _,
};

use nix::{
    cmsg_space, libc,
    sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt},
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::{io::Interest, net::UdpSocket};

use super::message::{LONGEST, PORT};
use crate::vrrp::packet::{GROUP_V4, GROUP_V6, HOP_LIMIT};

/// A datagram, and where it came from.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) bytes: Vec<u8>,
    pub(super) source: IpAddr,
    /// Whether it comes from the link itself (RFC 5082): no router let it pass.
    pub(super) is_near: bool,
}

/// Hears nodes on an interface, in a family.
#[derive(Debug)]
pub(super) struct Receiver(UdpSocket);

impl Receiver {
    /// A socket that is in the group of all VRRP routers.
    pub(super) fn open(interface: &str, index: u32, is_v4: bool) -> io::Result<Self> {
        let socket = open(interface, is_v4)?;
        socket.set_reuse_address(true)?;
        let any: IpAddr = if is_v4 { [0; 4].into() } else { [0; 16].into() };
        if is_v4 {
            socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(index))?;
            setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
        } else {
            socket.set_only_v6(true)?;
            socket.join_multicast_v6(&GROUP_V6, index)?;
            socket.set_recv_hoplimit_v6(true)?;
        }
        socket.bind(&SocketAddr::new(any, PORT).into())?;
        UdpSocket::from_std(socket.into()).map(Self)
    }

    /// The next datagram.
    pub(super) async fn next(&self) -> io::Result<Datagram> {
        self.0.async_io(Interest::READABLE, || self.take()).await
    }

    fn take(&self) -> io::Result<Datagram> {
        // A longer one is cut, and is not what a node says.
        let mut bytes = vec![0; LONGEST + 1];
        let mut control = cmsg_space!(libc::c_int);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let message = recvmsg::<SockaddrStorage>(
            self.0.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let mut hops = None;
        for control in message.cmsgs()? {
            #[expect(clippy::wildcard_enum_match_arm, reason = "no other was asked for")]
            match control {
                ControlMessageOwned::Ipv4Ttl(it) | ControlMessageOwned::Ipv6HopLimit(it) => {
                    hops = Some(it);
                }
                _ => {}
            }
        }
        let source = message.address.as_ref();
        let v4 = source.and_then(SockaddrStorage::as_sockaddr_in).map(|it| it.ip().into());
        let v6 = source.and_then(SockaddrStorage::as_sockaddr_in6).map(|it| it.ip().into());
        let source = v4.or(v6).ok_or(io::ErrorKind::InvalidData)?;
        let length = message.bytes;
        bytes.truncate(length);
        Ok(Datagram { bytes, source, is_near: hops == Some(i32::from(HOP_LIMIT)) })
    }
}

/// Tells nodes, from one address of this one.
#[derive(Debug)]
pub(super) struct Sender {
    socket: Socket,
    index: u32,
}

impl Sender {
    /// A socket that sends from an address by an interface.
    pub(super) fn open(interface: &str, index: u32, source: IpAddr) -> io::Result<Self> {
        let socket = open(interface, source.is_ipv4())?;
        if source.is_ipv4() {
            socket.set_multicast_ttl_v4(HOP_LIMIT.into())?;
            socket.set_ttl_v4(HOP_LIMIT.into())?;
            socket.set_multicast_loop_v4(false)?;
        } else {
            socket.set_multicast_hops_v6(HOP_LIMIT.into())?;
            socket.set_unicast_hops_v6(HOP_LIMIT.into())?;
            socket.set_multicast_loop_v6(false)?;
            socket.set_multicast_if_v6(index)?;
        }
        let sender = Self { socket, index };
        sender.socket.bind(&sender.address(source, 0).into())?;
        Ok(sender)
    }

    /// Sends a datagram to a group or a node.
    pub(super) fn send(&self, datagram: &[u8], to: IpAddr) -> io::Result<()> {
        self.socket.send_to(datagram, &self.address(to, PORT).into()).map(drop)
    }

    fn address(&self, address: IpAddr, port: u16) -> SocketAddr {
        match address {
            IpAddr::V6(v6) if v6.is_unicast_link_local() || v6.is_multicast() => {
                SocketAddrV6::new(v6, port, 0, self.index).into()
            }
            IpAddr::V4(_) | IpAddr::V6(_) => SocketAddr::new(address, port),
        }
    }
}

fn open(interface: &str, is_v4: bool) -> io::Result<Socket> {
    let domain = if is_v4 { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
