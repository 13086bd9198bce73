//! Two real servers: a primary, and a replica by GTID that has what the primary acknowledges.

use lb_tests::{
    Error,
    mariadb::{self, MariaDb, PASSWORD, PORT},
    site::Site,
};

/// Their addresses, on the site's first two web servers; their ids count from 1.
pub(super) const ADDRESSES: [&str; 2] = ["10.0.0.11", "10.0.0.12"];
/// The user of the application, whose database has the same name.
pub(super) const APP: &str = "app";

/// A transaction is acknowledged when the replica has it, so that none is lost with the primary
/// (`AFTER_SYNC`); a replica that is not there is not waited for.
const ARGUMENTS: &[&str] = &[
    "--read-only",
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--log-slave-updates",
    "--gtid-strict-mode",
    "--rpl-semi-sync-master-enabled",
    "--rpl-semi-sync-slave-enabled",
    "--rpl-semi-sync-master-wait-point=AFTER_SYNC",
    "--rpl-semi-sync-master-wait-no-slave=OFF",
    "--rpl-semi-sync-master-timeout=60000",
    // What a crashed primary has written and its replica not acknowledged is undone at the start.
    "--init-rpl-role=SLAVE",
];

/// The servers; everything is said to them by their place, from 0.
pub(super) struct Pair<'a>([MariaDb<'a>; 2]);

impl<'a> Pair<'a> {
    /// The first is the primary.
    pub(super) fn start(site: &'a Site) -> Result<Self, Error> {
        let server = |place: usize| {
            let id = format!("--server-id={}", place + 1);
            let arguments = [ARGUMENTS, &[&id]].concat();
            let server = MariaDb::start_with(site, &site.webs()[place], &arguments)?;
            let _: String = server.sql(&format!(
                "SET sql_log_bin = 0; \
                 GRANT SLAVE MONITOR ON *.* TO {monitor}@'%'; \
                 CREATE USER repl@'%' IDENTIFIED BY '{PASSWORD}'; \
                 GRANT REPLICATION SLAVE ON *.* TO repl@'%'; \
                 CREATE USER {APP}@'%' IDENTIFIED BY '{PASSWORD}'; \
                 GRANT ALL ON {APP}.* TO {APP}@'%'",
                monitor = mariadb::USER
            ))?;
            Ok::<_, Error>(server)
        };
        let pair = Self([server(0)?, server(1)?]);
        pair.follow(1, 0)?;
        pair.sql(0, "SET GLOBAL read_only = 0")?;
        pair.sql(
            0,
            "CREATE DATABASE app; \
             CREATE TABLE app.log (n BIGINT UNSIGNED PRIMARY KEY, server INT NOT NULL)",
        )?;
        Ok(pair)
    }

    /// Makes one replicate from the other, with all that it has.
    pub(super) fn follow(&self, server: usize, source: usize) -> Result<(), Error> {
        self.sql(
            server,
            &format!(
                "CHANGE MASTER TO MASTER_HOST = '{}', MASTER_PORT = {PORT}, MASTER_USER = 'repl', \
                 MASTER_PASSWORD = '{PASSWORD}', MASTER_CONNECT_RETRY = 1, \
                 MASTER_USE_GTID = slave_pos, MASTER_DEMOTE_TO_SLAVE = 1; START SLAVE",
                ADDRESSES[source]
            ),
        )
    }

    pub(super) fn kill(&mut self, server: usize) {
        self.0[server].kill();
    }

    /// It comes back read-only.
    pub(super) fn restart(&mut self, server: usize) -> Result<(), Error> {
        self.0[server].restart()
    }

    pub(super) fn sql(&self, server: usize, statements: &str) -> Result<(), Error> {
        self.ask(server, statements).map(drop)
    }

    pub(super) fn ask(&self, server: usize, statements: &str) -> Result<String, Error> {
        self.0[server].sql(statements)
    }

    /// The numbers that a server has, in order.
    pub(super) fn numbers(&self, server: usize) -> Result<Vec<u64>, Error> {
        let numbers = self.ask(server, "SELECT n FROM app.log ORDER BY n")?;
        Ok(numbers.lines().filter_map(|it| it.parse().ok()).collect())
    }
}
