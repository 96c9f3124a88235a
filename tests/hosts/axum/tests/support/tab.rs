//! One window of the browser, with what a person in front of it sees and does.

use serde_json::{Value, json};
use thirtyfour::WindowHandle;
use thirtyfour::error::WebDriverError;
use thirtyfour::prelude::*;

use super::{same, within_patience};

/// A window that shows a page of the host.
pub struct Tab {
    driver: WebDriver,
    window: WindowHandle,
}

impl Tab {
    pub fn new(driver: WebDriver, window: WindowHandle) -> Self {
        Self { driver, window }
    }

    /// Waits until `#status` is exactly this.
    pub async fn status(&self, expected: &str) {
        self.shows("#status", expected).await;
    }

    /// Waits until an element has exactly this text.
    pub async fn shows(&self, selector: &str, expected: &str) {
        let what = format!("{selector} shows {expected:?}");
        self.until(&what, async || same(&self.content(selector).await, expected)).await;
    }

    /// Waits until the text of an element passes a test.
    pub async fn shows_that(&self, selector: &str, what: &str, test: impl Fn(&str) -> bool) {
        let what = format!("{selector} shows {what}");
        self.until(&what, async || {
            let seen = self.content(selector).await;
            if test(&seen) { Ok(()) } else { Err(format!("{seen:?}")) }
        })
        .await;
    }

    /// Waits until the editor holds exactly this text.
    pub async fn text(&self, expected: &str) {
        self.until(&format!("the text is {expected:?}"), async || same(&self.typed().await, expected)).await;
    }

    /// Waits until these users are listed with their access, in any order.
    pub async fn people(&self, expected: &[(&str, &str)]) {
        let script = "return [...document.querySelectorAll('#people li')].map(\
                      (li) => [li.dataset.user, li.dataset.access]).sort()";
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        self.until(&format!("the people are {expected:?}"), async || {
            same(&self.run(script).await, &json!(expected))
        })
        .await;
    }

    /// What the editor holds now.
    pub async fn typed(&self) -> String {
        self.words("return document.getElementById('text').value", &[]).await
    }

    /// The text of an element now; nothing if it is not there.
    pub async fn content(&self, selector: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.textContent.trim() ?? ''";
        self.words(script, &[json!(selector)]).await
    }

    /// Presses keys in the editor, after its text.
    pub async fn types(&self, keys: &str) {
        self.run("document.getElementById('text').setSelectionRange(1e9, 1e9)").await;
        self.element("#text").await.send_keys(keys).await.expect("the editor takes keys");
    }

    pub async fn clicks(&self, selector: &str) {
        self.click(selector, By::Css(selector)).await;
    }

    /// Clicks a button in the row of a table that is about one user.
    pub async fn clicks_in_row(&self, table: &str, user: &str, button: &str) {
        let path = format!("//table[@id='{table}']//tr[td='{user}']//button[.='{button}']");
        self.click(&path, By::XPath(&*path)).await;
    }

    /// Replaces what an input field holds.
    pub async fn fills(&self, selector: &str, keys: &str) {
        let field = self.element(selector).await;
        field.clear().await.expect("an input field");
        field.send_keys(keys).await.expect("an input field");
    }

    /// Types although the page does not want it, as a person with the developer tools can.
    pub async fn types_despite_the_page(&self, keys: &str) {
        let script = "const text = document.getElementById('text'); text.readOnly = false; \
                      text.value += arguments[0]; text.dispatchEvent(new Event('input', { bubbles: true }))";
        self.run_with(script, &[json!(keys)]).await;
    }

    /// Types a dot every 20 ms, whenever the page takes it.
    pub async fn types_on_and_on(&self) {
        let script = "const text = document.getElementById('text'); window.typist = setInterval(() => { \
                      if (text.readOnly) return; text.value += '.'; \
                      text.dispatchEvent(new Event('input', { bubbles: true })) }, 20)";
        self.run(script).await;
    }

    pub async fn stops_typing(&self) {
        self.run("clearInterval(window.typist)").await;
    }

    /// Waits until the text begins so.
    pub async fn text_begins(&self, start: &str) {
        self.until(&format!("the text begins with {start:?}"), async || {
            let typed = self.typed().await;
            if typed.starts_with(start) { Ok(()) } else { Err(format!("{typed:?}")) }
        })
        .await;
    }

    /// Breaks the socket, and lets no new one reach the host.
    pub async fn loses_the_line(&self) {
        self.run("window.seen.offline = true; window.cutLine()").await;
    }

    pub async fn finds_the_line(&self) {
        self.run("window.seen.offline = false").await;
    }

    /// Resumes with the token of another tab, and waits until the host welcomes it.
    pub async fn resumes_with(&self, token: &Value) {
        let script = "const twin = window.twin = new WebSocket(`ws://${location.host}/ws`); \
                      twin.onopen = () => twin.send(JSON.stringify({ resume: { token: arguments[0], attempt: 1 } })); \
                      twin.onmessage = (event) => { window.welcome ??= JSON.parse(event.data).welcome?.access }";
        self.run_with(script, std::slice::from_ref(token)).await;
        let access = async || same(&self.run("return window.welcome").await, &json!("edit"));
        self.until("the twin is welcome to edit", access).await;
    }

    /// Runs a script in the page.
    pub async fn run(&self, script: &str) -> Value {
        self.run_with(script, &[]).await
    }

    pub async fn run_with(&self, script: &str, arguments: &[Value]) -> Value {
        self.look_at().await;
        let result = self.driver.execute(script, arguments).await;
        result.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
    }

    pub async fn reloads(&self) {
        self.look_at().await;
        self.driver.refresh().await.expect("the page loads");
    }

    /// Closes the window, as a person does.
    pub async fn closes(self) {
        self.look_at().await;
        self.driver.close_window().await.expect("the window closes");
    }

    /// What the window shows, as a PNG file of this size.
    pub async fn picture(&self, (width, height): (u32, u32)) -> Vec<u8> {
        self.look_at().await;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        let sized = self.driver.cdp().send_raw("Emulation.setDeviceMetricsOverride", size).await;
        sized.expect("the window takes a size");
        self.driver.screenshot_as_png().await.expect("a picture")
    }

    /// Waits until `look` returns `Ok`. Panics with what the whole page shows after the patience.
    async fn until(&self, what: &str, look: impl AsyncFnMut() -> Result<(), String>) {
        if let Err(seen) = within_patience(look).await {
            let page = self.words("return location.href + '\\n' + document.body.innerText", &[]).await;
            panic!("not in time: {what}, but {seen}, on the page {page}");
        }
    }

    /// Clicks an element as soon as it is there. The admin page draws its tables again and again.
    async fn click(&self, what: &str, by: By) {
        self.look_at().await;
        let click = async || self.driver.find(by.clone()).await?.click().await;
        self.until(&format!("{what} is clicked"), async || {
            click().await.map_err(|error: WebDriverError| error.to_string())
        })
        .await;
    }

    async fn element(&self, selector: &str) -> WebElement {
        self.look_at().await;
        self.driver.find(By::Css(selector)).await.unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    async fn words(&self, script: &str, arguments: &[Value]) -> String {
        self.run_with(script, arguments).await.as_str().unwrap_or_default().to_owned()
    }

    async fn look_at(&self) {
        self.driver.switch_to_window(self.window.clone()).await.expect("the window is there");
    }
}
