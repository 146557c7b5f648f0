//! A real browser, without a window: Chromium, told what to do over its DevTools protocol.

use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::process::{PATIENCE, Running};

/// One tab of a browser with a profile of its own.
pub(crate) struct Browser {
    socket: WebSocket<TcpStream>,
    session: String,
    sent: u64,
    process: Running,
    /// Deleted after the browser is gone.
    _profile: tempfile::TempDir,
}

impl Browser {
    /// A browser for which these names are this machine.
    pub(crate) fn start(local_names: &[&str]) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let rules: Vec<_> = local_names.iter().map(|name| format!("MAP {name} 127.0.0.1")).collect();
        let mut command = Command::new("chromium");
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.args(["--remote-debugging-port=0", "--window-size=900,800"]);
        command.arg(format!("--host-resolver-rules={}", rules.join(",")));
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        // Nothing of the machine's own profile.
        command.env("HOME", profile.path());
        let mut process = Running::start(&mut command);
        let listening = |line: &str| line.strip_prefix("DevTools listening on ").map(str::to_owned);
        let url = process.hear(listening).unwrap_or_else(|| panic!("chromium did not start: {:?}", process.said()));
        let address = url.strip_prefix("ws://").and_then(|rest| rest.split('/').next()).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = tungstenite::client(url.as_str(), stream).unwrap();
        let mut browser = Self { socket, session: String::new(), sent: 0, process, _profile: profile };
        browser.new_tab();
        browser
    }

    /// Goes on in a new tab.
    pub(crate) fn new_tab(&mut self) {
        self.session = String::new();
        let target = self.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = self.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        self.session = attached["sessionId"].as_str().unwrap().to_owned();
    }

    /// Goes to a page, as by a click on a link.
    pub(crate) fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
    }

    /// What an expression is worth on the page that is shown.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let given = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        self.call("Runtime.evaluate", given)["result"]["value"].clone()
    }

    /// Waits until the page's heading is this one.
    pub(crate) fn sees(&mut self, heading: &str) {
        self.until(&format!("document.querySelector('h1')?.textContent === {}", json!(heading)));
    }

    /// Waits until an expression is true.
    pub(crate) fn until(&mut self, expression: &str) {
        let begun = Instant::now();
        // While a page gives way to the next there is nothing to ask.
        while self.value(expression) != json!(true) {
            let page = self.value("location.href + '\\n' + document.body?.innerText");
            assert!(begun.elapsed() < PATIENCE, "{expression} never became true: {page}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The text that a reader sees.
    pub(crate) fn text(&mut self) -> String {
        self.value("document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Presses the button with this name.
    pub(crate) fn press(&mut self, name: &str) {
        let find = format!("[...document.querySelectorAll('button')].find(b => b.textContent === {})", json!(name));
        assert_eq!(self.value(&format!("{find}?.click() === undefined && !!{find}")), json!(true), "{name}");
    }

    /// Chooses a file in the page's file field.
    pub(crate) fn choose_file(&mut self, file: &str) {
        let document = self.call("DOM.getDocument", json!({}))["root"]["nodeId"].clone();
        let field = json!({ "nodeId": document, "selector": "input[type=file]" });
        let field = self.call("DOM.querySelector", field)["nodeId"].clone();
        self.call("DOM.setFileInputFiles", json!({ "nodeId": field, "files": [file] }));
    }

    /// What the page looks like, as PNG; `scheme` is light or dark.
    pub(crate) fn picture(&mut self, scheme: &str) -> Vec<u8> {
        let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": feature }));
        let picture = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let mut message = json!({ "id": self.sent, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(message.to_string())).unwrap();
        loop {
            // Events come in between.
            let Message::Text(text) = self.socket.read().unwrap() else { continue };
            let mut answer: Value = serde_json::from_str(&text).unwrap();
            if answer["id"] == json!(self.sent) {
                return answer["result"].take();
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its children end with it only when it is told to close.
        let close = json!({ "id": 0, "method": "Browser.close" });
        let _ = self.socket.send(Message::text(close.to_string()));
        let begun = Instant::now();
        while self.process.is_running() && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
