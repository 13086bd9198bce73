//! The speaker's end of its socket.

use std::io;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::{mpsc, watch},
};

use super::message::{Holdings, Noted, Order, Said, VERSION, build};

/// What happened is kept for a daemon that comes back, up to so many.
const KEPT: usize = 1024;

/// What a daemon is told.
pub(super) struct News {
    pub(super) view: watch::Receiver<Holdings>,
    pub(super) notes: mpsc::UnboundedReceiver<Noted>,
}

/// Talks with one daemon after the other.
pub(super) async fn serve(listener: UnixListener, mut news: News, orders: mpsc::Sender<Order>) {
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
            Ok(()) => tracing::info!("the daemon has gone; adverts go on"),
            Err(error) => tracing::info!("the daemon has gone ({error}); adverts go on"),
        }
    }
}

/// Until the daemon goes.
async fn talk(
    stream: UnixStream,
    news: &mut News,
    orders: &mpsc::Sender<Order>,
    missed: &mut Vec<Noted>,
) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let hello = Said::Hello { version: VERSION, build: build(), pid: std::process::id() };
    writer.write_all(&line(&hello)?).await?;
    for noted in missed.drain(..) {
        writer.write_all(&line(&Said::Noted(noted))?).await?;
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

fn line(said: &Said) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    Ok(line)
}
