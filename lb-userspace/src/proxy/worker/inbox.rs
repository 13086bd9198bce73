//! What a worker does about messages.

use std::{sync::Arc, time::Instant};

use super::Worker;
use crate::proxy::{
    End,
    live::Live,
    mail::{Message, Peer},
    pool::Member,
    queue::Address,
    session::Session,
};

impl Worker {
    pub(super) fn read_inbox(&mut self) {
        let messages = self.core.team.peer(self.core.worker).map(Peer::take);
        for message in messages.unwrap_or_default() {
            self.read(message);
        }
    }

    fn read(&mut self, message: Message) {
        match message {
            Message::Listen { proxy, place, socket } => self.listen(proxy, place, socket),
            Message::Unlisten { proxy, place } => {
                self.unlisten(|it| Arc::ptr_eq(&it.proxy, &proxy) && it.place == place);
            }
            Message::Adopt { proxy, client } => self.adopt(proxy, client),
            Message::Grant { session, proxy, member } => self.grant(session, &proxy, member),
            Message::Resume => self.resume(),
            Message::Retime { proxy } => self.retime(|it| Arc::ptr_eq(&it.proxy, &proxy)),
            Message::BusyPoll { limit } => self.polling.limit(limit),
            Message::Close { member, end } => {
                let is_its =
                    |it: &Session| it.member.as_ref().is_some_and(|its| Arc::ptr_eq(its, &member));
                for key in self.find(is_its) {
                    self.drive(key, |session, core| session.lose_backend(end, core));
                }
            }
            Message::Kill { id, answer } => {
                for key in self.find(|it| it.id == id) {
                    self.finish(key, End::Killed);
                    let _gone = answer.send(());
                }
            }
            Message::List { answer } => {
                let now = self.core.now;
                let _gone = answer.send(self.sessions.iter().map(|(_, it)| it.view(now)).collect());
            }
            Message::Count { answer } => {
                self.sessions.iter_mut().for_each(|(_, session)| session.count());
                let _gone = answer.send(());
            }
            Message::Drain { deadline } => self.drain(deadline),
        }
    }

    /// The session may have ended since its wish was granted.
    fn grant(&mut self, session: Address, proxy: &Live, member: Arc<Member>) {
        if self.sessions.get(session.key).is_some_and(|it| it.id == session.id) {
            self.drive(session.key, |session, core| session.granted(member, core));
        } else {
            proxy.pool.release(&member, &self.core.team);
        }
    }

    fn drain(&mut self, deadline: Instant) {
        self.core.deadline = Some(self.micros(deadline));
        self.unlisten(|_| true);
        self.retime(|_| true);
    }

    /// Deadlines may come earlier than they were to.
    fn retime(&mut self, is_meant: impl Fn(&Session) -> bool) {
        for (_, session) in self.sessions.iter_mut().filter(|(_, it)| is_meant(it)) {
            session.set_timer(&mut self.core);
        }
    }
}
