//! Sessions with the program: what an evaluator writes, and what it reads.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// The program, and both ends of the conversation with it.
struct Session {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Session {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradbench"));
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Session { child, input, output }
    }

    /// Sends a line and waits for the answer to it: were it not flushed, this would wait for ever.
    fn raw(&mut self, line: &[u8]) -> Value {
        let input = self.input.as_mut().unwrap();
        input.write_all(line).unwrap();
        input.write_all(b"\n").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        assert!(answer.ends_with('\n'), "an answer is a line, not {answer:?}");
        serde_json::from_str(&answer).unwrap()
    }

    fn send(&mut self, message: &Value) -> Value {
        self.raw(message.to_string().as_bytes())
    }

    fn evaluate(&mut self, module: &str, function: &str, input: Value) -> Value {
        let mut message = json!({
            "id": 9, "kind": "evaluate", "module": module, "function": function,
        });
        message["input"] = input;
        self.send(&message)
    }

    /// The output of a function that is to succeed.
    #[track_caller]
    fn output(&mut self, module: &str, function: &str, mut input: Value) -> Value {
        if let Some(fields) = input.as_object_mut() {
            fields.insert("min_runs".to_owned(), json!(2));
            fields.insert("min_seconds".to_owned(), json!(0));
        }
        let answer = self.evaluate(module, function, input);
        assert_eq!(answer["success"], true, "{answer}");
        let timings = answer["timings"].as_array().unwrap();
        assert_eq!(timings[0]["name"], "prepare");
        assert_eq!(timings[1]["name"], "evaluate");
        assert_eq!(timings.len(), if module == "hello" { 2 } else { 3 });
        assert!(timings.iter().all(|timing| timing["nanoseconds"].is_u64()));
        answer["output"].clone()
    }

    /// The text of the error that is the answer.
    #[track_caller]
    fn error(&mut self, module: &str, function: &str, input: Value) -> String {
        let answer = self.evaluate(module, function, input);
        assert_eq!(answer["id"], 9);
        failure(&answer)
    }

    /// Ends the session; the program should have nothing more to say, and nothing to complain of.
    fn end(mut self) {
        drop(self.input.take());
        let mut rest = String::new();
        self.output.read_line(&mut rest).unwrap();
        assert_eq!(rest, "");
        assert!(self.child.wait().unwrap().success());
    }
}

#[track_caller]
fn failure(answer: &Value) -> String {
    assert_eq!(answer["success"], false, "{answer}");
    let fields = answer.as_object().unwrap();
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["error", "id", "success"]);
    answer["error"].as_str().unwrap().to_owned()
}

#[test]
fn a_session_as_the_evaluator_has_it() {
    let mut tool = Session::start(&[]);
    let started = tool.send(&json!({"id": 0, "kind": "start", "eval": "hello"}));
    assert_eq!(started, json!({"id": 0, "tool": "wengert"}));
    let defined = tool.send(&json!({"id": 1, "kind": "define", "module": "hello"}));
    assert_eq!(defined, json!({"id": 1, "success": true}));
    let unknown = tool.send(&json!({"id": 2, "kind": "define", "module": "saddle"}));
    assert_eq!(unknown, json!({"id": 2, "success": false}));
    let squared = tool.evaluate("hello", "square", json!(1.5));
    assert_eq!((&squared["id"], &squared["output"]), (&json!(9), &json!(2.25)));
    assert_eq!(squared["timings"].as_array().unwrap().len(), 2);
    assert_eq!(tool.output("hello", "double", json!(1.5)), 3.0);
    // An integer is a number as well, and an id is echoed whatever it is.
    assert_eq!(tool.output("hello", "double", json!(7)), 14.0);
    let analysed = tool.send(&json!({"id": "x", "kind": "analysis", "of": 2, "valid": true}));
    assert_eq!(analysed, json!({"id": "x"}));
    assert_eq!(tool.send(&json!({"id": 4, "kind": "of the future"})), json!({"id": 4}));
    tool.end();
}

#[test]
fn all_modules_are_defined_and_have_both_functions() {
    let matrix = json!([[0.1, 0.2], [0.3, 0.5]]);
    let gmm = json!({
        "d": 2, "k": 1, "n": 2, "m": 0, "gamma": 1.0, "x": matrix, "alpha": [0.3],
        "mu": [[0.1, 0.2]], "q": [[0.4, -0.1]], "l": [[0.7]],
    });
    let ba = json!({
        "n": 2, "m": 3, "p": 5, "x": [-0.6, 0.5, -1.0], "w": 0.5, "feat": [3.0, 2.5],
        "cam": [0.02, -0.12, 0.25, 0.8, -0.3, 6.0, 4.0, 3.2, 2.4, -0.1, 0.01],
    });
    let lstm = json!({
        "main_params": [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]],
        "extra_params": [[0.1], [0.2], [0.3]], "state": [[0.4], [0.5]],
        "sequence": [[1.0], [0.0], [1.0]],
    });
    let kmeans = json!({"points": [[0.0], [1.0], [5.0]], "centroids": [[1.0], [4.0]]});
    let llsq = json!({"x": [2.0, 3.0], "n": 3});
    let lse = json!({"x": [0.0, 0.0]});
    let ode = json!({"x": [3.0, 5.0], "s": 1});
    for flags in [&[][..], &["--rerecord"]] {
        let mut tool = Session::start(flags);
        for module in ["hello", "gmm", "ba", "lstm", "kmeans", "llsq", "lse", "ode"] {
            let defined = tool.send(&json!({"id": 1, "kind": "define", "module": module}));
            assert_eq!(defined["success"], true, "{module}");
        }
        assert!(tool.output("gmm", "objective", gmm.clone()).is_f64());
        let jacobian = tool.output("gmm", "jacobian", gmm.clone());
        let keys: Vec<_> = jacobian.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["alpha", "l", "mu", "q"]);
        assert_eq!(jacobian["alpha"].as_array().unwrap().len(), 1);
        assert_eq!(jacobian["mu"][0].as_array().unwrap().len(), 2);
        assert_eq!(jacobian["l"][0].as_array().unwrap().len(), 1);

        let errors = tool.output("ba", "objective", ba.clone());
        assert_eq!(errors["reproj_error"]["elements"].as_array().unwrap().len(), 2);
        assert_eq!(errors["reproj_error"]["repeated"], 5);
        assert_eq!(errors["w_err"], json!({"element": 0.75, "repeated": 5}));
        let jacobian = tool.output("ba", "jacobian", ba.clone());
        let integers = |key: &str| -> Vec<u64> {
            jacobian[key].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect()
        };
        let row: Vec<u64> = (0..11).chain([22, 23, 24, 31]).collect();
        let columns = [&row[..], &row, &[35]].concat();
        assert_eq!(integers("cols"), columns);
        // There are 16 rows and where they end: fewer than are asked for, so all are there.
        let rows = (0..=10).map(|row| 15 * row).chain(151..=155).chain([155]);
        assert_eq!(integers("rows"), rows.collect::<Vec<_>>());
        assert_eq!(jacobian["vals"].as_array().unwrap().len(), 31);
        assert_eq!(jacobian["vals"][30], -1.0);
        // A camera that is not turned takes the other branch: the depth is -1 - 6.
        let cam = [0.0, 0.0, 0.0, 0.8, -0.3, 6.0, 4.0, 3.2, 2.4, 0.0, 0.0];
        let jacobian = tool.output("ba", "jacobian", changed(&ba, &json!({"cam": cam})));
        let by_focal = jacobian["vals"][6].as_f64().unwrap();
        assert!((by_focal - 0.5 * (-1.4 / -7.0)).abs() < 1e-15, "{by_focal}");

        assert!(tool.output("lstm", "objective", lstm.clone()).is_f64());
        let gradient = tool.output("lstm", "jacobian", lstm.clone());
        assert_eq!(gradient.as_array().unwrap().len(), 11);
        assert_eq!(tool.output("kmeans", "cost", kmeans.clone()), 2.0);
        assert_eq!(tool.output("kmeans", "dir", kmeans.clone()), json!([[0.5], [-1.0]]));
        assert_eq!(tool.output("llsq", "primal", llsq.clone()), 10.0);
        assert_eq!(tool.output("llsq", "gradient", llsq.clone()), json!([6.0, 4.0]));
        let primal = tool.output("lse", "primal", lse.clone()).as_f64().unwrap();
        assert!((primal - 2.0_f64.ln()).abs() < 1e-15);
        assert_eq!(tool.output("lse", "gradient", lse.clone()), json!([0.5, 0.5]));
        assert_eq!(tool.output("ode", "primal", ode.clone()), json!([6.0, 30.0]));
        assert_eq!(tool.output("ode", "gradient", ode.clone()), json!([10.0, 6.0]));
        tool.end();
    }
}

#[test]
fn what_is_no_message_is_an_error_and_not_the_end() {
    let mut tool = Session::start(&[]);
    for line in [
        "{",
        "nonsense",
        "[1,2]",
        "17",
        "{\"kind\":\"start\"}",
        "{\"id\":1e400,\"kind\":\"start\"}",
    ] {
        let answer = tool.raw(line.as_bytes());
        failure(&answer);
        assert_eq!(answer["id"], Value::Null, "{line}");
    }
    failure(&tool.raw(b"{\"id\":1,\"kind\":\"\xff\"}"));
    failure(&tool.raw("[".repeat(100_000).as_bytes()));
    // The id is echoed where there is one.
    let nameless = tool.raw(b"{\"id\":5}");
    assert_eq!(nameless["id"], 5);
    assert!(failure(&nameless).contains("kind"));
    let wrong = tool.raw(b"{\"id\":6,\"kind\":3}");
    assert_eq!(wrong["id"], 6);
    failure(&wrong);
    // An empty line is no message at all: what is answered is the line after it.
    assert_eq!(tool.raw(b"\n  \n{\"id\":7,\"kind\":\"analysis\"}"), json!({"id": 7}));
    for message in [
        json!({"id": 9, "kind": "define"}),
        json!({"id": 9, "kind": "evaluate"}),
        json!({"id": 9, "kind": "evaluate", "module": "lse"}),
        json!({"id": 9, "kind": "evaluate", "module": "lse", "function": "primal"}),
        json!({"id": 9, "kind": "evaluate", "function": "primal", "input": {"x": [1.0]}}),
    ] {
        let answer = tool.send(&message);
        assert_eq!(answer["id"], 9);
        assert!(failure(&answer).contains("field"), "{answer}");
    }
    assert!(tool.error("saddle", "primal", json!({"x": [1.0]})).contains("saddle"));
    assert!(tool.error("lse", "jacobian", json!({"x": [1.0]})).contains("jacobian"));
    assert_eq!(tool.output("lse", "primal", json!({"x": [1.0]})), 1.0);
    tool.end();
}

/// `base` with `change` in place of its fields of the same names; `null` takes one out.
fn changed(base: &Value, change: &Value) -> Value {
    let mut input = base.clone();
    let fields = input.as_object_mut().unwrap();
    for (name, value) in change.as_object().unwrap() {
        fields.remove(name);
        if !value.is_null() {
            fields.insert(name.clone(), value.clone());
        }
    }
    input
}

#[test]
fn an_input_of_the_wrong_form_is_an_error() {
    let mut tool = Session::start(&[]);
    let gmm = json!({
        "d": 2, "k": 1, "n": 1, "m": 0, "gamma": 1.0, "x": [[0.5, 0.25]], "alpha": [0.3],
        "mu": [[0.1, 0.2]], "q": [[0.4, -0.1]], "l": [[0.7]], "min_seconds": 0,
    });
    let ba = json!({
        "n": 1, "m": 1, "p": 1, "x": [-0.6, 0.5, -1.0], "w": 0.5, "feat": [3.0, 2.5],
        "cam": [0.02, -0.12, 0.25, 0.8, -0.3, 6.0, 4.0, 3.2, 2.4, -0.1, 0.01], "min_seconds": 0,
    });
    let lstm = json!({
        "main_params": [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]],
        "extra_params": [[0.1], [0.2], [0.3]], "state": [[0.4], [0.5]],
        "sequence": [[1.0], [0.0]], "min_seconds": 0,
    });
    let kmeans = json!({"points": [[0.0], [1.0]], "centroids": [[0.4]], "min_seconds": 0});
    let llsq = json!({"x": [2.0, 3.0], "n": 3, "min_seconds": 0});
    let lse = json!({"x": [0.5, 0.25], "min_seconds": 0});
    let ode = json!({"x": [3.0, 5.0], "s": 1, "min_seconds": 0});
    let empty: [f64; 0] = [];
    let cases = [
        (
            "gmm",
            "objective",
            "jacobian",
            gmm,
            vec![
                json!({"d": null}),
                json!({"d": 0}),
                json!({"d": 3}),
                json!({"d": -1}),
                json!({"d": 1.5}),
                json!({"k": 0}),
                json!({"k": 2}),
                json!({"n": 0}),
                json!({"n": 2}),
                json!({"n": 4_000_000_000_u64, "x": [[0.5, 0.25]]}),
                json!({"x": empty}),
                json!({"x": [[0.5]]}),
                json!({"x": [0.5, 0.25]}),
                json!({"x": "0"}),
                json!({"alpha": empty}),
                json!({"mu": [[0.1, 0.2], [0.1]]}),
                json!({"mu": [[]]}),
                json!({"l": [[]]}),
                json!({"l": empty}),
                json!({"l": [[[0.7]]]}),
                json!({"q": [[0.4]]}),
                json!({"gamma": 0.0}),
                json!({"gamma": -1.0}),
                json!({"gamma": "x"}),
                json!({"m": -1}),
                json!({"d": u64::MAX, "k": u64::MAX}),
                json!({"min_runs": -1}),
                json!({"min_runs": "many"}),
                json!({"min_seconds": "long"}),
            ],
        ),
        (
            "ba",
            "objective",
            "jacobian",
            ba,
            vec![
                json!({"n": 0}),
                json!({"m": 0}),
                json!({"p": 0}),
                json!({"p": null}),
                json!({"cam": empty}),
                json!({"cam": [1.0, 2.0]}),
                json!({"x": [1.0]}),
                json!({"feat": [1.0]}),
                json!({"feat": null}),
                json!({"w": [1.0]}),
                json!({"p": u64::MAX}),
                json!({"n": u64::MAX}),
                json!({"m": 1_u64 << 40}),
            ],
        ),
        (
            "lstm",
            "objective",
            "jacobian",
            lstm,
            vec![
                json!({"main_params": empty}),
                json!({"main_params": [[0.1, 0.2, 0.3, 0.4]]}),
                json!({"main_params": [[0.1], [0.5]]}),
                json!({"main_params": [[], []]}),
                json!({"extra_params": [[0.1], [0.2]]}),
                json!({"extra_params": [[], [], []]}),
                json!({"state": empty}),
                json!({"state": [[0.4], [0.5], [0.6]]}),
                json!({"state": [[0.4, 0.5], [0.6, 0.7]]}),
                json!({"sequence": empty}),
                json!({"sequence": [[1.0]]}),
                json!({"sequence": [[1.0, 2.0], [0.5, 0.5]]}),
                json!({"sequence": null}),
            ],
        ),
        (
            "kmeans",
            "cost",
            "dir",
            kmeans,
            vec![
                json!({"points": empty}),
                json!({"centroids": empty}),
                json!({"points": [[], []]}),
                json!({"centroids": [[0.4, 0.5]]}),
                json!({"centroids": null}),
                json!({"points": [[0.0], [1.0, 2.0]]}),
            ],
        ),
        (
            "llsq",
            "primal",
            "gradient",
            llsq,
            vec![
                json!({"x": empty}),
                json!({"x": null}),
                json!({"n": 0}),
                json!({"n": 1}),
                json!({"n": -3}),
                json!({"n": null}),
            ],
        ),
        (
            "lse",
            "primal",
            "gradient",
            lse,
            vec![
                json!({"x": empty}),
                json!({"x": null}),
                json!({"x": [null]}),
                json!({"x": 1.0}),
                json!({"x": ["NaN"]}),
            ],
        ),
        (
            "ode",
            "primal",
            "gradient",
            ode,
            vec![json!({"x": empty}), json!({"s": null}), json!({"s": -1}), json!({"s": 0.5})],
        ),
    ];
    for (module, function, derivative, base, changes) in cases {
        for function in [function, derivative] {
            let right = tool.evaluate(module, function, base.clone());
            assert_eq!(right["success"], true, "{right}");
            for change in &changes {
                tool.error(module, function, changed(&base, change));
            }
            for input in [json!(null), json!(1.5), json!([]), json!("x"), json!({})] {
                tool.error(module, function, input);
            }
        }
    }
    tool.error("hello", "square", json!({"x": 1.0}));
    tool.error("hello", "double", json!([1.0]));
    tool.end();
}

#[test]
fn numbers_that_json_does_not_have_are_errors() {
    let mut tool = Session::start(&[]);
    let infinite =
        br#"{"id":9,"kind":"evaluate","module":"hello","function":"square","input":1e400}"#;
    failure(&tool.raw(infinite));
    let nan = br#"{"id":9,"kind":"evaluate","module":"hello","function":"square","input":NaN}"#;
    failure(&tool.raw(nan));
    assert!(tool.error("hello", "square", json!(1e300)).contains("not finite"));
    let far = json!({"x": [1e200, 1e200, 1e200], "s": 1, "min_seconds": 0});
    assert!(tool.error("ode", "primal", far.clone()).contains("not finite"));
    assert!(tool.error("ode", "gradient", far).contains("not finite"));
    // A point in the centre of the camera is seen nowhere: zero over zero.
    let unseen = json!({
        "n": 1, "m": 1, "p": 2, "x": [0.5, 0.25, 2.0], "w": 1.0, "feat": [3.0, 2.5],
        "cam": [0.1, 0.2, 0.3, 0.5, 0.25, 2.0, 4.0, 3.2, 2.4, -0.1, 0.01], "min_seconds": 0,
    });
    assert!(tool.error("ba", "objective", unseen.clone()).contains("not finite"));
    assert!(tool.error("ba", "jacobian", unseen).contains("not finite"));
    // A centroid to which no point is near has no direction: zero over zero.
    let far = json!({"points": [[0.0]], "centroids": [[0.0], [9.0]], "min_seconds": 0});
    assert!(tool.error("kmeans", "dir", far).contains("centroid 1"));
    tool.end();
}

#[test]
fn numbers_keep_all_their_digits() {
    let mut tool = Session::start(&[]);
    for x in [0.1, 1.0 / 3.0, 2.225_073_858_507_201e-308, 4.49423283715579e307, -0.0, 5e-324] {
        let line = format!(
            r#"{{"id":1,"kind":"evaluate","module":"hello","function":"double","input":{x:?}}}"#
        );
        let answer = tool.raw(line.as_bytes());
        assert_eq!(answer["output"].as_f64(), Some(2.0 * x), "{answer}");
    }
    tool.end();
}

#[test]
fn a_switch_that_is_not_there_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_gradbench")).arg("--fast").output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage"));
}
