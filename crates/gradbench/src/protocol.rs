//! The protocol of GradBench: one JSON object a line, from the evaluator and back.
//!
//! | message | answer |
//! |---|---|
//! | `{"id":0,"kind":"start","eval":"gmm"}` | `{"id":0,"tool":"wengert"}` |
//! | `{"id":1,"kind":"define","module":"gmm"}` | `{"id":1,"success":true}`; `false` if there is no such module |
//! | `{"id":2,"kind":"evaluate","module":"gmm","function":"jacobian","input":...}` | `{"id":2,"success":true,"output":...,"timings":[...]}` |
//! | any other kind | `{"id":3}` |
//!
//! Whatever cannot be answered, a line that is not JSON included, is answered by
//! `{"id":2,"success":false,"error":"..."}`; the id is `null` if there was none to read. JSON has no
//! infinity and no NaN: an input such as `1e400` and a result that is not finite are such errors.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::job::{Answer, Call};
use crate::{Error, Options, evals};

/// The name by which the tool introduces itself.
const NAME: &str = "wengert";

/// A message of the evaluator, with the fields of all kinds.
#[derive(Deserialize)]
struct Message {
    id: Value,
    kind: String,
    module: Option<String>,
    function: Option<String>,
    input: Option<Box<RawValue>>,
}

/// An answer, with the fields of all kinds.
#[derive(Default, Serialize)]
struct Reply {
    id: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success: Option<bool>,
    #[serde(flatten)]
    answer: Option<Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Answers all messages of `input` on `output`, which is flushed after every line. Empty lines are
/// passed over.
///
/// # Errors
/// If reading or writing fails; nothing that a message says is such an error.
pub fn serve(
    mut input: impl BufRead,
    mut output: impl Write,
    options: Options,
) -> Result<(), io::Error> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        serde_json::to_writer(&mut output, &answer(&line, options))?;
        output.write_all(b"\n")?;
        output.flush()?;
    }
}

fn answer(line: &[u8], options: Options) -> Reply {
    let message = match serde_json::from_slice::<Message>(line) {
        Ok(message) => message,
        Err(error) => return failure(id_of(line), &error.into()),
    };
    let id = message.id.clone();
    match message.kind.as_str() {
        "start" => Reply { id, tool: Some(NAME), ..Reply::default() },
        "define" => match required(message.module.as_deref(), "module") {
            Ok(module) => {
                let success = Some(evals::find(module).is_ok());
                Reply { id, success, ..Reply::default() }
            }
            Err(error) => failure(id, &error),
        },
        "evaluate" => match evaluate(&message, options) {
            Ok(answer) => {
                Reply { id, success: Some(true), answer: Some(answer), ..Reply::default() }
            }
            Err(error) => failure(id, &error),
        },
        _ => Reply { id, ..Reply::default() },
    }
}

fn evaluate(message: &Message, options: Options) -> Result<Answer, Error> {
    let module = evals::find(required(message.module.as_deref(), "module")?)?;
    let function = required(message.function.as_deref(), "function")?;
    let input = required(message.input.as_deref(), "input")?;
    (module.evaluate)(function, &Call { input, options })
}

fn required<T>(field: Option<T>, name: &str) -> Result<T, Error> {
    field.ok_or_else(|| Error::input(format!("the message has no field {name:?}")))
}

fn failure(id: Value, error: &Error) -> Reply {
    Reply { id, success: Some(false), error: Some(error.to_string()), ..Reply::default() }
}

/// The id of a message that is JSON and not of the form of a message; `null` if it has none.
fn id_of(line: &[u8]) -> Value {
    #[derive(Deserialize)]
    struct Identified {
        id: Value,
    }
    serde_json::from_slice::<Identified>(line).map_or(Value::Null, |message| message.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts what reaches the reader: lines that were flushed.
    #[derive(Default)]
    struct Pipe {
        waiting: Vec<u8>,
        flushes: Vec<Vec<u8>>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.waiting.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.flushes.push(std::mem::take(&mut self.waiting));
            Ok(())
        }
    }

    #[test]
    fn every_answer_is_a_line_and_is_flushed() {
        let input = b"{\"id\":0,\"kind\":\"start\"}\n\n{\n{\"id\":2,\"kind\":\"analysis\"}";
        let mut pipe = Pipe::default();
        serve(&input[..], &mut pipe, Options::default()).unwrap();
        assert_eq!(pipe.flushes.len(), 3);
        for line in &pipe.flushes {
            assert_eq!(line.iter().position(|&byte| byte == b'\n'), Some(line.len() - 1));
        }
        assert_eq!(pipe.flushes[0], b"{\"id\":0,\"tool\":\"wengert\"}\n");
        assert!(pipe.waiting.is_empty());
    }

    #[test]
    fn a_reader_that_has_gone_is_an_error() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let input = b"{\"id\":0,\"kind\":\"start\"}\n";
        let error = serve(&input[..], Gone, Options::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
