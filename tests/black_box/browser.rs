//! Debian's Chromium, driven over WebDriver: the requests that the tests of pages need, over the HTTP client that they have.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use reqwest::{Method, blocking::Client};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{DEADLINE, WITH_THE_TESTS, eventually};

const DRIVER: &str = "/usr/bin/chromedriver";
const CHROMIUM: &str = "/usr/bin/chromium";
/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Finds what a page of ours could break: its own policy.
const WATCH_POLICY: &str = "window.violations = []; \
     document.addEventListener('securitypolicyviolation', event => violations.push(`${event.violatedDirective} ${event.blockedURI}`));";

/// Keys without a character, as WebDriver writes them.
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const ESCAPE: &str = "\u{e00c}";
pub(crate) const TAB: &str = "\u{e004}";

/// One at a time: a browser has use for all of a small machine.
static ONE: Mutex<()> = Mutex::new(());

/// A browser with one window; closed when dropped.
pub(crate) struct Browser {
    driver: Child,
    client: Client,
    /// The URL of the WebDriver session.
    session: String,
    folder: TempDir,
    _one: MutexGuard<'static, ()>,
}

impl Browser {
    /// A browser, where Chromium and its driver are installed; else says that the test is left out.
    pub(crate) fn start() -> Option<Self> {
        if ![DRIVER, CHROMIUM].iter().all(|program| Path::new(program).exists()) {
            // Past the test runner, which would keep it to itself.
            let printed = format!("left out: there is no {DRIVER}; apt-get install chromium chromium-driver");
            let _nobody_reads = writeln!(std::io::stderr(), "{printed}");
            return None;
        }
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = TempDir::new().unwrap();
        let mut driver = Command::new("sh")
            .args(["-c", WITH_THE_TESTS, DRIVER, "--port=0", "--allowed-ips=127.0.0.1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines
            .find_map(|line| Some(line.split_once("successfully on port ")?.1.trim_end_matches('.').to_owned()))
            .unwrap();
        // What it writes later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let client = Client::builder().timeout(DEADLINE).no_proxy().build().unwrap();
        let options = json!({
            "binary": CHROMIUM,
            "args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900",
                format!("--user-data-dir={}", folder.path().join("profile").display())],
            "prefs": {"download.default_directory": folder.path()},
        });
        let wanted = json!({"alwaysMatch": {"goog:loggingPrefs": {"browser": "ALL"}, "goog:chromeOptions": options}});
        let begun = call(
            &client,
            &Method::POST,
            &format!("http://127.0.0.1:{port}/session"),
            Some(&json!({"capabilities": wanted})),
        );
        let session = format!("http://127.0.0.1:{port}/session/{}", begun["sessionId"].as_str().unwrap());
        let browser = Self { driver, client, session, folder, _one: one };
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({"source": WATCH_POLICY}));
        Some(browser)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        call(&self.client, &Method::POST, &format!("{}/{path}", self.session), Some(body))
    }

    /// A command of Chromium's developer tools.
    pub(crate) fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// Opens a page, and waits until it is loaded.
    pub(crate) fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    /// The value of a JavaScript expression; `arguments` are what it calls `arguments`. A promise is waited for.
    pub(crate) fn value(&self, expression: &str, arguments: &[Value]) -> Value {
        self.post("execute/sync", &json!({"script": format!("return {expression}"), "args": arguments}))
    }

    /// Runs a script that comes from a file.
    pub(crate) fn run(&self, script: &str) {
        self.post("execute/sync", &json!({"script": script, "args": []}));
    }

    /// Waits until the expression is `wanted`.
    pub(crate) fn wait_until(&self, expression: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(expression, || Some(self.value(expression, &[])).filter(&wanted))
    }

    /// Waits until an element is there; its name for other calls.
    fn find(&self, css: &str) -> String {
        let look = json!({"using": "css selector", "value": css});
        let found = eventually(css, || self.post("elements", &look).as_array()?.first().cloned());
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// Clicks as a mouse does: what something else covers can't be clicked.
    pub(crate) fn click(&self, css: &str) {
        self.post(&format!("element/{}/click", self.find(css)), &json!({}));
    }

    /// Presses keys in a field; what was in it stays before them.
    pub(crate) fn type_into(&self, css: &str, keys: &str) {
        self.post(&format!("element/{}/value", self.find(css)), &json!({ "text": keys }));
    }

    /// Presses keys where the focus is.
    pub(crate) fn press(&self, keys: &str) {
        let pressed = keys.chars().flat_map(|key| {
            [json!({"type": "keyDown", "value": key.to_string()}), json!({"type": "keyUp", "value": key.to_string()})]
        });
        let actions: Vec<Value> = pressed.collect();
        self.post("actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}));
    }

    /// What an element shows, hidden parts left out.
    pub(crate) fn text(&self, css: &str) -> String {
        let shown = self.value("document.querySelector(arguments[0])?.innerText ?? null", &[json!(css)]);
        shown.as_str().unwrap().to_owned()
    }

    /// Waits until an element shows this text, among others.
    pub(crate) fn wait_for_text(&self, css: &str, text: &str) {
        eventually(&format!("{css} shows {text:?}"), || {
            let shown = self.value("document.querySelector(arguments[0])?.innerText ?? ''", &[json!(css)]);
            shown.as_str()?.contains(text).then_some(())
        });
    }

    /// The window is that wide, in CSS pixels, and the system wants this colour scheme: `light` or `dark`.
    pub(crate) fn look(&self, width: u32, scheme: &str) {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// How many pixels of the page are beyond its right edge.
    pub(crate) fn overflow(&self) -> i64 {
        let beyond = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        self.value(beyond, &[]).as_i64().unwrap()
    }

    /// The rules of accessibility that the page breaks, and where, as axe-core finds them; `axe` is its script.
    pub(crate) fn broken_rules(&self, axe: &str) -> Vec<String> {
        self.run(axe);
        let wanted = json!({"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]});
        let found = self.value("axe.run(arguments[0]).then(result => result.violations)", &[wanted]);
        let rules = found.as_array().unwrap().iter();
        rules.map(|rule| format!("{}: {}", rule["id"], rule["nodes"])).collect()
    }

    /// What the page logged, and what its policy stopped: nothing, if all is well.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let logged = self.post("se/log", &json!({"type": "browser"}));
        let logged = logged.as_array().into_iter().flatten().map(|line| line["message"].to_string());
        let stopped = self.value("window.violations", &[]);
        logged.chain(stopped.as_array().unwrap().iter().map(ToString::to_string)).collect()
    }

    /// Waits for a download, and reads it.
    pub(crate) fn downloaded(&self, file: &str) -> String {
        let path: PathBuf = self.folder.path().join(file);
        eventually(&format!("{file} is downloaded"), || fs::read_to_string(&path).ok().filter(|text| !text.is_empty()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _already_gone = self.client.delete(&self.session).send();
        drop(self.driver.stdin.take());
        let _status = self.driver.wait();
    }
}

/// A request to the driver, and the value that it answers.
fn call(client: &Client, method: &Method, url: &str, body: Option<&Value>) -> Value {
    let request = client.request(method.clone(), url);
    let request = if let Some(body) = body { request.json(body) } else { request };
    let answer: Value = request.send().unwrap().json().unwrap();
    let error = &answer["value"]["error"];
    assert!(error.is_null(), "{url}: {error}: {}", answer["value"]["message"]);
    answer["value"].clone()
}
