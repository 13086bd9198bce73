//! What servers of several makes and ages answer, as `\G` shows it, shortened to a part of the columns.

use std::time::Duration;

use crate::proxy::mysql::{
    Identity, Replication, Said,
    monitor::question::{Dialect, Line, said},
};

/// One line of an answer.
fn line(text: &str) -> Line {
    let field = |line: &str| {
        let (name, value) = line.trim().split_once(':')?;
        let value = value.trim();
        Some((name.to_owned(), (value != "NULL").then(|| value.to_owned())))
    };
    text.lines().filter_map(field).collect()
}

const MYSQL: &str = "read_only: 1\nsuper_read_only: 1\n\
                     server_uuid: 3e11fa47-71ca-11e1-9e33-c80aa9429562";
const MARIADB: &str = "read_only: 1\nserver_id: 7\nhostname: db-2\nport: 3306";

const MYSQL_5_7: &str = "
               Slave_IO_State: Waiting for master to send event
                  Master_Host: 10.1.0.1
             Slave_IO_Running: Yes
            Slave_SQL_Running: Yes
                   Last_Errno: 0
                   Last_Error:
        Seconds_Behind_Master: 3
                Last_IO_Errno: 0
                Last_IO_Error:
               Last_SQL_Errno: 0
      Slave_SQL_Running_State: Slave has read all relay log; waiting for more updates
                 Channel_Name:";

/// 8.4 has the same columns.
const MYSQL_8_0: &str = "
             Replica_IO_State: Reconnecting after a failed source event read
                  Source_Host: 10.1.0.1
           Replica_IO_Running: Connecting
          Replica_SQL_Running: Yes
                   Last_Errno: 0
        Seconds_Behind_Source: NULL
                Last_IO_Errno: 2003
                Last_IO_Error: error reconnecting to source 'repl@10.1.0.1:3306' - retry-time: 60
               Last_SQL_Errno: 0
                 Channel_Name:
              Source_TLS_Version:
        Get_Source_public_key: 0";

const MARIADB_10_11: &str = "
              Connection_name:
              Slave_SQL_State: Slave has read all relay log; waiting for more updates
               Slave_IO_State: Waiting for master to send event
                  Master_Host: 10.1.0.1
             Slave_IO_Running: Yes
            Slave_SQL_Running: Yes
                   Last_Errno: 0
        Seconds_Behind_Master: 0
                Last_IO_Errno: 0
               Last_SQL_Errno: 0
                   Using_Gtid: Slave_Pos
                  Gtid_IO_Pos: 0-1-42
             Slave_DDL_Groups: 5";

fn replication(dialect: Dialect, channels: &[&str]) -> Option<Replication> {
    let variables = match dialect {
        Dialect::Mysql | Dialect::OldMysql => MYSQL,
        Dialect::Mariadb | Dialect::OldMariadb => MARIADB,
    };
    let channels: Vec<_> = channels.iter().map(|it| line(it)).collect();
    said(dialect, &[line(variables)], &channels).unwrap().replication
}

const fn behind(seconds: u64) -> Replication {
    Replication { running: true, lag: Some(Duration::from_secs(seconds)) }
}

const STOPPED: Option<Replication> = Some(Replication { running: false, lag: None });
const WAITING: Option<Replication> = Some(Replication { running: true, lag: None });

#[test]
fn a_version_has_its_words() {
    let versions = [
        ("5.7.44-log", Dialect::OldMysql),
        ("8.0.21", Dialect::OldMysql),
        ("8.0.22", Dialect::Mysql),
        ("8.4.3-3", Dialect::Mysql),
        ("9.1.0-commercial", Dialect::Mysql),
        ("10.4.34-MariaDB-1:10.4.34+maria~ubu2004-log", Dialect::OldMariadb),
        ("5.5.5-10.3.39-MariaDB", Dialect::OldMariadb),
        ("10.11.6-MariaDB-0+deb12u1", Dialect::Mariadb),
        ("11.4.2-MariaDB-log", Dialect::Mariadb),
        ("", Dialect::OldMysql),
    ];
    for (version, dialect) in versions {
        assert_eq!(Dialect::of(version), dialect, "{version}");
    }
}

#[test]
fn a_server_says_who_and_what_it_is() {
    let said = |dialect, text: &str| said(dialect, &[line(text)], &[]);
    let mysql = Said {
        read_only: true,
        super_read_only: Some(true),
        identity: Identity::of_mysql("3e11fa47-71ca-11e1-9e33-c80aa9429562"),
        replication: None,
    };
    assert_eq!(said(Dialect::Mysql, MYSQL).unwrap(), mysql);
    assert_eq!(said(Dialect::OldMysql, MYSQL).unwrap(), mysql);
    let off = MYSQL.replace("read_only: 1", "read_only: 0");
    let off = said(Dialect::Mysql, &off).unwrap();
    assert_eq!((off.read_only, off.super_read_only), (false, Some(false)));

    let identity = Identity::of_mariadb(7, "db-2", 3306);
    let mariadb = Said { super_read_only: None, identity, ..mysql };
    assert_eq!(said(Dialect::Mariadb, MARIADB).unwrap(), mariadb);
    let kinds = [("0", false), ("OFF", false), ("ON", true), ("READ_ONLY_NO_LOCK", true)];
    for (kind, read_only) in kinds {
        let text = MARIADB.replace("read_only: 1", &format!("read_only: {kind}"));
        assert_eq!(said(Dialect::Mariadb, &text).unwrap().read_only, read_only, "{kind}");
    }
}

#[test]
fn a_replica_of_each_make_is_read() {
    assert_eq!(replication(Dialect::OldMysql, &[MYSQL_5_7]), Some(behind(3)));
    assert_eq!(replication(Dialect::Mysql, &[MYSQL_8_0]), WAITING);
    assert_eq!(replication(Dialect::Mariadb, &[MARIADB_10_11]), Some(behind(0)));
    assert_eq!(replication(Dialect::Mariadb, &[]), None);
}

#[test]
fn only_what_somebody_stopped_does_not_replicate() {
    // The receiver, its error, the applier, its error.
    let cases = [
        (("Yes", 0), ("Yes", 0), true),
        (("Connecting", 2003), ("Yes", 0), true),
        (("Preparing", 0), ("No", 0), true),
        (("No", 0), ("Yes", 0), true),
        (("Yes", 0), ("No", 1062), true),
        (("No", 2003), ("Yes", 0), true),
        (("No", 13114), ("No", 1062), true),
        (("No", 0), ("No", 0), false),
        // The source was dead, and then somebody has stopped both.
        (("No", 2003), ("No", 0), false),
        (("No", 0), ("No", 1062), false),
    ];
    for (receiver, applier, running) in cases {
        let text = |io: &str, sql: &str| {
            MARIADB_10_11
                .replace("IO_Running: Yes", &format!("IO_Running: {io}"))
                .replace("SQL_Running: Yes", &format!("SQL_Running: {sql}"))
                .replace("Last_IO_Errno: 0", &format!("Last_IO_Errno: {}", receiver.1))
                .replace("Last_SQL_Errno: 0", &format!("Last_SQL_Errno: {}", applier.1))
        };
        let replication = replication(Dialect::Mariadb, &[&text(receiver.0, applier.0)]);
        let lag = (receiver.0 == "Yes" && applier.0 == "Yes").then_some(Duration::ZERO);
        assert_eq!(replication, Some(Replication { running, lag }), "{receiver:?} {applier:?}");
    }
}

#[test]
fn of_several_channels_the_worst_counts() {
    let far = MARIADB_10_11.replace("Master: 0", "Master: 90");
    assert_eq!(replication(Dialect::Mariadb, &[MARIADB_10_11, &far]), Some(behind(90)));
    let stopped = MARIADB_10_11.replace(": Yes", ": No").replace("Master: 0", "Master: NULL");
    assert_eq!(replication(Dialect::Mariadb, &[&stopped]), STOPPED);
    assert_eq!(replication(Dialect::Mariadb, &[MARIADB_10_11, &stopped]), WAITING);
}

#[test]
fn what_cannot_be_read_is_no_answer() {
    let missing = MYSQL.replace("super_read_only", "other");
    let null = MYSQL.replace("3e11fa47-71ca-11e1-9e33-c80aa9429562", "NULL");
    for (variables, name) in [(missing.as_str(), "super_read_only"), (&null, "server_uuid")] {
        let failure = said(Dialect::Mysql, &[line(variables)], &[]).unwrap_err();
        assert!(failure.to_string().contains(name), "{failure}");
    }
    for change in
        [("Seconds_Behind_Master: 0", "Seconds_Behind_Master: soon"), ("Slave_IO_Running", "x")]
    {
        let channel = MARIADB_10_11.replace(change.0, change.1);
        let _: crate::proxy::mysql::monitor::failure::Failure =
            said(Dialect::Mariadb, &[line(MARIADB)], &[line(&channel)]).unwrap_err();
    }
    let _: crate::proxy::mysql::monitor::failure::Failure =
        said(Dialect::Mariadb, &[], &[]).unwrap_err();
}
