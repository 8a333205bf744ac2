//! Making a pool: the mirror first, then every slot, several at a time.

use std::fs;
use std::path::Path;

use brolly_batch::{BatchProcessor, ItemError};

use super::{RepoPool, unknown_ref};
use crate::error::Error;
use crate::mirror::Remote;
use crate::store::PoolRow;

impl RepoPool {
    pub(super) fn make_pool(
        &self,
        pool: &PoolRow,
        remote: &Remote,
        slots: u32,
    ) -> Result<(), Error> {
        let folder = self.folder(&pool.name);
        self.discard(&folder)?;
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        let mirror = self.mirror(pool);
        mirror.create(&pool.url, remote)?;
        let pool = self.fetch_since(pool.clone(), self.now(), None)?;
        let head = mirror
            .resolve(&pool.branch, &pool.branch)?
            .ok_or_else(|| unknown_ref(&pool, &pool.branch))?;
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let builder = BatchProcessor::builder()
            .max_concurrent(workers)
            .build()
            .expect("at least one worker");
        for built in builder.map_blocking(1..=slots, |number| self.slot(&pool, number).build(&head))
        {
            match built {
                Ok(()) => {}
                Err(ItemError::Failed(error)) => return Err(error),
                Err(panicked) => panic!("{panicked}"),
            }
        }
        self.store().pool_is_ready(pool.id, &head)
    }
}

/// A path of this machine made absolute, since git runs elsewhere; anything else as it is.
pub(super) fn absolute(url: &str) -> Result<String, Error> {
    if url.contains("://") || !Path::new(url).exists() {
        return Ok(url.to_owned());
    }
    let path = Path::new(url)
        .canonicalize()
        .map_err(Error::io("resolve", url))?;
    let rule = "the path is not UTF-8";
    path.into_os_string()
        .into_string()
        .map_err(|path| Error::InvalidUrl {
            url: path.to_string_lossy().into_owned(),
            rule,
        })
}
