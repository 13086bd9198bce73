//! A companion's end of its socket.

use std::io;

use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::{mpsc, watch},
};

use super::{Said, build, line};

/// What happened is kept for a daemon that comes back, up to so many.
const KEPT: usize = 1024;

/// What a daemon is told.
#[derive(Debug)]
pub struct News<View, Noted> {
    /// The version of what is said.
    pub version: u32,
    /// How all is.
    pub view: watch::Receiver<View>,
    /// What happens.
    pub notes: mpsc::UnboundedReceiver<Noted>,
}

/// Talks with one daemon after the other, for as long as it is polled.
pub async fn serve<View, Noted, Order>(
    listener: UnixListener,
    mut news: News<View, Noted>,
    orders: mpsc::Sender<Order>,
) where
    View: Serialize + Clone + Send + Sync,
    Noted: Serialize + Send,
    Order: DeserializeOwned + Send,
{
    let mut missed = Vec::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "no daemon can come");
                    continue;
                }
            },
            Some(noted) = news.notes.recv() => {
                if missed.len() == KEPT {
                    drop(missed.remove(0));
                }
                missed.push(noted);
                continue;
            }
        };
        match talk(stream, &mut news, &orders, &mut missed).await {
            Ok(()) => tracing::info!("the daemon has gone; the work goes on"),
            Err(error) => tracing::info!("the daemon has gone ({error}); the work goes on"),
        }
    }
}

/// Until the daemon goes.
async fn talk<View, Noted, Order>(
    stream: UnixStream,
    news: &mut News<View, Noted>,
    orders: &mpsc::Sender<Order>,
    missed: &mut Vec<Noted>,
) -> io::Result<()>
where
    View: Serialize + Clone,
    Noted: Serialize,
    Order: DeserializeOwned,
{
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let hello = Said::Hello { version: news.version, build: build(), pid: std::process::id() };
    writer.write_all(&line::<Said<View, Noted>>(&hello)?).await?;
    for noted in missed.drain(..) {
        writer.write_all(&line(&Said::<View, _>::Noted(noted))?).await?;
    }
    news.view.mark_changed();
    loop {
        let said = tokio::select! {
            line = lines.next_line() => {
                let Some(line) = line? else { return Ok(()) };
                let order = serde_json::from_str(&line).map_err(io::Error::from)?;
                if orders.send(order).await.is_err() {
                    return Ok(());
                }
                continue;
            }
            Ok(()) = news.view.changed() => Said::View(news.view.borrow_and_update().clone()),
            Some(noted) = news.notes.recv() => Said::Noted(noted),
        };
        writer.write_all(&line(&said)?).await?;
    }
}
