//! What one call of a job can see: its parameters, the state of the round, and
//! the rows of one unit. Nothing here reaches outside the instance.

use crate::{
    Error,
    abi::Batch,
    rows::{Rows, Type},
};

/// Everything a job may read.
#[derive(Debug, Default)]
pub struct Room {
    params: Vec<(String, String)>,
    state: Vec<u8>,
    inputs: Vec<(String, Rows)>,
}

impl Room {
    /// A room made by hand, for unit tests.
    pub fn of(params: &[(&str, &str)], inputs: Vec<(&str, Rows)>) -> Self {
        Self {
            params: params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            state: Vec::new(),
            inputs: inputs.into_iter().map(|(name, rows)| (name.to_owned(), rows)).collect(),
        }
    }

    /// The rows of the job's only (or first) input.
    ///
    /// # Errors
    /// When the job declares no input.
    pub fn rows(&self) -> Result<&Rows, Error> {
        self.inputs.first().map(|(_, rows)| rows).ok_or_else(|| Error::new("the job has no input"))
    }

    /// The rows of the input `[inputs.<name>]`.
    ///
    /// # Errors
    /// When the job declares no such input.
    pub fn input(&self, name: &str) -> Result<&Rows, Error> {
        let found = self.inputs.iter().find(|(n, _)| n == name);
        found.map(|(_, rows)| rows).ok_or_else(|| Error::new(format!("the job has no input `{name}`")))
    }

    /// A value of the job file's `[params]`.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// What the outer room handed back after the round before; empty in round 0.
    pub fn state(&self) -> &[u8] {
        &self.state
    }
}

/// Gathers the ABI's calls into a [`Room`].
#[derive(Debug, Default)]
pub(crate) struct Collector(Room);

impl Collector {
    /// Takes parameters; those named `input.<name>` announce the inputs in order.
    pub(crate) fn start(&mut self, params: Vec<(String, String)>, state: Vec<u8>) -> Result<(), Error> {
        for (key, value) in params {
            if let Some(name) = key.strip_prefix("input.") {
                self.0.inputs.push((name.to_owned(), Rows::of_schema(schema(&value)?)));
            } else {
                self.0.params.push((key, value));
            }
        }
        self.0.state = state;
        Ok(())
    }

    pub(crate) fn process(&mut self, input: u32, rows: Batch) -> Result<(), Error> {
        let index = usize::try_from(input).map_err(|_| Error::new("input number out of range"))?;
        let (_, into) = self.0.inputs.get_mut(index).ok_or_else(|| Error::new("rows for an input not announced"))?;
        into.push(rows)
    }

    pub(crate) fn finish(self) -> Room {
        self.0
    }
}

/// Reads `column:type,column:type,…`.
fn schema(text: &str) -> Result<Vec<(String, Type)>, Error> {
    let bad = || Error::new("an input's schema does not read");
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, kind) = part.rsplit_once(':').ok_or_else(bad)?;
            Ok((name.to_owned(), Type::named(kind).ok_or_else(bad)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Collector, schema};
    use crate::{
        abi::{Batch, Column},
        rows::Type,
    };

    #[test]
    fn a_schema_reads_names_and_types() {
        let read = schema("year:int,plan:text").unwrap();
        assert_eq!(read, [("year".to_owned(), Type::Int), ("plan".to_owned(), Type::Text)]);
        assert!(schema("year:decimal").is_err());
        assert!(schema("year").is_err());
    }

    #[test]
    fn the_three_calls_make_a_room() {
        let mut c = Collector::default();
        let params = [("input.claims", "year:int"), ("target", "7")];
        c.start(params.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(), vec![]).unwrap();
        for year in [1i64, 2] {
            let column = Column { nulls: 0, validity: None, offsets: None, data: year.to_le_bytes().to_vec() };
            c.process(0, Batch { rows: 1, columns: vec![column] }).unwrap();
        }
        assert!(c.process(1, Batch { rows: 0, columns: vec![] }).is_err());
        let room = c.finish();
        assert_eq!(room.param("target"), Some("7"));
        assert_eq!(room.param("input.claims"), None);
        let years: Vec<_> = room.input("claims").unwrap().i64("year").unwrap().collect();
        assert_eq!(years, [Some(1), Some(2)]);
        assert!(room.input("other").is_err());
    }
}
