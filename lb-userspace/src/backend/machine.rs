//! What is so on this machine, as far as a backend's setup depends on it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::Command,
};

use futures::TryStreamExt;
use rtnetlink::{
    Handle,
    packet_route::{
        AddressFamily,
        address::{AddressAttribute, AddressMessage},
        link::{LinkAttribute, LinkFlags, LinkMessage, LinkXdp},
        route::{RouteAddress, RouteAttribute, RouteMessage},
    },
};

use super::{Error, Requirement, decap};
use crate::dataplane::kernel::Interface;

/// A snapshot.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// The interfaces by name.
    pub links: BTreeMap<String, Link>,
    /// The routers of default routes, in any table.
    pub gateways: BTreeSet<IpAddr>,
    /// Values under `/proc/sys`, by path; those that exist and were asked for.
    pub sysctls: BTreeMap<String, i64>,
    /// What `ip fou show` prints; empty if it fails.
    pub fou: String,
    /// The decapsulation that is attached.
    pub decap: Option<decap::Status>,
}

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Whether it is up.
    pub up: bool,
    /// In bytes.
    pub mtu: u32,
    /// The numbers of its XDP programs.
    pub programs: Vec<u32>,
    /// Its addresses.
    pub addresses: BTreeSet<IpAddr>,
}

impl Machine {
    /// Looks at all that some requirements are about.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell. What does not exist is no error.
    pub async fn read(requirements: &[Requirement], pin_dir: &Path) -> Result<Self, Error> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(Error::Socket)?;
        // It ends with the handle.
        drop(tokio::spawn(connection));
        let (links, gateways) = netlink(&handle).await.map_err(Error::Netlink)?;
        let mut machine = Self { links, gateways, ..Self::default() };
        for requirement in requirements {
            for path in requirement.sysctls() {
                machine.sysctls.extend(sysctl(&path).map(|value| (path, value)));
            }
            if let Requirement::Fou { .. } = requirement {
                machine.fou = fou();
            } else if let Requirement::Decap { interface, .. } = requirement {
                machine.decap = decap::status(interface, pin_dir)?;
            }
        }
        Ok(machine)
    }

    /// An interface by name.
    ///
    /// # Errors
    ///
    /// If there is none, with the names of those that exist.
    pub fn interface(&self, name: &str) -> Result<Interface, Error> {
        let missing = || crate::preflight::Error::Interface {
            name: name.into(),
            existing: self.links.keys().cloned().collect(),
        };
        let link = self.links.get(name).ok_or_else(missing)?;
        Ok(Interface { name: name.into(), index: link.index })
    }
}

async fn netlink(
    handle: &Handle,
) -> Result<(BTreeMap<String, Link>, BTreeSet<IpAddr>), rtnetlink::Error> {
    let messages: Vec<LinkMessage> = handle.link().get().execute().try_collect().await?;
    let mut links: BTreeMap<u32, (String, Link)> = messages.iter().filter_map(link).collect();
    let messages: Vec<AddressMessage> = handle.address().get().execute().try_collect().await?;
    for message in messages {
        if let Some((_, link)) = links.get_mut(&message.header.index) {
            link.addresses.extend(addresses(&message));
        }
    }
    let mut gateways = BTreeSet::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut all = RouteMessage::default();
        all.header.address_family = family;
        let routes: Vec<RouteMessage> = handle.route().get(all).execute().try_collect().await?;
        gateways.extend(routes.iter().filter_map(gateway));
    }
    Ok((links.into_values().collect(), gateways))
}

fn link(message: &LinkMessage) -> Option<(u32, (String, Link))> {
    let index = message.header.index;
    let up = message.header.flags.contains(LinkFlags::Up);
    let mut link = Link { index, up, ..Link::default() };
    let mut name = None;
    for attribute in &message.attributes {
        if let LinkAttribute::IfName(text) = attribute {
            name = Some(text.clone());
        } else if let LinkAttribute::Mtu(mtu) = attribute {
            link.mtu = *mtu;
        } else if let LinkAttribute::Xdp(xdp) = attribute {
            link.programs.extend(xdp.iter().filter_map(program));
        }
    }
    Some((index, (name?, link)))
}

fn program(xdp: &LinkXdp) -> Option<u32> {
    if let LinkXdp::ProgId(id) = xdp { Some(*id) } else { None }
}

/// `IFA_LOCAL` differs from `IFA_ADDRESS` on point-to-point links alone.
fn addresses(message: &AddressMessage) -> impl Iterator<Item = IpAddr> {
    message.attributes.iter().filter_map(|attribute| {
        let (AddressAttribute::Address(address) | AddressAttribute::Local(address)) = attribute
        else {
            return None;
        };
        Some(*address)
    })
}

fn gateway(message: &RouteMessage) -> Option<IpAddr> {
    if message.header.destination_prefix_length != 0 {
        return None;
    }
    message.attributes.iter().find_map(|attribute| {
        if let RouteAttribute::Gateway(RouteAddress::Inet(address)) = attribute {
            Some((*address).into())
        } else if let RouteAttribute::Gateway(RouteAddress::Inet6(address)) = attribute {
            Some((*address).into())
        } else {
            None
        }
    })
}

/// Where a setting stands. `/proc/sys/net` shows the network namespace of the process.
pub(super) fn sysctl_file(path: &str) -> PathBuf {
    Path::new("/proc/sys").join(path)
}

fn sysctl(path: &str) -> Option<i64> {
    fs::read_to_string(sysctl_file(path)).ok()?.trim().parse().ok()
}

/// A kernel without the module lists nothing.
fn fou() -> String {
    let output = Command::new("ip").args(["fou", "show"]).output();
    output.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}
