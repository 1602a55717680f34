//! The recording as a page for a browser: whole and escaped, and alive where there is a browser.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use wengert::prelude::*;

/// The doubled argument, by a name that a page has to escape.
struct Double;

impl Unary for Double {
    const NAME: &'static str = "</template><script>\"&'";
    fn value<T: Elementary>(&self, x: T) -> T {
        x + x
    }
    fn partial<T: Elementary>(&self, _x: T, _y: T) -> T {
        T::lit(2.0)
    }
}

/// A layer, its loss and the gradients by all of it.
fn network() -> (Tape, String) {
    let tape = Tape::new().with_locations();
    let x = tape.constant(Tensor::linspace(-1.0, 2.0, 60).reshape([20, 3]));
    let w = tape.tensor([[0.5, -0.25], [1.0, 0.75], [-0.5, 0.125]]);
    let b = tape.tensor([0.1, -0.2]);
    let hidden = (x.matmul(w) + b).tanh();
    hidden.value();
    let rate = tape.var(0.01);
    let mut decay = rate;
    for _ in 0..3 {
        decay = decay * 0.5 + rate.powi(2);
    }
    let loss = hidden.square().mean() + w.square().sum() * decay.apply(Double);
    let g = loss.backward().unwrap();
    let page = tape.to_html_with(|v| g.get(v), |t| g.get(t));
    (tape, page)
}

/// The names of the elements of a page, in their order.
///
/// # Panics
/// If an element is not closed where it should be, or an angle bracket stands for itself.
fn elements(page: &str) -> Vec<String> {
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("it says what it is");
    let (mut open, mut all) = (Vec::<String>::new(), Vec::new());
    while let Some(at) = rest.find(['<', '>']) {
        rest = rest[at..].strip_prefix('<').expect("a bracket that opens");
        let end = rest.find(['<', '>']).expect("a tag ends");
        let (tag, after) = rest.split_at(end);
        rest = after.strip_prefix('>').expect("a tag ends before the next one");
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes in {tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "what is closed");
            continue;
        }
        let name = tag.split_whitespace().next().expect("an element has a name").to_owned();
        all.push(name.clone());
        if ["script", "style"].contains(&&*name) {
            let (_, after) = rest.split_once(&format!("</{name}>")).expect("it is closed");
            rest = after;
        } else if !["meta", "input"].contains(&&*name) {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<String>::new());
    all
}

#[test]
fn a_page_is_whole() {
    let (tape, page) = network();
    let all = elements(&page);
    let count = |name: &str| all.iter().filter(|&element| element == name).count();
    let nodes = tape.scalar_nodes() + tape.tensor_nodes();
    assert_eq!((count("li"), count("template")), (nodes, nodes));
    assert_eq!((count("script"), count("style"), count("link"), count("img")), (1, 1, 0, 0));
    assert!(!page.contains("http://") || page.matches("http://").count() == 1, "the name of SVG");
    assert!(!page.contains("https://") && !page.contains("@import") && !page.contains("url("));
    assert!(page.contains("&lt;/template&gt;&lt;script&gt;&quot;&amp;&#39;"));
    // Every link leads to a node.
    for link in page.split("<a href=\"#").skip(1) {
        let id = link.split('"').next().unwrap();
        assert_eq!(page.matches(&format!("<li id=\"{id}\"")).count(), 1, "{id}");
    }
    // The loop is one group, as it is one line.
    let line = page.lines().find(|l| l.contains("tests/html.rs") && l.contains("summary")).unwrap();
    assert!(line.starts_with("<summary><code>"), "{line}");
    assert!(page.contains("<span class=\"count\">9 nodes</span>"));
    assert!(page.contains("<dt>gradient</dt>") && page.contains("[0.1, -0.2]"));
    // That by a number: by the rate, of its polynomial `r / 8 + 7 r^2 / 4`, doubled, times the sum of the squares.
    let rate = page.split("<template>").find(|part| part.contains("<h2>s0 = leaf")).unwrap();
    let shown = rate.split("<dt>gradient</dt><dd><pre>").nth(1).unwrap().split('<').next().unwrap();
    let slope = 2.0 * (0.125 + 3.5 * 0.01) * 2.140625;
    assert!((shown.parse::<f64>().unwrap() - slope).abs() < 1e-14, "{shown}, and not {slope}");
    assert!(page.contains("min  -1\nmean 0.5\nmax  2\n[-1, "));
    assert!(!page.contains("left-out") && page.contains("not computed yet"));
    elements(&Tape::new().to_html());
    elements(&Tape::<f32>::default().to_html());
}

#[test]
fn a_page_of_a_long_recording_is_cut() {
    let tape = Tape::new();
    let mut x = tape.var(1.0);
    for _ in 0..5000 {
        x *= 1.001;
    }
    let page = tape.to_html();
    assert_eq!(elements(&page).iter().filter(|&element| element == "li").count(), 2000);
    assert!(page.contains("3001 of 5001 nodes are left out"));
    assert!(page.contains("<li id=\"s999\"") && !page.contains("<li id=\"s1000\""));
    assert!(page.contains("<li id=\"s4001\"") && !page.contains("<a href=\"#s4000\""));
    assert!(page.contains("title=\"left out\">s4000</span>"));
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let (process, k) = (std::process::id(), FOLDERS.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(format!("wengert-page-{process}-{k}"));
        std::fs::create_dir_all(&path).expect("there is a place for files");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a browser makes of the page when it is opened at a node; `None` where there is no browser, or it does not
/// run.
fn in_a_browser(page: &str, node: &str) -> Option<String> {
    let folder = Folder::new();
    let (file, output) = (folder.0.join("page.html"), folder.0.join("dom.html"));
    std::fs::write(&file, page).expect("it can be written");
    let out = std::fs::File::create(&output).expect("it can be written");
    let mut browser = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", folder.0.join("profile").display()))
        .args(["--dump-dom", &format!("file://{}#{node}", file.display())])
        .stdout(out)
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let begin = Instant::now();
    loop {
        match browser.try_wait() {
            Ok(Some(status)) if status.success() => break,
            Ok(None) if begin.elapsed() < Duration::from_secs(60) => {
                std::thread::sleep(Duration::from_millis(50));
            }
            _ => {
                let _ = browser.kill();
                let _ = browser.wait();
                return None;
            }
        }
    }
    std::fs::read_to_string(output).ok()
}

#[test]
fn a_page_lives_in_a_browser() {
    let (tape, page) = network();
    let nodes = tape.scalar_nodes() + tape.tensor_nodes();
    // The bias: the third tensor.
    let Some(dom) = in_a_browser(&page, "t2") else {
        return eprintln!("there is no browser that runs; the page was checked as a text alone");
    };
    assert!(dom.contains(&format!("data-nodes=\"{nodes}\"")), "the script has not run:\n{dom}");
    let panel = dom.split("id=\"panel\"").nth(1).expect("the panel is there");
    let panel = panel.split("</aside>").next().unwrap();
    for part in ["t2 = leaf", "[0.1, -0.2]", "gradient", "used by", "<a href=\"#t4\">t4</a>"] {
        assert!(panel.contains(part), "{part:?} is not in {panel}");
    }
    assert!(dom.contains("class=\"to-user\""), "no link is drawn");
    let user = dom.split("<li id=\"t4\"").nth(1).expect("the sum is there");
    assert!(user.split('>').next().unwrap().contains("user"), "who uses it is not marked");
}

/// What a user does, and what the page shows then.
const VISIT: &str = r##"<script>
const at = (id) => document.getElementById(id);
const hover = (id) => at(id).dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
const title = () => document.querySelector("#panel h2")?.textContent ?? "nothing";
const seen = [];
hover("t4");
seen.push(title());
at("close").click();
seen.push(document.querySelectorAll("details[open]").length);
document.querySelector("#t4 .args a").click();
seen.push(title(), at("t3").closest("details").open);
hover("t1");
seen.push(title());
document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
seen.push(title());
hover("t1");
seen.push(title());
at("search").value = "POWI";
at("search").dispatchEvent(new Event("input"));
seen.push(document.querySelectorAll("li:not(.hidden)").length);
document.body.dataset.seen = seen.join(", ");
</script>
</body>"##;

#[test]
fn a_page_answers_its_user() {
    let (_tape, page) = network();
    let page = page.replace("</body>", VISIT);
    let Some(dom) = in_a_browser(&page, "") else {
        return eprintln!("there is no browser that runs");
    };
    let seen = dom.split("data-seen=\"").nth(1).expect("the visit has ended").split('"').next();
    let expected = "t4 = add, 0, t3 = matmul, true, t3 = matmul, nothing, t1 = leaf, 3";
    assert_eq!(seen, Some(expected));
}
