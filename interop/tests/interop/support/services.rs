//! Servers that begin in the clear: Postfix, Dovecot, slapd, PostgreSQL, each in a directory and on ports of its own.

use std::fs::Permissions;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::process::{PATIENCE, Running};
use super::{find, free_port};

/// How often other ports are tried when somebody takes the free ones first.
const TRIES: usize = 5;

/// A server that runs until it is dropped.
pub(crate) struct Service {
    _process: Running,
    _place: tempfile::TempDir,
    ports: Vec<u16>,
}

impl Service {
    /// `127.0.0.1:PORT` of its listener of this number.
    pub(crate) fn address(&self, listener: usize) -> String {
        format!("127.0.0.1:{}", self.ports[listener])
    }

    /// Tries `start` with other free ports until it runs. `start` gets a directory that everybody may enter.
    fn start<const PORTS: usize>(start: impl Fn(&Path, [u16; PORTS]) -> Command) -> Self {
        for _ in 0..TRIES {
            let place = tempfile::tempdir().unwrap();
            std::fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
            let ports = [(); PORTS].map(|()| free_port());
            let mut process = Running::start(&mut start(place.path(), ports));
            if ports.iter().all(|port| is_open(*port, &mut process)) {
                return Self { _process: process, _place: place, ports: ports.to_vec() };
            }
        }
        panic!("it does not start");
    }
}

/// Waits until somebody listens; false when the process ends before.
fn is_open(port: u16, process: &mut Running) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until && process.is_running() {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    eprintln!("it does not listen on {port}: {:?}", process.said());
    false
}

/// Whether this is root: mail servers change users.
pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// Postfix's `smtpd` with this key and certificate: the first listener offers STARTTLS, the second does not. `more` are
/// lines of `main.cf`.
pub(crate) fn postfix(pem: &str, more: &str) -> Service {
    Service::start(|place, [offers, clear]| {
        let (main, master) = (place.join("main.cf"), place.join("master.cf"));
        for directory in ["spool", "data"] {
            std::fs::create_dir(place.join(directory)).unwrap();
        }
        run(Command::new("chown").arg("postfix").arg(place.join("data")));
        std::fs::write(&main, postfix_main(place, pem, more)).unwrap();
        std::fs::write(&master, postfix_master(offers, clear)).unwrap();
        run(Command::new(find("postfix").unwrap()).arg("-c").arg(place).arg("check"));
        postfix_command(place)
    })
}

fn postfix_command(place: &Path) -> Command {
    let daemons =
        Command::new(find("postconf").unwrap()).arg("-c").arg(place).args(["-h", "daemon_directory"]).output();
    let daemons = String::from_utf8(daemons.unwrap().stdout).unwrap();
    let mut command = Command::new(Path::new(daemons.trim()).join("master"));
    command.arg("-c").arg(place).arg("-s");
    command
}

fn postfix_main(place: &Path, pem: &str, more: &str) -> String {
    let place = place.display();
    format!(
        "compatibility_level = 3.6\nqueue_directory = {place}/spool\ndata_directory = {place}/data\n\
         maillog_file = /dev/stdout\nmyhostname = mx.example\nmydestination =\nalias_maps =\nlocal_recipient_maps =\n\
         proxy_read_maps =\ninet_interfaces = loopback-only\ninet_protocols = ipv4\nsmtpd_tls_security_level = may\n\
         smtpd_tls_chain_files = {pem}\n{more}\n"
    )
}

fn postfix_master(offers: u16, clear: u16) -> String {
    format!(
        "127.0.0.1:{offers} inet n - n - - smtpd\n127.0.0.1:{clear} inet n - n - - smtpd\n  -o \
         smtpd_tls_security_level=none\ntlsmgr unix - - n 1000? 1 tlsmgr\nproxymap unix - - n - - proxymap\nrewrite unix \
         n - n - - trivial-rewrite\nanvil unix - - n - 1 anvil\npostlog unix-dgram n - n - 1 postlogd\n"
    )
}

/// A whole Postfix with this key and certificate: it offers STARTTLS and puts whatever comes for example.com into the
/// maildir that is returned.
pub(crate) fn mailing_postfix(pem: &str) -> (Service, PathBuf) {
    let folder = std::cell::RefCell::new(PathBuf::new());
    let server = Service::start(|place, [port]| {
        let (main, master, mail) = (place.join("main.cf"), place.join("master.cf"), place.join("mail"));
        for directory in ["spool", "data", "mail"] {
            std::fs::create_dir(place.join(directory)).unwrap();
        }
        run(Command::new("chown").arg("postfix").arg(place.join("data")));
        run(Command::new("chown").arg("nobody").arg(&mail));
        let delivers = format!(
            "virtual_mailbox_domains = example.com\nvirtual_mailbox_base = {}\nvirtual_mailbox_maps = static:box/\n\
             virtual_minimum_uid = 1\nvirtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n\
             smtpd_recipient_restrictions = reject_unauth_destination\n",
            mail.display()
        );
        std::fs::write(&main, postfix_main(place, pem, &delivers)).unwrap();
        std::fs::write(&master, postfix_delivering(port)).unwrap();
        folder.replace(mail.join("box"));
        run(Command::new(find("postfix").unwrap()).arg("-c").arg(place).arg("check"));
        postfix_command(place)
    });
    (server, folder.into_inner())
}

fn postfix_delivering(port: u16) -> String {
    format!(
        "127.0.0.1:{port} inet n - n - - smtpd\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\ntlsmgr unix \
         - - n 1000? 1 tlsmgr\nproxymap unix - - n - - proxymap\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n \
         - 0 bounce\ndefer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nvirtual unix - n n - - virtual\nanvil \
         unix - - n - 1 anvil\npostlog unix-dgram n - n - 1 postlogd\n"
    )
}

/// Dovecot with this key and certificate: the first listener speaks IMAP, the second POP3. `ssl` is its setting of that
/// name.
pub(crate) fn dovecot(pem: &str, ssl: &str) -> Service {
    Service::start(|place, [imap, pop3]| {
        let settings = place.join("dovecot.conf");
        std::fs::write(&settings, dovecot_settings(place, pem, ssl, imap, pop3)).unwrap();
        let mut command = Command::new(find("dovecot").unwrap());
        command.arg("-F").arg("-c").arg(settings);
        command
    })
}

fn dovecot_settings(place: &Path, pem: &str, ssl: &str, imap: u16, pop3: u16) -> String {
    let place = place.display();
    let login = |protocol: &str, port: u16| {
        format!(
            "service {protocol}-login {{\n  chroot =\n  inet_listener {protocol} {{\n    port = {port}\n  }}\n  \
             inet_listener {protocol}s {{\n    port = 0\n  }}\n}}\n"
        )
    };
    format!(
        "base_dir = {place}/run\nstate_dir = {place}/state\nlog_path = /dev/stderr\nprotocols = imap pop3\n\
         listen = 127.0.0.1\nssl = {ssl}\nssl_cert = <{pem}\nssl_key = <{pem}\nmail_location = maildir:{place}/mail\n\
         default_login_user = nobody\ndefault_internal_user = nobody\ndefault_internal_group = nogroup\n\
         passdb {{\n  driver = static\n  args = nopassword=y\n}}\nuserdb {{\n  driver = static\n  \
         args = uid=nobody gid=nogroup home={place}/home\n}}\n{}{}",
        login("imap", imap),
        login("pop3", pop3)
    )
}

/// OpenLDAP's `slapd`, with this key and certificate where there is one.
pub(crate) fn slapd(pem: Option<&str>) -> Service {
    Service::start(|place, [port]| {
        let settings = place.join("slapd.conf");
        let tls = pem.map(|pem| format!("TLSCertificateFile {pem}\nTLSCertificateKeyFile {pem}\n")).unwrap_or_default();
        std::fs::write(&settings, format!("pidfile {}/pid\n{tls}", place.display())).unwrap();
        let mut command = Command::new(find("slapd").unwrap());
        command.args(["-d", "0", "-h", &format!("ldap://127.0.0.1:{port}"), "-f"]).arg(settings);
        command
    })
}

/// Where PostgreSQL's own programs are: Debian keeps them off the path.
pub(crate) fn postgres_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let places = versions.map(|version| version.path().join("bin")).chain(find("initdb")?.parent().map(Path::to_owned));
    places.into_iter().find(|place| place.join("initdb").is_file() && place.join("postgres").is_file())
}

/// PostgreSQL in the directory of its programs, with this key and certificate where there is one.
pub(crate) fn postgres(programs: &Path, pem: Option<&str>) -> Service {
    Service::start(|place, [port]| {
        let data = place.join("data");
        let mut init = as_nobody(programs.join("initdb"), place);
        run(init.arg("-D").arg(&data).args(["-A", "trust", "-U", "nobody", "--no-sync", "--no-locale", "-E", "UTF8"]));
        let mut command = as_nobody(programs.join("postgres"), place);
        command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        command.args(["-c", "unix_socket_directories=", "-c", "fsync=off"]);
        if let Some(pem) = pem {
            let own = place.join("site.pem");
            std::fs::copy(pem, &own).unwrap();
            std::fs::set_permissions(&own, Permissions::from_mode(0o600)).unwrap();
            hand_over(&own);
            let own = own.display();
            command.args(["-c", "ssl=on", "-c", &format!("ssl_cert_file={own}"), "-c", &format!("ssl_key_file={own}")]);
        }
        command
    })
}

/// It refuses to run as root.
fn as_nobody(program: PathBuf, place: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    hand_over(place);
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
    command
}

fn hand_over(path: &Path) {
    if is_root() {
        run(Command::new("chown").arg("65534:65534").arg(path));
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
