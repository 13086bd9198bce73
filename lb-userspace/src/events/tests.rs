use super::*;

fn event(service: &str) -> Event {
    Event::new(Kind::Down, "connection refused").of_backend(service, "web1")
}

fn numbers(page: &Page) -> Vec<u64> {
    page.events.iter().map(|entry| entry.sequence).collect()
}

fn since(since: u64) -> Query {
    Query { since: Some(since), ..Query::default() }
}

#[test]
fn the_latest_are_given_in_order() {
    let events = Events::default();
    for service in ["web", "app", "web", "app", "web"] {
        events.note(event(service));
    }
    let ask = |since, service: Option<&str>, count| {
        let service = service.map(str::to_owned);
        numbers(&events.page(&Query { since, service, count, wait: None }))
    };
    assert_eq!(ask(None, None, None), [1, 2, 3, 4, 5]);
    assert_eq!(ask(None, None, Some(2)), [4, 5]);
    assert_eq!(ask(Some(3), None, None), [4, 5]);
    assert_eq!(ask(Some(1), Some("web"), Some(1)), [5]);
    assert_eq!(ask(None, Some("app"), None), [2, 4]);
    assert!(ask(Some(5), None, None).is_empty());
    assert_eq!(ask(Some(6), None, Some(1)), [5], "the number of an earlier daemon");
}

#[test]
fn what_is_not_kept_any_more_is_counted() {
    let events = Events::default();
    for _ in 0..KEPT + 3 {
        events.note(event("web"));
    }
    let page = events.page(&since(1));
    assert_eq!((page.events.len(), page.forgotten), (KEPT, 2));
    assert_eq!((page.events[0].sequence, page.last), (4, KEPT as u64 + 3));
    assert_eq!(events.page(&since(3)).forgotten, 0);
}

#[test]
fn an_entry_is_flat_json_with_the_time_in_utc() {
    let mut ring = Ring::default();
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    let _: u64 = ring.push(event("web").by(&Who::signal("SIGHUP")), now);
    assert_eq!(
        serde_json::to_string(&ring.entries[0]).unwrap(),
        r#"{"sequence":1,"time":"2023-11-14T22:13:20.123Z","kind":"down","service":"web","#
            .to_owned()
            + r#""backend":"web1","router":null,"route":null,"cause":"connection refused","who":"SIGHUP"}"#
    );
    let text = serde_json::to_string(&ring.entries[0]).unwrap();
    assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), ring.entries[0]);
}

#[test]
fn the_log_says_what_where_why_and_who_unless_it_is_the_node() {
    let by_node = event("web").to_string();
    assert_eq!(by_node, "down web/web1: connection refused");
    let stopping = Event::new(Kind::Stopping, "packets go on").by(&Who::signal("SIGTERM"));
    assert_eq!(stopping.to_string(), "stopping: packets go on (by SIGTERM)");
    assert_eq!(Who::user(0).to_string(), "root (uid 0)");
    assert_eq!(Who::user(4_000_000_123).to_string(), "uid 4000000123");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_an_event_of_the_service_or_with_its_time() {
    let events = Events::default();
    events.note(event("app"));
    let query = Query { service: Some("web".into()), wait: Some(5), ..since(1) };
    let noter = events.clone();
    let later = tokio::spawn(async move {
        for service in ["app", "web"] {
            tokio::time::sleep(Duration::from_secs(1)).await;
            noter.note(event(service));
        }
    });
    assert_eq!(numbers(&events.wait(&query).await), [3]);
    later.await.unwrap();
    let begun = tokio::time::Instant::now();
    let page = events.wait(&Query { since: Some(3), ..query }).await;
    assert_eq!((numbers(&page), page.last), (vec![], 3));
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
}

#[test]
fn what_a_file_changes_is_said_thing_by_thing() {
    use crate::api::plan::{Difference, Kind as How, Plan};
    let difference = |kind, subject: &str| Difference {
        kind,
        subject: subject.into(),
        detail: "203.0.113.12 on lo".into(),
    };
    let plan = |differences| Plan {
        file: "lb.toml".into(),
        differences,
        rings: Vec::new(),
        cut: Vec::new(),
        forgotten: Vec::new(),
        warnings: Vec::new(),
    };
    let events = Events::default();
    events.note_plan(Kind::Applied, &plan(vec![difference(How::Removed, "route off")]), &Who::lb());
    let more = vec![difference(How::Added, "route on"), difference(How::Changed, "route web")];
    events.note_plan(Kind::Applied, &plan(more), &Who::lb());
    let page = events.page(&since(0));
    let told: Vec<_> = page.events.iter().map(|entry| entry.event.to_string()).collect();
    let expected = [
        "applied: lb.toml: 1 difference",
        "removed: route off: 203.0.113.12 on lo",
        "applied: lb.toml: 2 differences",
        "added: route on: 203.0.113.12 on lo",
        "changed: route web: 203.0.113.12 on lo",
    ];
    assert_eq!(told, expected);
}
