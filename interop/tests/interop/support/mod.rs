//! The programs, and what they are given.

mod binary;
mod browser;
mod curl;
mod dns;
mod nginx;
mod node;
mod openssl;
mod ports;
mod process;
mod services;
mod user;

use std::path::PathBuf;

pub(crate) use browser::Browser;
pub(crate) use curl::{Answer, curl};
pub(crate) use nginx::Nginx;
pub(crate) use node::Node;
pub(crate) use openssl::{Keeper, Server, openssl, openssl_fails, openssl_with_input, sha256, sha256_bytes};
pub(crate) use ports::free_port;
pub(crate) use process::{PATIENCE, Run, Running, signal};
pub(crate) use services::{dovecot, is_root, mailing_postfix, postfix, postgres, postgres_programs, slapd};
pub(crate) use user::User;

/// Where a program is, if it is on this machine.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Servers are where only root looks.
    let places = std::env::split_paths(&path).chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    places.map(|place| place.join(program)).find(|file| file.is_file())
}

/// Ends the test with one sentence when a program is not on this machine.
macro_rules! needs {
    ($($program:literal),+) => {
        $(if $crate::support::find($program).is_none() {
            eprintln!("skipped: {} is not on this machine, so this was not tried against it.", $program);
            return;
        })+
    };
}
pub(crate) use needs;
