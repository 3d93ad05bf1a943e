//! The steps that would call a function or fill an object in Python: arrays and bytes are built, the rest is refused.

use super::Machine;
use crate::data::readers::{
    numpy::{Dtype, Layout},
    pickle::{Fault, Id, Value, damaged, not_built},
};

/// A name that is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data::readers::pickle) enum Global {
    /// `numpy.ndarray`.
    ArrayType,
    /// `numpy.dtype`.
    DtypeType,
    /// `numpy.core.multiarray._reconstruct`: an array that `BUILD` fills.
    Reconstruct,
    /// `numpy.core.multiarray.scalar`.
    Scalar,
    /// `numpy.core.numeric._frombuffer`: an array, as of protocol 5.
    FromBuffer,
    /// `_codecs.encode`: bytes, as of protocols 0 to 2.
    Encode,
    /// `bytes`: none at all, as of protocols 0 to 2.
    BytesType,
}

impl Global {
    fn named(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("numpy", "ndarray") => Self::ArrayType,
            ("numpy", "dtype") => Self::DtypeType,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
                Self::Reconstruct
            }
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Self::Scalar,
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Self::FromBuffer,
            ("_codecs", "encode") => Self::Encode,
            ("__builtin__" | "builtins", "bytes") => Self::BytesType,
            _ => return None,
        })
    }
}

impl Machine<'_> {
    pub(super) fn global(&mut self, module: &str, name: &str) -> Result<(), Fault> {
        match Global::named(module, name) {
            Some(global) => self.push(Value::Global(global)),
            None => {
                let shown: String = format!("{module}.{name}").chars().take(80).collect();
                Err(not_built(&format!("`{}`", shown.escape_debug())))
            }
        }
    }

    pub(super) fn reduce(&mut self) -> Result<(), Fault> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Value::Global(global), Value::Tuple(arguments)) =
            (&self.values[function], &self.values[arguments])
        else {
            return Err(damaged("it calls what is no function"));
        };
        let argument = |i: usize| arguments.get(i).map(|&id| &self.values[id]);
        let wrong = || damaged("an array in it is broken");
        let built = match global {
            Global::Reconstruct => match argument(0) {
                Some(Value::Global(Global::ArrayType)) => Value::Unfilled,
                _ => return Err(not_built("an array of a special class")),
            },
            Global::DtypeType => {
                let name = arguments.first().and_then(|&id| self.short_text(id));
                let name = name.ok_or_else(wrong)?;
                match Dtype::parse(&name) {
                    Some(dtype) => Value::Dtype(dtype),
                    None => {
                        return Err(not_built(&format!(
                            "an array of the type `{}`",
                            name.escape_debug()
                        )));
                    }
                }
            }
            Global::Scalar => match (argument(0), argument(1)) {
                (Some(Value::Dtype(dtype)), Some(Value::Bytes(bytes)))
                    if bytes.len() == dtype.size() =>
                {
                    let layout = Layout {
                        dtype: *dtype,
                        shape: Vec::new(),
                        fortran: false,
                    };
                    Value::Integer(layout.integers(bytes)[0])
                }
                _ => return Err(wrong()),
            },
            Global::FromBuffer => {
                let [data, dtype, shape, order, ..] = arguments[..] else {
                    return Err(wrong());
                };
                let fortran = match self.short_text(order).as_deref() {
                    Some("C") => false,
                    Some("F") => true,
                    _ => return Err(not_built("an array with its axes in another order")),
                };
                self.array(dtype, shape, fortran, data)?
            }
            Global::Encode => {
                let encoding = arguments.get(1).and_then(|&id| self.short_text(id));
                let (Some(Value::Text(text)), Some("latin1" | "latin-1")) =
                    (argument(0), encoding.as_deref())
                else {
                    return Err(not_built("bytes in an unknown encoding"));
                };
                // The same text encoded again and again must not fill the memory.
                let encoded = self.encoded + text.len() as u64;
                if encoded > self.stream.read {
                    return Err(damaged("it repeats its bytes without end"));
                }
                let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
                let bytes = bytes.ok_or_else(|| damaged("bytes in it are broken"))?;
                self.encoded = encoded;
                Value::Bytes(bytes)
            }
            Global::BytesType if arguments.is_empty() => Value::Bytes(Vec::new()),
            Global::BytesType | Global::ArrayType => return Err(not_built("a call of a class")),
        };
        self.push(built)
    }

    /// Fills an array or settles the byte order of a type.
    pub(super) fn build(&mut self) -> Result<(), Fault> {
        let state = self.pop()?;
        let target = self.top()?;
        let wrong = || damaged("an array in it is broken");
        let Value::Tuple(state) = &self.values[state] else {
            return Err(not_built("an object of a class"));
        };
        let built = match (&self.values[target], &state[..]) {
            (Value::Dtype(dtype), [_, order, subtype, names, fields, ..]) => {
                let simple = [subtype, names, fields]
                    .iter()
                    .all(|&&id| matches!(self.values[id], Value::Nothing));
                if !simple {
                    return Err(not_built("an array of records"));
                }
                let order = self.short_text(*order).ok_or_else(wrong)?;
                Value::Dtype(dtype.in_order(&order).ok_or_else(wrong)?)
            }
            (Value::Unfilled, &[_, shape, dtype, fortran, data]) => {
                let fortran = match self.values[fortran] {
                    Value::Truth(fortran) => fortran,
                    Value::Integer(fortran) => fortran != 0,
                    _ => return Err(wrong()),
                };
                self.array(dtype, shape, fortran, data)?
            }
            (Value::Dtype(_) | Value::Unfilled, _) => return Err(wrong()),
            _ => return Err(not_built("an object of a class")),
        };
        self.values[target] = built;
        Ok(())
    }

    fn array(&self, dtype: Id, shape: Id, fortran: bool, data: Id) -> Result<Value, Fault> {
        let wrong = || damaged("an array in it is broken");
        let (Value::Dtype(dtype), Value::Tuple(shape), Value::Bytes(bytes)) =
            (&self.values[dtype], &self.values[shape], &self.values[data])
        else {
            return Err(wrong());
        };
        let shape = shape
            .iter()
            .map(|&n| match self.values[n] {
                Value::Integer(n) => usize::try_from(n).map_err(|_| wrong()),
                _ => Err(wrong()),
            })
            .collect::<Result<Vec<usize>, Fault>>()?;
        let layout = Layout {
            dtype: *dtype,
            shape,
            fortran,
        };
        if layout.bytes() != Some(bytes.len()) {
            return Err(damaged(&format!(
                "an array in it has {} bytes in place of those of {:?} elements",
                bytes.len(),
                layout.shape
            )));
        }
        Ok(Value::Array { layout, data })
    }

    /// A name of an encoding, a type or an order.
    fn short_text(&self, id: Id) -> Option<String> {
        match &self.values[id] {
            Value::Text(text) if text.len() < 64 => Some(text.clone()),
            Value::Bytes(bytes) if bytes.len() < 64 => String::from_utf8(bytes.clone()).ok(),
            _ => None,
        }
    }
}
