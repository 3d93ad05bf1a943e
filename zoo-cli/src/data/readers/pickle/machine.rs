//! The stack machine: its steps put values on a stack, collect them, and set them aside to be used again.

use std::{collections::HashMap, io::Read};

use super::{Fault, Id, Pickle, Value, damaged, not_built, stream::Stream, text};
use crate::data::readers::numpy::SAVE;

mod build;

pub(super) use build::Global;

/// The most steps of the stack machine; the training part of CIFAR-100 takes about 300,000.
const MAX_STEPS: u64 = 4 << 20;

/// The stack machine whose program a pickle is.
pub(super) struct Machine<'a> {
    stream: Stream<'a>,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// The heights of the stack at which a group began.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    /// Bytes that were encoded from text.
    encoded: u64,
}

impl<'a> Machine<'a> {
    pub(super) fn new(reader: &'a mut dyn Read) -> Self {
        Self {
            stream: Stream::new(reader),
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            encoded: 0,
        }
    }

    pub(super) fn run(mut self) -> Result<Pickle, Fault> {
        for _ in 0..MAX_STEPS {
            let [step] = self.stream.fixed()?;
            if step == b'.' {
                let root = self.pop()?;
                return Ok(Pickle {
                    values: self.values,
                    root,
                });
            }
            self.step(step)?;
        }
        Err(Fault::Problem(format!(
            "it takes more than {MAX_STEPS} steps to read; save its arrays with {SAVE} and give that file"
        )))
    }

    fn step(&mut self, step: u8) -> Result<(), Fault> {
        match step {
            0x80 => match self.stream.fixed()? {
                [0..=5] => Ok(()),
                [newer] => Err(Fault::Problem(format!(
                    "it is of protocol {newer}, and 0 to 5 are read; save it again with protocol=5"
                ))),
            },
            // A frame only says how much to read ahead.
            0x95 => self.stream.fixed::<8>().map(drop),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => {
                // Where nothing stands above a mark, it is the mark that goes.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                    return Ok(());
                }
                self.pop().map(drop)
            }
            b'1' => self.group().map(drop),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
                Ok(())
            }
            b'N' => self.push(Value::Nothing),
            0x88 => self.push(Value::Truth(true)),
            0x89 => self.push(Value::Truth(false)),
            b'I' | b'J' | b'K' | b'M' | b'L' | 0x8a | 0x8b | b'F' | b'G' => self.number(step),
            b'S' | b'T' | b'U' | b'V' | b'X' | b'B' | b'C' | 0x8c..=0x8e | 0x96 => {
                self.string(step)
            }
            b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dictionary(Vec::new())),
            b')' => self.push(Value::Tuple(Vec::new())),
            b'l' | b't' | b'd' | 0x85..=0x87 | b'a' | b'e' | b's' | b'u' => self.collect(step),
            b'p' | b'q' | b'r' | 0x94 | b'g' | b'h' | b'j' => self.remember(step),
            b'c' => {
                let module = self.stream.text_line()?;
                let name = self.stream.text_line()?;
                self.global(&module, &name)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&self.values[module], &self.values[name]) {
                    (Value::Text(module), Value::Text(name)) => {
                        let (module, name) = (module.clone(), name.clone());
                        self.global(&module, &name)
                    }
                    _ => Err(damaged("a name in it is no text")),
                }
            }
            b'R' => self.reduce(),
            b'b' => self.build(),
            b'P' | b'Q' => Err(not_built("a reference to something outside of it")),
            b'i' | b'o' | 0x81 | 0x92 => Err(not_built("an object of a class")),
            0x82..=0x84 => Err(not_built("a registered object")),
            0x8f..=0x91 => Err(not_built("a set")),
            0x97 | 0x98 => Err(not_built("a buffer outside of it")),
            other => Err(damaged(&format!("it holds the unknown step {other:#04x}"))),
        }
    }

    fn push(&mut self, value: Value) -> Result<(), Fault> {
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    fn top(&self) -> Result<Id, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(&id) if self.stack.len() > floor => Ok(id),
            _ => Err(damaged("it takes a value where there is none")),
        }
    }

    fn pop(&mut self) -> Result<Id, Fault> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    /// The values above the last mark.
    fn group(&mut self) -> Result<Vec<Id>, Fault> {
        let mark = self.marks.pop();
        let mark = mark.ok_or_else(|| damaged("it ends a group that was not begun"))?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn number(&mut self, step: u8) -> Result<(), Fault> {
        let value = match step {
            b'K' => i64::from(u8::from_le_bytes(self.stream.fixed()?)),
            b'M' => i64::from(u16::from_le_bytes(self.stream.fixed()?)),
            b'J' => i64::from(i32::from_le_bytes(self.stream.fixed()?)),
            b'L' => self.stream.number_line()?,
            b'I' => {
                let line = self.stream.text_line()?;
                match line.as_str() {
                    "00" => return self.push(Value::Truth(false)),
                    "01" => return self.push(Value::Truth(true)),
                    digits => digits
                        .parse()
                        .map_err(|_| damaged("a number in it is none of 64 bits"))?,
                }
            }
            0x8a | 0x8b => {
                let count = match step {
                    0x8a => u32::from(u8::from_le_bytes(self.stream.fixed()?)),
                    _ => u32::from_le_bytes(self.stream.fixed()?),
                };
                if count > 8 {
                    return Err(not_built("a number of more than 64 bits"));
                }
                let bytes = self.stream.bytes(u64::from(count))?;
                let negative = bytes.last().is_some_and(|&last| last >= 0x80);
                let mut wide = [if negative { 0xff } else { 0 }; 8];
                wide[..bytes.len()].copy_from_slice(&bytes);
                i64::from_le_bytes(wide)
            }
            b'F' => {
                self.stream.line()?;
                return self.push(Value::Float);
            }
            _ => {
                self.stream.fixed::<8>()?;
                return self.push(Value::Float);
            }
        };
        self.push(Value::Integer(value))
    }

    fn string(&mut self, step: u8) -> Result<(), Fault> {
        match step {
            b'S' => {
                let line = self.stream.line()?;
                let bytes = text::quoted(&line).ok_or_else(|| damaged("a text in it is broken"))?;
                return self.push(Value::Bytes(bytes));
            }
            b'V' => {
                let line = self.stream.line()?;
                let text = text::unicode(&line).ok_or_else(|| damaged("a text in it is broken"))?;
                return self.push(Value::Text(text));
            }
            _ => {}
        }
        let count = match step {
            b'U' | b'C' | 0x8c => u64::from(u8::from_le_bytes(self.stream.fixed()?)),
            b'T' | b'X' | b'B' => u64::from(u32::from_le_bytes(self.stream.fixed()?)),
            _ => u64::from_le_bytes(self.stream.fixed()?),
        };
        let bytes = self.stream.bytes(count)?;
        if matches!(step, b'X' | 0x8c | 0x8d) {
            let text = String::from_utf8(bytes).map_err(|_| damaged("a text in it is broken"))?;
            return self.push(Value::Text(text));
        }
        self.push(Value::Bytes(bytes))
    }

    /// Builds and fills lists, tuples and dictionaries.
    fn collect(&mut self, step: u8) -> Result<(), Fault> {
        let items = match step {
            b'l' | b't' | b'd' | b'e' | b'u' => self.group()?,
            0x85 | b'a' => vec![self.pop()?],
            0x86 | b's' => {
                let second = self.pop()?;
                vec![self.pop()?, second]
            }
            _ => {
                let (third, second) = (self.pop()?, self.pop()?);
                vec![self.pop()?, second, third]
            }
        };
        match step {
            b'l' => return self.push(Value::List(items)),
            b't' | 0x85..=0x87 => return self.push(Value::Tuple(items)),
            b'd' => self.push(Value::Dictionary(Vec::new()))?,
            _ => {}
        }
        let target = self.top()?;
        match (&mut self.values[target], step) {
            (Value::List(list), b'a' | b'e') => list.extend(items),
            (Value::Dictionary(pairs), b'd' | b's' | b'u') => {
                let (whole, rest) = items.as_chunks::<2>();
                if !rest.is_empty() {
                    return Err(damaged("a dictionary in it has a key without a value"));
                }
                pairs.extend(whole.iter().map(|&[key, value]| (key, value)));
            }
            _ => return Err(damaged("it fills what is neither a list nor a dictionary")),
        }
        Ok(())
    }

    /// Puts a value aside, or takes one from there.
    fn remember(&mut self, step: u8) -> Result<(), Fault> {
        let key = match step {
            b'p' | b'g' => u64::try_from(self.stream.number_line()?).unwrap_or(u64::MAX),
            b'q' | b'h' => u64::from(u8::from_le_bytes(self.stream.fixed()?)),
            b'r' | b'j' => u64::from(u32::from_le_bytes(self.stream.fixed()?)),
            _ => self.memo.len() as u64,
        };
        if matches!(step, b'g' | b'h' | b'j') {
            let id = self.memo.get(&key).copied();
            self.stack
                .push(id.ok_or_else(|| damaged("it refers to a value that it lacks"))?);
            return Ok(());
        }
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }
}
