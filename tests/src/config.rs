//! Configuration files for the node under test.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use crate::{
    Error,
    plan::{Forward, VIPS, Vip, web_addresses},
    site::Site,
};

impl Site {
    /// Writes a configuration into the site's folder.
    pub fn write_config(&self, config: &str) -> Result<PathBuf, Error> {
        let file = self.folder().path().join("lb.toml");
        fs::write(&file, config).map_err(Error::file("write", &file))?;
        Ok(file)
    }

    /// The site's four services over all its web servers, checked twice a second.
    #[must_use]
    pub fn config(&self) -> String {
        let mut config = self.node_table(&self.pin_dir(), "eth0");
        for vip in VIPS {
            config += &self.service_table(vip);
        }
        config
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

    fn service_table(&self, vip: Vip) -> String {
        let Vip { service, address: vip, forward } = vip;
        let (mode, port) = match forward {
            Forward::L2 => ("l2", 80),
            Forward::Nat => ("nat", 8080),
        };
        let mut table = format!(
            "\n[[service]]\nname = \"{service}\"\nvip = \"{vip}\"\nport = 80\nforward = \"{mode}\"\n\
             check = {{ type = \"http\", path = \"/\", interval = \"500ms\", timeout = \"400ms\", \
             rise = 2, fall = 2 }}\n"
        );
        for (number, web) in (1..).zip(self.webs()) {
            let [first4, second4, first6, second6] = web_addresses(number);
            let address = match (forward, vip) {
                (Forward::L2, IpAddr::V4(_)) => first4,
                (Forward::L2, IpAddr::V6(_)) => first6,
                (Forward::Nat, IpAddr::V4(_)) => second4,
                (Forward::Nat, IpAddr::V6(_)) => second6,
            };
            table.extend([
                "[[service.backend]]\n".to_owned(),
                format!("name = \"{}\"\n", web.name),
                format!("address = \"{address}\"\n"),
                format!("port = {port}\n"),
            ]);
        }
        table
    }
}
