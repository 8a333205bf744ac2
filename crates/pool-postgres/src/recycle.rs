//! [`Recycle`]: what a check of an idle connection does.

/// What a check of an idle connection does.
///
/// When checks are made is the pool's setting, [`Check`](brolly_resource_pool::Check);
/// [`PostgresManager::pool`](crate::PostgresManager::pool) sets what fits.
/// Whatever is chosen, a transaction that was left open is rolled back before the next holder, and
/// a connection with a query still running is closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recycle {
    /// Looks whether the connection is known to be closed; no traffic.
    Fast,
    /// Asks the server for a sign of life after the connection was idle: one round trip.
    #[default]
    Verified,
    /// Undoes what the last holder has set: cursors, `SET`, `SET ROLE`, `LISTEN`, advisory locks,
    /// temporary tables, sequences. Prepared statements stay. One round trip for every checkout.
    Clean,
    /// Runs this text, as `DISCARD ALL`. One round trip for every checkout.
    Sql(String),
}

/// What `DISCARD ALL` is documented to do, but for `DEALLOCATE ALL` and `DISCARD PLANS`: the driver
/// keeps statements of its own and would not be told.
const CLEAN: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
                     SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";

impl Recycle {
    /// What is sent, if it is more than a sign of life.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Fast | Self::Verified => None,
            Self::Clean => Some(CLEAN),
            Self::Sql(text) => Some(text),
        }
    }
}
