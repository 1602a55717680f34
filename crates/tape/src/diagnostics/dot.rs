//! A recording as a picture.

use std::fmt::{self, Write};

use super::listing::{label, operation, size};
use super::node::{self, Argument, Given};
use crate::engine::NodeId;
use crate::inner::Inner;
use crate::{Real, Tape};

impl<E: Real> Tape<E> {
    /// The recording as a graph in the DOT language of Graphviz: a box for each node, with the operation,
    /// the constants among its operands, the value of a number or the shape of a tensor, and the line, where
    /// that is kept; an edge from each operand to what was made of it.
    ///
    /// ```
    /// use tape::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([1.0, 2.0]);
    /// let y = (x * 2.0).sum();
    /// let dot = tape.to_dot();
    /// assert!(dot.starts_with("digraph tape {") && dot.contains("t0 -> t1;\n"));
    /// # let _ = y;
    /// ```
    pub fn to_dot(&self) -> String {
        let mut dot = String::new();
        write(&mut dot, self.inner()).expect("writing to a string does not fail");
        dot
    }
}

fn write<E: Real>(dot: &mut String, inner: &Inner<E>) -> fmt::Result {
    writeln!(dot, "digraph tape {{")?;
    writeln!(dot, "    node [shape=box, fontname=\"monospace\"];")?;
    let mut result = Ok(());
    node::for_each(inner, |id| {
        if result.is_ok() {
            result = box_and_edges(dot, inner, id);
        }
    });
    result?;
    writeln!(dot, "}}")
}

fn box_and_edges<E: Real>(dot: &mut String, inner: &Inner<E>, id: NodeId) -> fmt::Result {
    let own = label(id);
    let arguments = node::arguments(inner, id);
    let mut text = format!("{own} = {}", operation(inner, id));
    for argument in &arguments {
        match argument {
            Argument::Node(_) => {}
            Argument::Constant(c) => write!(text, " {c}")?,
            Argument::Exponent(n) => write!(text, " {n}")?,
        }
    }
    write!(text, "\n{}", size(inner, id))?;
    if let Some(location) = node::location(inner, id) {
        write!(text, "\n{}:{}", location.file(), location.line())?;
    }
    let style = match node::given(inner, id) {
        Some(Given::Leaf) => ", style=filled",
        Some(Given::Constant) => ", style=dashed",
        None => "",
    };
    writeln!(dot, "    {own} [label=\"{}\"{style}];", escaped(&text))?;
    for argument in arguments {
        if let Argument::Node(operand) = argument {
            writeln!(dot, "    {} -> {own};", label(operand))?;
        }
    }
    Ok(())
}

/// A text within quotation marks: names of rules and of files are anybody's.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
