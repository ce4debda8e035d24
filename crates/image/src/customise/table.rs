//! Files of lines whose fields are separated by colons: passwd(5), group(5), shadow(5).

use std::fs;
use std::io;
use std::path::Path;

use super::write;
use crate::error::{Error, io_at};

/// One such file.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) rows: Vec<Vec<String>>,
    present: bool,
}

impl Table {
    /// Reads it; an absent file is an empty table, which is not written back.
    pub(super) fn load(path: &Path) -> Result<Self, Error> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text.map_err(io_at("read", path))?,
        };
        let row = |line: &str| line.split(':').map(str::to_owned).collect();
        Ok(Self {
            rows: text
                .lines()
                .filter(|line| !line.is_empty())
                .map(row)
                .collect(),
            present: true,
        })
    }

    pub(super) fn find(&self, name: &str) -> Option<&Vec<String>> {
        self.rows.iter().find(|row| row[0] == name)
    }

    pub(super) fn find_mut(&mut self, name: &str) -> Option<&mut Vec<String>> {
        self.rows.iter_mut().find(|row| row[0] == name)
    }

    /// Adds a row, or replaces the one with the same first field.
    pub(super) fn set<const N: usize>(&mut self, fields: [String; N]) {
        let row = fields.to_vec();
        match self.find_mut(&row[0].clone()) {
            Some(old) => *old = row,
            None => self.rows.push(row),
        }
    }

    /// Whether some row has `value` in this field.
    pub(super) fn has(&self, field: usize, value: &str) -> bool {
        self.rows
            .iter()
            .any(|row| row.get(field).is_some_and(|found| found == value))
    }

    pub(super) fn save(&self, path: &Path, mode: u32, gid: u32) -> Result<(), Error> {
        if !self.present {
            return Ok(());
        }
        let lines: String = self.rows.iter().map(|row| row.join(":") + "\n").collect();
        write::replace(path, lines.as_bytes(), mode)?;
        write::own(path, 0, gid)
    }
}
