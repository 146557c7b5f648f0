//! What the system refuses is said in plain words, with what would be right.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use support::Home;

#[test]
fn no_message_ends_in_the_number_of_the_system() {
    let home = Home::new().with("PARALLAX_DATA", "data");
    std::fs::create_dir(home.path().join("data")).unwrap();
    assert_eq!(home.run(&["services", "add", "example.com"]).status, 0);
    home.write("file", "");
    home.write("latin1.toml", "");
    std::fs::write(home.path().join("latin1.toml"), b"# \xe4").unwrap();
    home.write("roots.toml", "[look]\nroots = \"none.pem\"\n");
    home.write("anchors.toml", "[look]\ndnssec = \"none.keys\"\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let nobody = "perspectives+http://192.0.2.7#none.pem";
    for (arguments, why, right) in [
        (&["scan", "none.txt"][..], "there is no such file", "a service a line, or - for standard input"),
        (&["scan", "."], "it is a directory", "a service a line"),
        (&["import", "none.jsonl"], "there is no such file", "`parallax export` wrote"),
        (&["import", "file/none"], "a part of its path is no directory", "`parallax export` wrote"),
        (&["export", "none/file"], "there is no such file or directory", "where this user may write"),
        (&["export", "data"], "it is a directory", "where this user may write"),
        (&["history", "--svg", "none/a.svg", "example.com"], "there is no such file or directory", "may write"),
        (&["--config", "none.toml", "config", "show"], "there is no such file", "--config"),
        (&["--config", "latin1.toml", "config", "show"], "it is not text in UTF-8", "--config"),
        (&["--config", "roots.toml", "observe", "127.0.0.1"], "there is no such file", "a PEM file"),
        (&["--config", "anchors.toml", "observe", "127.0.0.1"], "there is no such file", "a file of DNSKEY records"),
        (&["vantage", "import", "none.txt"], "there is no such file", "a file that this user may read"),
        (&["check", "--vantage", nobody, "127.0.0.1"], "there is no such file", "a file that this user may read"),
        (&["ca-auth", "example.com", "--ca", "none.pem"], "there is no such file", "none.pem"),
        (&["sim", "worlds", "--world", "none.toml"], "there is no such file", "none.toml"),
        (&["man", "--dir", "none"], "there is no such file or directory", "a directory that is there"),
        (&["serve", "--data", "file/none"], "no directory", "belong to this user"),
        (&["serve", "--listen", &taken], "another program has that address and port", "name another address"),
        (&["serve", "--listen", "192.0.2.1:80"], "not an address of this machine", "name another address"),
    ] {
        let run = home.run(arguments);
        assert!(matches!(run.status, 1 | 2), "{arguments:?}: {run:?}");
        assert!(!run.stderr.contains("os error") && run.stderr.lines().count() == 1, "{arguments:?}: {run:?}");
        assert!(run.stderr.contains(why) && run.stderr.contains(right), "{arguments:?}: {run:?}");
    }
}
