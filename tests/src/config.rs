//! Configuration files for the node under test.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use crate::{
    Error,
    plan::{Forward, VIPS, Vip, web_addresses},
    site::Site,
};

/// The UDP port of the services of [`Site::udp_config`].
pub const UDP_PORT: u16 = 7;
/// The port that their `nat` backends listen on.
pub const UDP_NAT_PORT: u16 = 7007;

/// What a service of a VIP carries.
#[derive(Clone, Copy)]
enum Transport {
    Tcp,
    Udp,
}

impl Site {
    /// Writes a configuration into the site's folder.
    pub fn write_config(&self, config: &str) -> Result<PathBuf, Error> {
        self.write_config_as("lb.toml", config)
    }

    /// Writes a configuration beside the usual one.
    pub fn write_config_as(&self, name: &str, config: &str) -> Result<PathBuf, Error> {
        let file = self.folder().path().join(name);
        fs::write(&file, config).map_err(Error::file("write", &file))?;
        Ok(file)
    }

    /// The site's four services over all its web servers, checked twice a second.
    #[must_use]
    pub fn config(&self) -> String {
        self.config_of(Transport::Tcp)
    }

    /// A UDP service on every VIP, with the backends that [`Site::udp_backend`] gives; the web
    /// servers on the same machines are checked in their stead.
    #[must_use]
    pub fn udp_config(&self) -> String {
        self.config_of(Transport::Udp)
    }

    /// Where the `number`th web server's machine serves a VIP's UDP service: it answers from the
    /// VIP itself behind `l2`, and from its own address behind `nat`.
    #[must_use]
    pub fn udp_backend(vip: Vip, number: usize) -> SocketAddr {
        match vip.forward {
            Forward::L2 => SocketAddr::new(vip.address, UDP_PORT),
            Forward::Nat => SocketAddr::new(backend_address(vip, number), UDP_NAT_PORT),
        }
    }

    /// The `[node]` table alone, with another pin directory or interface.
    #[must_use]
    pub fn node_table(&self, pin_dir: &Path, interface: &str) -> String {
        format!(
            "[node]\ninterfaces = [\"{interface}\"]\nruntime_dir = \"{}\"\npin_dir = \"{}\"\n\
             seed = \"000102030405060708090a0b0c0d0e0f\"\n",
            self.runtime_dir().display(),
            pin_dir.display()
        )
    }

    fn config_of(&self, transport: Transport) -> String {
        let mut config = self.node_table(&self.pin_dir(), "eth0");
        for vip in VIPS {
            config += &self.service_table(vip, transport);
        }
        config
    }

    fn service_table(&self, vip: Vip, transport: Transport) -> String {
        let Vip { service, address, forward } = vip;
        let (protocol, port, nat_port) = match transport {
            Transport::Tcp => ("tcp", 80, 8080),
            Transport::Udp => ("udp", UDP_PORT, UDP_NAT_PORT),
        };
        let (mode, backend_port) = match forward {
            Forward::L2 => ("l2", port),
            Forward::Nat => ("nat", nat_port),
        };
        let mut table = format!(
            "\n[[service]]\nname = \"{service}\"\nvip = \"{address}\"\nprotocol = \"{protocol}\"\n\
             port = {port}\nforward = \"{mode}\"\n\
             check = {{ type = \"http\", path = \"/\", port = 80, interval = \"500ms\", \
             timeout = \"400ms\", rise = 2, fall = 2 }}\n"
        );
        for (number, web) in (1..).zip(self.webs()) {
            table.extend([
                "[[service.backend]]\n".to_owned(),
                format!("name = \"{}\"\n", web.name),
                format!("address = \"{}\"\n", backend_address(vip, number)),
                format!("port = {backend_port}\n"),
            ]);
        }
        table
    }
}

/// The address by which a VIP's services know the `number`th web server.
fn backend_address(Vip { address, forward, .. }: Vip, number: usize) -> IpAddr {
    let [first4, second4, first6, second6] = web_addresses(number);
    match (forward, address) {
        (Forward::L2, IpAddr::V4(_)) => first4,
        (Forward::L2, IpAddr::V6(_)) => first6,
        (Forward::Nat, IpAddr::V4(_)) => second4,
        (Forward::Nat, IpAddr::V6(_)) => second6,
    }
}
