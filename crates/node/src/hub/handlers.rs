//! What the hub answers on channels, and what it is told of them.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use parallax_proto::channel::{ChannelId, Connection, Run};
use serde_json::Value;

use super::HubRole;
use crate::channels::{Caller, Channels, Handler, Watcher};

impl HubRole {
    /// Answers `attach`, `ask` and `seen` on these channels, and pushes over them.
    pub(crate) fn serve(self: &Arc<Self>, channels: &Arc<Channels>) {
        // A second set of channels would be a mistake of this program; the first goes on being served.
        let _ = self.channels.set(Arc::downgrade(channels));
        for message in [Message::Attach, Message::Ask, Message::Seen] {
            channels.register(message.name(), Arc::new(OnMessage { role: Arc::clone(self), message }));
        }
        channels.watch(Arc::new(OnChannels(Arc::clone(self))));
    }
}

#[derive(Clone, Copy)]
enum Message {
    Attach,
    Ask,
    Seen,
}

impl Message {
    const fn name(self) -> &'static str {
        match self {
            Message::Attach => "attach",
            Message::Ask => "ask",
            Message::Seen => "seen",
        }
    }
}

struct OnMessage {
    role: Arc<HubRole>,
    message: Message,
}

impl Handler for OnMessage {
    fn handle(&self, caller: Caller, run: Run) -> BoxFuture<'static, Result<Value, Value>> {
        let (role, message) = (Arc::clone(&self.role), self.message);
        Box::pin(async move {
            match message {
                Message::Attach => role.attach(&caller, run).await,
                Message::Ask => role.ask(&caller, run).await,
                Message::Seen => role.seen(&caller, run),
            }
        })
    }

    fn at_once(&self, caller: &Caller, run: Run) -> Result<Result<Value, Value>, Run> {
        match self.message {
            Message::Seen => Ok(self.role.seen(caller, run)),
            Message::Attach | Message::Ask => Err(run),
        }
    }
}

struct OnChannels(Arc<HubRole>);

impl Watcher for OnChannels {
    fn heard(&self, channel: ChannelId) {
        self.0.heard(channel);
    }

    fn ended(&self, channel: ChannelId) {
        self.0.gone(channel);
    }

    fn disconnected(&self, connection: Connection) {
        self.0.leave(connection);
    }
}
