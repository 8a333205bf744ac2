//! Systems that are not understood yet: every figure is absent.

use std::path::PathBuf;

use super::error::ReadError;
use super::reading::{LoadReading, MemoryReading, ProcessReading, StallKind};

#[derive(Debug)]
pub(super) struct Files;

impl Files {
    pub(super) fn new(_root: PathBuf) -> Self {
        Self
    }

    pub(super) fn read(&mut self, _disks: &[PathBuf]) -> ProcessReading {
        ProcessReading::default()
    }

    pub(super) fn resident_memory(&mut self) -> Result<Option<u64>, ReadError> {
        Ok(None)
    }

    pub(super) fn memory(&mut self) -> MemoryReading {
        MemoryReading::default()
    }

    pub(super) fn load(&mut self) -> LoadReading {
        LoadReading::default()
    }

    pub(super) fn stalled(&mut self, _kind: StallKind) -> Result<Option<f64>, ReadError> {
        Ok(None)
    }
}
