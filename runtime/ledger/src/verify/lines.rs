//! Reading an export line by line, each with its number and within its limit.

use std::{
    io::{BufRead, Read as _},
    ops::Deref,
};

use super::fault::{Fault, What};

/// One whole line, without its newline.
pub(super) struct Line {
    number: u64,
    text: String,
}

impl Line {
    /// What is wrong with this line.
    pub(super) fn fault(&self, what: What) -> Fault {
        Fault { line: Some(self.number), entry: None, what }
    }
}

impl Deref for Line {
    type Target = str;
    fn deref(&self) -> &str {
        &self.text
    }
}

/// The lines of an export.
pub(super) struct Lines<R> {
    inner: R,
    number: u64,
    bytes_max: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(inner: R, bytes_max: u64) -> Self {
        Self { inner, number: 0, bytes_max }
    }

    /// Number of the line read last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line; `None` at the end. A line that is too long, is not UTF-8 or
    /// lacks its newline is a fault.
    pub(super) fn next(&mut self) -> Result<Option<Line>, Fault> {
        let mut bytes = Vec::new();
        let fault = |line, what| Err(Fault { line: Some(line), entry: None, what });
        match self.inner.by_ref().take(self.bytes_max + 1).read_until(b'\n', &mut bytes) {
            Err(_) => return fault(self.number + 1, What::Unreadable),
            Ok(0) => return Ok(None),
            Ok(_) => self.number += 1,
        }
        if bytes.pop() != Some(b'\n') {
            let cut = (bytes.len() as u64) < self.bytes_max;
            return fault(self.number, if cut { What::Truncated } else { What::Form });
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(Line { number: self.number, text })),
            Err(_) => fault(self.number, What::Form),
        }
    }
}
