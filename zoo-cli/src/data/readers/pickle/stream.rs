//! The bytes of a pickle, of which never more are kept than are there.

use std::io::{self, BufRead, BufReader, Read};

use super::{Fault, damaged};
use crate::data::{input, readers::numpy::SAVE};

/// The longest pickle that is read; the training part of CIFAR-100 has 156 MB.
const MAX_BYTES: u64 = 1 << 30;

/// The bytes of a pickle, with a count.
pub(super) struct Stream<'a> {
    inner: BufReader<&'a mut dyn Read>,
    /// How many were read.
    pub(super) read: u64,
}

impl<'a> Stream<'a> {
    pub(super) fn new(reader: &'a mut dyn Read) -> Self {
        Self {
            inner: BufReader::with_capacity(1 << 16, reader),
            read: 0,
        }
    }

    fn count(&mut self, more: usize) -> Result<(), Fault> {
        self.read += more as u64;
        if self.read <= MAX_BYTES {
            return Ok(());
        }
        Err(Fault::Problem(format!(
            "it is longer than {} MiB; save its arrays with {SAVE} and give that file",
            MAX_BYTES >> 20
        )))
    }

    pub(super) fn bytes(&mut self, count: u64) -> Result<Vec<u8>, Fault> {
        let bytes = input::read_up_to(&mut self.inner, count.min(MAX_BYTES + 1))?;
        self.count(bytes.len())?;
        if bytes.len() as u64 != count {
            return Err(damaged("it ends too early"));
        }
        Ok(bytes)
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        match self.inner.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(damaged("it ends too early"));
            }
            Err(error) => return Err(error.into()),
        }
        self.count(N)?;
        Ok(bytes)
    }

    /// The bytes up to the end of the line, without it.
    pub(super) fn line(&mut self) -> Result<Vec<u8>, Fault> {
        let mut line = Vec::new();
        (&mut self.inner)
            .take(MAX_BYTES + 1)
            .read_until(b'\n', &mut line)?;
        self.count(line.len())?;
        if line.pop() != Some(b'\n') {
            return Err(damaged("it ends too early"));
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }

    pub(super) fn text_line(&mut self) -> Result<String, Fault> {
        String::from_utf8(self.line()?).map_err(|_| damaged("a name in it is no text"))
    }

    pub(super) fn number_line(&mut self) -> Result<i64, Fault> {
        let line = self.text_line()?;
        let digits = line.strip_suffix('L').unwrap_or(&line);
        digits
            .parse()
            .map_err(|_| damaged("a number in it is none of 64 bits"))
    }
}
