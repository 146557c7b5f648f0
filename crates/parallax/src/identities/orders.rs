//! Orders that wait for their answer: one file each in `id/orders`, for the owner alone.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use parallax_client::{PendingOrder, Token};
use parallax_core::plainly;

use super::Identities;
use super::files::Directory;
use crate::clock::now;
use crate::failure::Failure;

/// Orders that wait at a time. The node takes fewer in the hour that they live.
const MOST: usize = 100;

/// An order is kept a little longer than it says: the node's clock decides, not this machine's.
const GRACE: Duration = Duration::from_secs(600);

const HEADER: &str = "# An order of `parallax id request`. Whoever has this file and the mail can answer it.\n\n";

impl Identities {
    /// The orders that wait, the newest first; what has expired is taken away.
    pub(crate) fn orders(&self) -> Result<Vec<PendingOrder>, Failure> {
        let directory = Directory::of_orders(&self.root);
        let mut orders = Vec::new();
        for file in files(directory.path())? {
            let order = read(&directory, &file)?;
            match order {
                Some(order) if now() < order.expires_at.plus(GRACE) => orders.push(order),
                Some(order) => self.end_order(&order.order)?,
                None => {}
            }
        }
        orders.sort_by_key(|order| std::cmp::Reverse(order.placed_at));
        Ok(orders)
    }

    /// Keeps an order that was placed.
    pub(crate) fn keep_order(&self, order: &PendingOrder) -> Result<(), Failure> {
        let body = toml::to_string(order).map_err(Failure::not_done)?;
        Directory::of_orders(&self.root)
            .locked(|directory| directory.write(&name(&order.order), format!("{HEADER}{body}").as_bytes()))
    }

    /// Whether one more may be placed.
    pub(crate) fn check_orders(&self) -> Result<(), Failure> {
        if self.orders()?.len() < MOST {
            return Ok(());
        }
        Err(Failure::not_done(format!("{MOST} orders wait already; answer one, or wait until one has expired")))
    }

    /// Forgets an order that was answered, or is over.
    pub(crate) fn end_order(&self, order: &Token) -> Result<(), Failure> {
        Directory::of_orders(&self.root).locked(|directory| directory.remove(&name(order)))
    }
}

fn name(order: &Token) -> String {
    format!("{order}.toml")
}

fn files(directory: &Path) -> Result<Vec<String>, Failure> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::usage(format!("{}: {}", directory.display(), plainly(&error)))),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| name.ends_with(".toml")).take(2 * MOST).collect())
}

/// An order; `None` when another command has just taken it away.
fn read(directory: &Directory, file: &str) -> Result<Option<PendingOrder>, Failure> {
    let Some(text) = directory.read_secret(file)? else { return Ok(None) };
    let named = |why: &dyn std::fmt::Display| {
        let file = directory.file(file);
        Failure::usage(format!("{}: {why}; take it away, and ask for a certificate again", file.display()))
    };
    let text = String::from_utf8(text).map_err(|_| named(&"it is not text in UTF-8"))?;
    let order: PendingOrder = toml::from_str(&text).map_err(|error| named(&error.message().replace('\n', ", ")))?;
    if name(&order.order) != file {
        return Err(named(&"it is of another order than its name says"));
    }
    Ok(Some(order))
}
