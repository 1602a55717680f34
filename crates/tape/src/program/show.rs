//! A program as text, and in numbers.

use std::fmt;

use super::Program;
use super::body::{Code, Operand, Source};
use crate::Real;
use crate::external::Work;

/// What a program consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgramStats {
    /// The numbers that it takes.
    pub inputs: usize,
    /// The numbers that it makes.
    pub outputs: usize,
    /// The operations.
    pub instructions: usize,
    /// The different constants.
    pub constants: usize,
    /// The comparisons that every run checks.
    pub conditions: usize,
    /// The bytes of machine code that runs so far have made: none before the first run, or where there is no machine
    /// code; see [`Program::in_machine_code`].
    pub machine_code: usize,
}

impl<E: Real> Program<E> {
    /// What it consists of.
    pub fn stats(&self) -> ProgramStats {
        let body = self.body();
        ProgramStats {
            inputs: body.inputs,
            outputs: body.outputs.len(),
            instructions: body.instructions.len(),
            constants: body.constants.len(),
            conditions: body.conditions.len(),
            machine_code: self.machine_code(),
        }
    }
}

/// One instruction a line; inputs are `x0`, `x1`, ..., values `%0`, `%1`, ....
///
/// ```
/// use tape::Program;
///
/// let p = Program::record(2, |x| x[0] * x[1] + 1.0)?;
/// assert_eq!(p.to_string(), "program of 2 inputs\n%0 = mul x0 x1\n%1 = add %0 1\nreturn %1\n");
/// # Ok::<(), tape::ProgramError>(())
/// ```
impl<E: Real> fmt::Display for Program<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.body();
        let operand = |o: Operand| match o.source() {
            Source::Value(v) => format!("%{v}"),
            Source::Input(k) => format!("x{k}"),
            Source::Constant(k) => body.constants[k as usize].to_string(),
        };
        writeln!(f, "program of {} inputs", body.inputs)?;
        for (i, instruction) in body.instructions.iter().enumerate() {
            write!(f, "%{i} = ")?;
            match instruction.code {
                Code::Primitive(primitive, _) => write!(f, "{}", primitive.name())?,
                Code::Rule(k) => write!(f, "{}", body.rules[k as usize].name())?,
                Code::Result(number) => {
                    let (call, output) = body.result(number);
                    let action = &body.calls[call].action;
                    let work = match action.work {
                        Work::Value => "",
                        Work::Vjp => "vjp of ",
                        Work::Jvp => "jvp of ",
                    };
                    write!(f, "{work}{}[{output}]", action.function.name())?;
                }
            }
            for &o in body.operands(instruction) {
                write!(f, " {}", operand(o))?;
            }
            if let Code::Primitive(crate::primitive::Primitive::Powi, n) = instruction.code {
                write!(f, " {n}")?;
            }
            writeln!(f)?;
        }
        for condition in &body.conditions {
            let held = u8::from(condition.held);
            writeln!(f, "check {} is {held} ({})", operand(condition.operand), condition.location)?;
        }
        write!(f, "return")?;
        for &output in &body.outputs {
            write!(f, " {}", operand(output))?;
        }
        writeln!(f)
    }
}

impl<E: Real> fmt::Debug for Program<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.stats(), f)
    }
}
