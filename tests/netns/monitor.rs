//! The monitor of database servers finds out what a real one is, and says why it cannot.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use lb_tests::{
    mariadb::{self, MariaDb},
    site::Site,
};
use lb_userspace::{
    config::proxy::{Monitor, MonitorTls, Mysql, Place, Role},
    proxy::mysql::{
        Note, View,
        monitor::{Monitors, Pool, Told},
    },
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

use super::certificates;

/// The site's web1.
const WEB1: &str = "10.0.0.11";

#[test]
fn a_real_server_is_asked_in_every_way() {
    let site = super::site_of(1);
    let folder = site.folder().path();
    let (ca, other) =
        (certificates::issue(folder, "server", WEB1), certificates::issue(folder, "other", WEB1));
    let file = |name: &str| folder.join(name).display().to_string();
    let arguments = [
        format!("--ssl-cert={}", file("server.pem")),
        format!("--ssl-key={}", file("server.key")),
        "--server-id=7".to_owned(),
    ];
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let database = MariaDb::start_with(&site, site.web(1), &arguments).unwrap();
    let _: String = database
        .sql(&format!(
            "GRANT SLAVE MONITOR ON *.* TO '{}'@'%'; \
             CREATE USER bare@'%' IDENTIFIED BY '{}'",
            mariadb::USER,
            mariadb::PASSWORD
        ))
        .unwrap();
    let tcp = Place::Tcp(format!("{WEB1}:{}", mariadb::PORT).parse().unwrap());
    let unix = Place::Unix(database.socket());
    let verified = |ca: &Path| Some(MonitorTls { verify: true, ca: Some(ca.into()) });
    let any = Some(MonitorTls { verify: false, ca: None });
    let good = mariadb::PASSWORD;
    let cases = [
        (mariadb::USER, good, &tcp, None, Ok(())),
        (mariadb::USER, good, &unix, None, Ok(())),
        (mariadb::USER, good, &unix, any.clone(), Ok(())),
        (mariadb::USER, good, &tcp, any, Ok(())),
        (mariadb::USER, good, &tcp, verified(&ca), Ok(())),
        (mariadb::USER, good, &tcp, verified(&other), Err("invalid peer certificate")),
        (mariadb::USER, "a guess", &tcp, None, Err("Access denied for user 'lb'")),
        ("bare", good, &tcp, None, Err("`GRANT SLAVE MONITOR ON *.*`")),
    ];
    for (case, (user, password, place, tls, expected)) in cases.into_iter().enumerate() {
        let password_file = folder.join("password");
        fs::write(&password_file, format!("{password}\n")).unwrap();
        let pool = pool(place.clone(), user, password_file, tls);
        let found = monitored(&site, pool, |told| async move { first(told).await });
        let found = found.as_ref().map(String::as_str).map_err(String::as_str);
        match (&expected, &found) {
            (Ok(()), Ok("db")) => {}
            (Err(expected), Err(found)) if found.contains(expected) => {}
            _ => panic!("case {case}: {found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn a_switch_to_read_only_is_seen_and_its_end_too() {
    let site = super::site_of(1);
    let database = MariaDb::start(&site, site.web(1)).unwrap();
    let grant = format!("GRANT SLAVE MONITOR ON *.* TO '{}'@'%'", mariadb::USER);
    let _: String = database.sql(&grant).unwrap();
    let password_file = site.folder().path().join("password");
    fs::write(&password_file, mariadb::PASSWORD).unwrap();
    let place = Place::Unix(database.socket());
    let pool = pool(place, mariadb::USER, password_file, None);
    monitored(&site, pool, |told| async {
        let mut told = told;
        until_primary(&mut told, true).await;
        let questions = |database: &MariaDb<'_>| -> u64 {
            let status = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS \
                          WHERE VARIABLE_NAME = 'COM_SHOW_SLAVE_STATUS'";
            database.sql(status).unwrap().trim().parse().unwrap()
        };
        for read_only in [1, 0] {
            let before = questions(&database);
            let _: String = database.sql(&format!("SET GLOBAL read_only = {read_only}")).unwrap();
            until_primary(&mut told, read_only == 0).await;
            let asked = questions(&database) - before;
            assert!(asked <= 2, "it was seen only after {asked} questions");
        }
    });
}

fn pool(place: Place, user: &str, password_file: PathBuf, tls: Option<MonitorTls>) -> Pool {
    let monitor = Monitor {
        user: user.into(),
        password_file: Some(password_file),
        tls,
        interval: Duration::from_millis(500),
        timeout: Duration::from_millis(450),
        fall: 3,
    };
    let settings = Mysql {
        role: Role::Primary,
        fallback: false,
        monitor,
        promotion_wait: Duration::from_secs(10),
        max_lag: None,
        lag_return: Duration::ZERO,
        close_lag: None,
    };
    Pool { proxy: "db".into(), settings, servers: BTreeMap::from([("db".to_owned(), place)]) }
}

/// Monitors a pool from the node's machine while something is done.
fn monitored<T: Send, F: Future<Output = T>>(
    site: &Site,
    pool: Pool,
    act: impl FnOnce(UnboundedReceiver<Told>) -> F + Send,
) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let monitored = || {
        runtime.block_on(async {
            let (sender, told) = unbounded_channel();
            let mut monitors = Monitors::new(sender);
            monitors.configure(vec![pool]);
            timeout(Duration::from_secs(60), act(told)).await.unwrap()
        })
    };
    site.lb.enter(monitored).unwrap()
}

/// The primary, or why there is none.
async fn first(mut told: UnboundedReceiver<Told>) -> Result<String, String> {
    loop {
        match told.recv().await.unwrap() {
            Told::View { view: View { primary: Some(primary), .. }, .. } => return Ok(primary),
            Told::Note { note: Note::Silent { why, .. }, .. } => return Err(why),
            Told::View { .. } | Told::Note { .. } => {}
        }
    }
}

async fn until_primary(told: &mut UnboundedReceiver<Told>, is_there: bool) {
    loop {
        if let Told::View { view, .. } = told.recv().await.unwrap()
            && view.primary.is_some() == is_there
        {
            return;
        }
    }
}
