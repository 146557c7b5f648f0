//! A connection to the queue.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Event};
use parallax_core::plainly;
use parallax_probe::AwsLc;
use parallax_proto::hub::Group;
use tokio::sync::watch;

use super::BusSettings;
use crate::error::NodeError;
use crate::metrics::Metrics;
use crate::seldom::Seldom;

/// How long the queue has to answer at the start.
const CONNECTING: Duration = Duration::from_secs(10);

/// Messages that wait to be read; the queue drops what comes beyond.
const WAITING: usize = 1_024;

/// The longest file that may hold a secret.
const LARGEST_SECRET: u64 = 4 * 1024;

/// A connection to the queue, made anew whenever it is lost.
#[derive(Clone)]
pub(crate) struct Bus {
    pub(crate) client: Client,
    /// Whether it is there now.
    pub(crate) there: watch::Receiver<bool>,
}

impl Bus {
    pub(crate) async fn connect(settings: &BusSettings, metrics: Arc<Metrics>) -> Result<Self, NodeError> {
        let (tell, there) = watch::channel(true);
        let warned = Seldom::default();
        let told = Arc::new((tell, metrics, warned));
        let options = settings.url.options(&settings.access).map_err(|error| NodeError::Bus(error.to_string()))?;
        let shown = settings.url.to_string();
        let options = options.no_echo().subscription_capacity(WAITING).connection_timeout(CONNECTING).event_callback(
            move |event| {
                let (told, shown) = (Arc::clone(&told), shown.clone());
                async move { heard(&told, &shown, &event) }
            },
        );
        let connected = tokio::time::timeout(CONNECTING, settings.url.connect(options)).await;
        let connected = connected.map_err(|_| NodeError::Bus("it did not answer within 10 s".into()))?;
        let client = connected.map_err(|error| NodeError::Bus(error.to_string()))?;
        Ok(Self { client, there })
    }
}

fn heard((tell, metrics, warned): &(watch::Sender<bool>, Arc<Metrics>, Seldom), queue: &str, event: &Event) {
    let there = match event {
        Event::Connected => true,
        Event::Disconnected | Event::Closed => false,
        Event::ServerError(_) | Event::ClientError(_) | Event::SlowConsumer(_) => {
            if warned.is_time() {
                tracing::warn!(queue, %event, "the message queue complains");
            }
            return;
        }
        _ => return,
    };
    let changed = tell.send_if_modified(|before| std::mem::replace(before, there) != there);
    metrics.bus_connected.set(there.into());
    match (changed, there) {
        (true, true) => tracing::info!(queue, "the message queue is back"),
        (true, false) => tracing::warn!(queue, "the message queue is away; it is tried again and again"),
        (false, _) => {}
    }
}

/// The group of hubs whose secret stands in a file.
pub(crate) fn read_group(path: &Path) -> Result<Group, NodeError> {
    let bad = |why: String| NodeError::Setting { field: "hub_group", why };
    let failed = |error: std::io::Error| bad(format!("{} can't be read: {}", path.display(), plainly(&error)));
    if std::fs::metadata(path).map_err(failed)?.len() > LARGEST_SECRET {
        return Err(bad(format!("{} is longer than a secret; it has one line", path.display())));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    Group::new(Arc::new(AwsLc), &text).map_err(|error| bad(format!("{}: {error}", path.display())))
}
