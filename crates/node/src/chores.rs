//! What a node does by itself while it runs: renew, keep the clock, forget networks at rest.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::app::App;
use crate::data::DataDir;
use crate::identity::ServerTerms;

/// How often limiters forget.
const SHRINK_EVERY: Duration = Duration::from_secs(10);

/// How often the newest stamp is written.
const KEEP_STAMP_EVERY: Duration = Duration::from_secs(60);

/// How often certificate and descriptor are judged; a short-lived certificate is judged more often.
const RENEW_EVERY: Duration = Duration::from_secs(3600);

/// How often advertisements that are over are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// Runs until the node stops.
pub(crate) async fn run(app: Arc<App>, data: Arc<DataDir>, terms: ServerTerms) {
    let renew_every = RENEW_EVERY.min(terms.life / 10).max(Duration::from_millis(100));
    let all = [SHRINK_EVERY, KEEP_STAMP_EVERY, renew_every, FORGET_EVERY];
    let [mut shrink, mut keep, mut renew, mut forget] = all.map(|every| {
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    });
    loop {
        tokio::select! {
            () = app.shared.lifecycle.stopping() => return,
            _ = shrink.tick() => app.limits.shrink(),
            _ = forget.tick() => forget_adverts(&app),
            _ = keep.tick() => keep_stamp(&app, &data).await,
            _ = renew.tick() => renew_what_is_due(&app, &terms).await,
        }
    }
}

fn forget_adverts(app: &App) {
    if let (Some(trust), Ok(now)) = (&app.trust, app.shared.clock.now()) {
        trust.forget_old(now);
    }
}

/// Writes the newest stamp for the next run.
pub(crate) async fn keep_stamp(app: &App, data: &Arc<DataDir>) {
    let (data, stamp) = (Arc::clone(data), app.shared.clock.newest());
    let kept = tokio::task::spawn_blocking(move || data.keep_stamp(stamp)).await;
    if let Ok(Err(error)) = kept {
        tracing::warn!(%error, "the newest stamp can't be kept; after a restart this node can't tell if its clock went back");
    }
}

async fn renew_what_is_due(app: &Arc<App>, terms: &ServerTerms) {
    let now = match app.shared.clock.now() {
        Ok(now) => now,
        Err(error) => return tracing::warn!(%error, "nothing is renewed"),
    };
    let (identity, terms) = (Arc::clone(&app.shared.identity), terms.clone());
    match tokio::task::spawn_blocking(move || identity.renew_if_due(&terms, now)).await {
        Ok(Ok(true)) => {
            let until = app.shared.identity.server_not_after();
            app.shared.metrics.server_certificate_end.set(until.unix_secs());
            tracing::info!(%until, "the server certificate is renewed");
        }
        Ok(Ok(false)) => {}
        Ok(Err(error)) => tracing::error!(%error, "the server certificate can't be renewed"),
        Err(error) => tracing::error!(%error, "the server certificate can't be renewed"),
    }
    match app.description.renew_if_due(&app.shared.identity, now) {
        Ok(true) => tracing::info!("the descriptor is signed again"),
        Ok(false) => {}
        Err(error) => tracing::error!(%error, "the descriptor can't be signed"),
    }
}
