//! Signs of life on work longer than a second, where standard error is a terminal.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work shorter than this shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the sign moves.
const TICK: Duration = Duration::from_millis(120);

/// Waits for one piece of work; after a second it says what is waited for.
pub(crate) async fn waiting<T>(message: String, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if let Ok(done) = tokio::time::timeout(PATIENCE, &mut work).await {
        return done;
    }
    let bar = ProgressBar::new_spinner().with_message(message);
    bar.enable_steady_tick(TICK);
    let done = work.await;
    bar.finish_and_clear();
    done
}

/// A bar over many pieces of work, of which more may come.
pub(crate) struct Many {
    bar: ProgressBar,
}

impl Many {
    /// A bar that is not shown yet; `done` says what becomes of each piece, such as `checked`.
    pub(crate) fn new(done: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(&format!("{{bar:30}} {{pos}}/{{len}} {done}, {{eta}} left")) {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// Does the work; the bar is shown once a second has gone by.
    pub(crate) async fn show_while<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            never = self.show_in_time() => match never {},
        }
    }

    async fn show_in_time(&self) -> std::convert::Infallible {
        tokio::time::sleep(PATIENCE).await;
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
        self.bar.enable_steady_tick(TICK);
        std::future::pending().await
    }

    /// A handle that counts work as it comes in.
    pub(crate) fn counter(&self) -> impl Fn() + Send + 'static {
        let bar = self.bar.clone();
        move || bar.inc_length(1)
    }

    /// One more piece has come in.
    pub(crate) fn more(&self, pieces: usize) {
        self.bar.inc_length(pieces as u64);
    }

    /// One piece is done.
    pub(crate) fn done(&self) {
        self.bar.inc(1);
    }

    /// So many pieces are done, on whatever thread; the bar is shown once a second has gone by.
    pub(crate) fn advance(&self, pieces: u64) {
        self.bar.inc(pieces);
        if self.bar.is_hidden() && self.bar.elapsed() >= PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Does something with the screen while the bar is out of the way.
    pub(crate) fn aside<T>(&self, act: impl FnOnce() -> T) -> T {
        self.bar.suspend(act)
    }
}

impl Drop for Many {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
