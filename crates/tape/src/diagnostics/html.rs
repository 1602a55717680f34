//! A recording as a page for a browser, which needs nothing but itself.

use std::collections::HashSet;
use std::fmt::{self, Write};
use std::panic::Location;

use super::listing::{label, operation, size};
use super::node::{self, Argument, Given};
use crate::engine::NodeId;
use crate::inner::{Inner, Kind};
use crate::{Real, Tape, Tensor, TensorVar, Var};

/// Of a larger recording, the page has so many nodes of the beginning, and as many of the end.
const HALF: usize = 1000;

/// Tensors of at most this many elements are shown in full.
const SMALL: usize = 24;

/// How many elements of a larger tensor are shown.
const FEW: usize = 6;

impl<E: Real> Tape<E> {
    /// The recording as a page for a browser, with nothing to load: nodes in groups by the lines that recorded them,
    /// with links to their operands. What a node is, with its shape and its value, is shown
    /// where the pointer is or the keyboard has gone. A larger tensor is shown as its smallest, mean and largest element
    /// and the first few.
    ///
    /// Of more than 2000 nodes, the page has the first and the last 1000, and says how many it lacks. Values that are
    /// not computed yet are not computed for it. Lines of numbers are known where the tape keeps them; see
    /// [`with_locations`](Tape::with_locations).
    ///
    /// ```
    /// use tape::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([1.0, 2.0]);
    /// let y = (x * 2.0).sum();
    /// let page = tape.to_html();
    /// assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<a href=\"#t0\">t0</a>"));
    /// # let _ = y;
    /// ```
    pub fn to_html(&self) -> String {
        self.to_html_with(|_| None, |_| None)
    }

    /// The recording as a page, as by [`to_html`](Tape::to_html), with the gradients by its numbers and tensors, as
    /// far as they are known: `tape.to_html_with(|v| g.get(v), |t| g.get(t))` for the gradients `g` of a backward
    /// pass.
    pub fn to_html_with(
        &self,
        by_number: impl Fn(Var<E>) -> Option<E>,
        by_tensor: impl Fn(TensorVar<E>) -> Option<Tensor<E>>,
    ) -> String {
        let inner = &**self.inner();
        let gradient = |id: NodeId| match id {
            NodeId::Scalar(index) => {
                let value = inner.scalars.node(index).1;
                let tag = inner.tag_of_scalar(index);
                by_number(Var { value, index, tag }).map(Tensor::scalar)
            }
            NodeId::Tensor(index) => {
                let tag = inner.tag_of_tensor(index);
                by_tensor(TensorVar { constant: E::ZERO, index, tag })
            }
        };
        let mut page = String::new();
        write(&mut page, inner, &gradient).expect("writing to a string does not fail");
        page
    }
}

/// The nodes of one line.
struct Group {
    location: Option<&'static Location<'static>>,
    nodes: Vec<NodeId>,
}

/// By the line, and not by the column, which tells the parts of one expression apart.
fn line(location: Option<&'static Location<'static>>) -> Option<(&'static str, u32)> {
    location.map(|l| (l.file(), l.line()))
}

/// The nodes that are shown, in groups in the order of their first nodes, and how many there are in all.
fn groups<E: Real>(inner: &Inner<E>) -> (Vec<Group>, usize) {
    let mut all = 0;
    node::for_each(inner, |_| all += 1);
    let mut groups: Vec<Group> = Vec::new();
    let mut k = 0;
    node::for_each(inner, |id| {
        if k < HALF || k + HALF >= all {
            let location = node::location(inner, id);
            match groups.iter_mut().find(|group| line(group.location) == line(location)) {
                Some(group) => group.nodes.push(id),
                None => groups.push(Group { location, nodes: vec![id] }),
            }
        }
        k += 1;
    });
    (groups, all)
}

fn write<E: Real>(
    page: &mut String,
    inner: &Inner<E>,
    gradient: &dyn Fn(NodeId) -> Option<Tensor<E>>,
) -> fmt::Result {
    let (groups, all) = groups(inner);
    let shown: HashSet<NodeId> = groups.iter().flat_map(|g| g.nodes.iter().copied()).collect();
    let (numbers, tensors) = (inner.scalars.len(), inner.tensors.borrow().nodes.len());
    writeln!(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
    writeln!(page, "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Tape</title>")?;
    writeln!(page, "<style>\n{}</style>\n</head>\n<body>", include_str!("html/page.css"))?;
    writeln!(page, "<header>\n<h1>Tape of {numbers} numbers and {tensors} tensors</h1>")?;
    if shown.len() < all {
        let left_out = all - shown.len();
        writeln!(
            page,
            "<p id=\"left-out\"><strong>{left_out} of {all} nodes are left out</strong>: those between the first and the last {HALF}.</p>"
        )?;
    }
    writeln!(page, "{TOOLS}</header>\n<div class=\"columns\">\n<main>\n<svg></svg>")?;
    for group in &groups {
        writeln!(page, "<details open>\n<summary>{}", title(group))?;
        let count = group.nodes.len();
        let nodes = if count == 1 { "node" } else { "nodes" };
        writeln!(page, "<span class=\"count\">{count} {nodes}</span></summary>\n<ol>")?;
        for &id in &group.nodes {
            entry(page, inner, id, &shown)?;
            detail(page, inner, id, gradient(id))?;
        }
        writeln!(page, "</ol>\n</details>")?;
    }
    writeln!(page, "</main>\n<aside id=\"panel\" aria-live=\"polite\">{HINT}</aside>\n</div>")?;
    writeln!(page, "<script>\n{}</script>\n</body>\n</html>", include_str!("html/page.js"))
}

const TOOLS: &str = "<p>Nodes by the lines that recorded them. Hover over one, or go to it by <kbd>Tab</kbd> and the arrows; \
a click holds it, <kbd>Esc</kbd> lets it go. Operands are green, and what was made of it is orange.</p>
<div class=\"tools\"><input id=\"search\" type=\"search\" placeholder=\"Operation or line\" aria-label=\"Search\">
<button id=\"open\" type=\"button\">Open all</button><button id=\"close\" type=\"button\">Close all</button></div>
";

const HINT: &str = "<p>What a node is, and its value, stands here.</p>";

fn title(group: &Group) -> String {
    match group.location {
        Some(l) => format!("<code>{}:{}</code>", escaped(l.file()), l.line()),
        None => "numbers (their lines are kept by with_locations)".to_owned(),
    }
}

/// The line of a node in its group.
fn entry<E: Real>(
    page: &mut String,
    inner: &Inner<E>,
    id: NodeId,
    shown: &HashSet<NodeId>,
) -> fmt::Result {
    let own = label(id);
    let lane = if matches!(id, NodeId::Scalar(_)) { "number" } else { "tensor" };
    let given = match node::given(inner, id) {
        Some(Given::Leaf) => " leaf",
        Some(Given::Constant) => " constant",
        None => "",
    };
    let pending = if value(inner, id).is_none() { " pending" } else { "" };
    write!(
        page,
        "<li id=\"{own}\" tabindex=\"0\" class=\"{lane}{given}{pending}\"><div class=\"row\">"
    )?;
    write!(page, "<span class=\"name\">{own}</span><span class=\"op\">{}</span>", name(inner, id))?;
    write!(page, "<span class=\"args\">")?;
    for argument in node::arguments(inner, id) {
        match argument {
            Argument::Node(id) if shown.contains(&id) => {
                let operand = label(id);
                write!(page, "<a href=\"#{operand}\">{operand}</a> ")?;
            }
            Argument::Node(id) => {
                write!(page, "<span class=\"missing\" title=\"left out\">{}</span> ", label(id))?;
            }
            Argument::Constant(c) => write!(page, "{c} ")?,
            Argument::Exponent(n) => write!(page, "{n} ")?,
        }
    }
    writeln!(page, "</span><span class=\"size\">{}</span></div>", escaped(&size(inner, id)))
}

/// What is shown of a node when it is looked at, and the end of its entry.
fn detail<E: Real>(
    page: &mut String,
    inner: &Inner<E>,
    id: NodeId,
    gradient: Option<Tensor<E>>,
) -> fmt::Result {
    writeln!(page, "<template><h2>{} = {}</h2>\n<dl>", label(id), name(inner, id))?;
    let shape = match id {
        NodeId::Scalar(_) => "a number".to_owned(),
        NodeId::Tensor(t) => inner.tensors.borrow().nodes[t as usize].shape.to_string(),
    };
    writeln!(page, "<dt>shape</dt><dd>{shape}</dd>")?;
    let text = value(inner, id).map_or("not computed yet".to_owned(), |value| described(&value));
    writeln!(page, "<dt>value</dt><dd><pre>{}</pre></dd>", escaped(&text))?;
    if let Some(gradient) = gradient {
        let text = escaped(&described(&gradient));
        writeln!(page, "<dt>gradient</dt><dd><pre>{text}</pre></dd>")?;
    }
    if let Some(location) = node::location(inner, id) {
        let line = escaped(&location.to_string());
        writeln!(page, "<dt>line</dt><dd><code>{line}</code></dd>")?;
    }
    writeln!(page, "</dl></template></li>")
}

fn name<E: Real>(inner: &Inner<E>, id: NodeId) -> String {
    escaped(&operation(inner, id))
}

/// The value of a node, if it is there.
fn value<E: Real>(inner: &Inner<E>, id: NodeId) -> Option<Tensor<E>> {
    match id {
        NodeId::Scalar(i) => Some(Tensor::scalar(inner.scalars.node(i).1)),
        NodeId::Tensor(t) => {
            let lane = inner.tensors.borrow();
            let node = &lane.nodes[t as usize];
            match node.kind {
                // A number as a tensor: its value is that of the number.
                Kind::Lift { scalar } => Some(Tensor::scalar(inner.scalars.node(scalar).1)),
                _ => node.value.clone(),
            }
        }
    }
}

/// A small tensor in full; of a large one the range, the mean and the first elements.
fn described<E: Real>(tensor: &Tensor<E>) -> String {
    if tensor.len() <= SMALL {
        return tensor.to_string();
    }
    let (mut low, mut high, mut sum, mut nan) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0);
    for x in tensor.iter().map(|x| x.to_f64()) {
        if x.is_nan() {
            nan += 1;
        }
        (low, high, sum) = (low.min(x), high.max(x), sum + x);
    }
    let mean = sum / tensor.len() as f64;
    let first: Vec<String> = tensor.iter().take(FEW).map(|x| short(x.to_f64())).collect();
    let mut text = format!("min  {}\nmean {}\nmax  {}\n", short(low), short(mean), short(high));
    if nan > 0 {
        let _ = writeln!(text, "{nan} of {} elements are NaN", tensor.len());
    }
    text + "[" + &first.join(", ") + ", ...]"
}

/// A number with six digits.
fn short(x: f64) -> String {
    let size = x.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) && x.is_finite() {
        return format!("{x:.5e}");
    }
    let text = format!("{x:.6}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A text that stands for itself on a page: names of rules and of files are anybody's.
fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => result.push_str("&amp;"),
            '<' => result.push_str("&lt;"),
            '>' => result.push_str("&gt;"),
            '"' => result.push_str("&quot;"),
            '\'' => result.push_str("&#39;"),
            c => result.push(c),
        }
    }
    result
}
