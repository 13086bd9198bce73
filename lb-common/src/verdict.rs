//! What became of a packet: returned by the stages, counted, exported as a metric, and asserted in
//! tests.

/// What the kernel is told to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was sent towards a backend or a client, or is an answer to one of the node's checks.
    Forwarded,
    /// The node answered it: it goes back as the answer.
    Answered,
    /// The kernel's stack gets it, untouched.
    Passed,
    /// It ends here.
    Dropped,
}

/// Declares an enum of verdicts: each with its label, its kind and one sentence.
macro_rules! verdicts {
    (
        $(#[doc = $about:literal])+ $name:ident: $kinds:ident;
        $($(#[doc = $doc:literal])+ $variant:ident = $label:literal, $kind:ident;)+
    ) => {
        $(#[doc = $about])+
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $name {
            /// Every verdict, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in metrics and tables.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }

            /// The verdict of a counter.
            #[inline(always)]
            #[must_use]
            pub const fn from_index(index: u32) -> Option<Self> {
                match index {
                    $(index if index == Self::$variant as u32 => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// What the kernel is told.
            #[inline(always)]
            #[must_use]
            pub const fn kind(self) -> $kinds {
                match self { $(Self::$variant => $kinds::$kind,)+ }
            }

            /// One sentence for operators.
            #[must_use]
            pub const fn describe(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+),)+ }
            }

            /// The number of counters.
            pub const COUNT: usize = Self::ALL.len();

            /// The verdict's counter.
            #[inline(always)]
            #[must_use]
            pub const fn index(self) -> u32 {
                self as u32
            }
        }
    };
}

pub(crate) use verdicts;

verdicts! {
    /// What became of a packet, and why.
    Verdict: Kind;
    /// Sent out by the interface that it came in by.
    Transmitted = "transmitted", Forwarded;
    /// Sent out by another interface.
    Redirected = "redirected", Forwarded;
    /// A health check, sent to its backend as a client's packet.
    Probe = "probe", Forwarded;
    /// The answer to a health check.
    ProbeAnswer = "probe-answer", Forwarded;
    /// An echo request to a VIP, answered.
    EchoReply = "echo-reply", Answered;
    /// Too big for the way to its backend, which the client was told.
    TooBig = "too-big", Answered;
    /// Its backend is down, which the client was told by a TCP reset.
    Reset = "reset", Answered;
    /// Its backend is down, which the client was told by "port unreachable".
    PortUnreachable = "port-unreachable", Answered;
    /// Neither IPv4 nor IPv6: ARP, LLDP.
    NotIp = "not-ip", Passed;
    /// Neither TCP nor UDP, nor an ICMP message that concerns a service.
    NotTcpOrUdp = "not-tcp-or-udp", Passed;
    /// IPv6 extension headers beyond those that are walked, or a source route with segments left.
    ExtensionChain = "extension-chain", Passed;
    /// No service has this address, protocol and port.
    NoService = "no-service", Passed;
    /// A NAT backend's answer to the node itself: of a health check.
    Local = "local", Passed;
    /// The daemon has been silent for longer than `node.watchdog` allows.
    Unattended = "unattended", Passed;
    /// Too short for an Ethernet header.
    ShortEthernet = "short-ethernet", Dropped;
    /// Too short for the IP header that its EtherType announces.
    ShortIp = "short-ip", Dropped;
    /// The version field contradicts the EtherType.
    BadIpVersion = "bad-ip-version", Dropped;
    /// An IPv4 header length under 20 bytes or over the packet's.
    BadIpHeaderLength = "bad-ip-header-length", Dropped;
    /// An IP length under its header's, or over what arrived.
    BadIpLength = "bad-ip-length", Dropped;
    /// An IPv6 extension header that leaves the packet.
    BadExtension = "bad-extension", Dropped;
    /// Too short for a TCP header.
    ShortTcp = "short-tcp", Dropped;
    /// A TCP data offset under 20 bytes or over the segment.
    BadTcpOffset = "bad-tcp-offset", Dropped;
    /// Too short for an ICMP header.
    ShortIcmp = "short-icmp", Dropped;
    /// Too short for a UDP header.
    ShortUdp = "short-udp", Dropped;
    /// A UDP length under 8 bytes or over the packet.
    BadUdpLength = "bad-udp-length", Dropped;
    /// From a denied prefix.
    Denied = "denied", Dropped;
    /// The service has no usable backend.
    NoBackend = "no-backend", Dropped;
    /// A fragment to a VIP whose first fragment was not seen.
    LostFragment = "lost-fragment", Dropped;
    /// Too big for the way to its backend, and not to be answered: an ICMP error, a later fragment.
    Oversize = "oversize", Dropped;
    /// Its backend is down, and the service's policy is to drop, or the packet cannot be answered.
    BackendDown = "backend-down", Dropped;
    /// It would have been answered, but too many were already.
    RateLimited = "rate-limited", Dropped;
    /// The next hop towards the backend is not resolved.
    NoNextHop = "no-next-hop", Dropped;
    /// A health check that cannot be sent: its backend's next hop is not resolved, for example.
    ProbeLost = "probe-lost", Dropped;
    /// No route leads to the client that a NAT backend answered.
    NoRoute = "no-route", Dropped;
    /// TTL or hop limit used up: a forwarding loop ends here.
    HopLimit = "hop-limit", Dropped;
    /// The interface to leave by cannot be redirected to.
    NoDevice = "no-device", Dropped;
    /// The driver leaves no room for the headers to be added, or the frame cannot be changed.
    NoRoom = "no-room", Dropped;
    /// The maps contradict each other: a fault of the control plane.
    Inconsistent = "inconsistent", Dropped;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_follow_the_declaration_and_labels_are_unique() {
        for (position, verdict) in Verdict::ALL.iter().enumerate() {
            assert_eq!(verdict.index() as usize, position);
            assert_eq!(Verdict::from_index(verdict.index()), Some(*verdict));
            assert!(verdict.describe().ends_with('.'));
            assert_eq!(
                Verdict::ALL.iter().filter(|other| other.as_str() == verdict.as_str()).count(),
                1
            );
        }
    }
}
