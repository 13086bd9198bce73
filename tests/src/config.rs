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

/// What the services of a configuration carry, and how.
#[derive(Clone, Copy, Debug)]
pub struct Carried {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// The port of the VIPs, and of backends behind other modes than `nat`.
    pub port: u16,
    /// The port of backends behind `nat`.
    pub nat_port: u16,
    /// The services' check, as a TOML table.
    pub check: &'static str,
    /// The mode of the VIPs that answer directly.
    pub direct: &'static str,
    /// Whether these know their backends by addresses of the other family.
    pub crossed: bool,
    /// Further keys of each service, a line each.
    pub keys: &'static str,
}

/// HTTP by the site's web servers, checked twice a second.
pub const HTTP: Carried = Carried {
    protocol: "tcp",
    port: 80,
    nat_port: 8080,
    check: "{ type = \"http\", path = \"/\", port = 80, interval = \"500ms\", \
            timeout = \"400ms\", rise = 2, fall = 2 }",
    direct: "l2",
    crossed: false,
    keys: "",
};

/// UDP on every VIP; the web servers on the same machines are checked in their stead.
pub const UDP: Carried =
    Carried { protocol: "udp", port: UDP_PORT, nat_port: UDP_NAT_PORT, ..HTTP };

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
        self.config_of(&HTTP)
    }

    /// A UDP service on every VIP, with the backends that [`Site::udp_backend`] gives; the web
    /// servers on the same machines are checked in their stead.
    #[must_use]
    pub fn udp_config(&self) -> String {
        self.config_of(&UDP)
    }

    /// Where the `number`th web server's machine serves a VIP's UDP service: it answers from the
    /// VIP itself behind `l2`, and from its own address behind `nat`.
    #[must_use]
    pub fn udp_backend(vip: Vip, number: usize) -> SocketAddr {
        match vip.forward {
            Forward::L2 => SocketAddr::new(vip.address, UDP_PORT),
            Forward::Nat => SocketAddr::new(backend_address(vip, number, false), UDP_NAT_PORT),
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

    /// The site's four services over all its web servers.
    #[must_use]
    pub fn config_of(&self, carried: &Carried) -> String {
        let mut config = self.node_table(&self.pin_dir(), "eth0");
        for vip in VIPS {
            config += &self.service_table(vip, carried);
        }
        config
    }

    /// A service of a VIP over all the site's web servers.
    #[must_use]
    pub fn service_table(&self, vip: Vip, carried: &Carried) -> String {
        let Vip { service, address, forward } = vip;
        let Carried { protocol, port, nat_port, check, direct, crossed, keys } = *carried;
        let (mode, backend_port) = match forward {
            Forward::L2 => (direct, port),
            Forward::Nat => ("nat", nat_port),
        };
        let mut table = format!(
            "\n[[service]]\nname = \"{service}\"\nvip = \"{address}\"\nprotocol = \"{protocol}\"\n\
             port = {port}\nforward = \"{mode}\"\ncheck = {check}\n{keys}\n"
        );
        for (number, web) in (1..).zip(self.webs()) {
            table.extend([
                "[[service.backend]]\n".to_owned(),
                format!("name = \"{}\"\n", web.name),
                format!("address = \"{}\"\n", backend_address(vip, number, crossed)),
                format!("port = {backend_port}\n"),
            ]);
        }
        table
    }
}

/// The address by which a VIP's services know the `number`th web server; with `crossed` the one of
/// the other family, for what answers directly.
#[must_use]
pub fn backend_address(Vip { address, forward, .. }: Vip, number: usize, crossed: bool) -> IpAddr {
    let [first4, second4, first6, second6] = web_addresses(number);
    match (forward, address.is_ipv4() != crossed) {
        (Forward::L2, true) => first4,
        (Forward::L2, false) => first6,
        (Forward::Nat, _) if address.is_ipv4() => second4,
        (Forward::Nat, _) => second6,
    }
}
