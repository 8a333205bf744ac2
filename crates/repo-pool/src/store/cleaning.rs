//! Cleaning: taking a slot over outside any lease, and what comes of it.

use rusqlite::{OptionalExtension, params};

use super::Store;
use super::rows::{SlotRow, read_slot};
use super::step::{is_held, set_note, step};
use crate::error::Error;
use crate::lease::Token;
use crate::owner::Owner;
use crate::state::SlotState;

impl Store {
    /// Takes a slot in one of the fitting states over for cleaning, outside any lease.
    pub(crate) fn begin_cleaning(
        &self,
        pool: i64,
        number: u32,
        owner: &Owner,
    ) -> Result<SlotRow, Error> {
        let taken = self.write(|tx| {
            let query = "SELECT slot.*, NULL AS holder, NULL AS expires_at, NULL AS boot FROM slot WHERE pool = ?1 AND number = ?2";
            let Some(row) = tx.query_row(query, params![pool, number], read_slot).optional()? else { return Ok(None) };
            // Slots in use end by their leases, and those that somebody cleans are in good hands.
            let is_free = matches!(row.state, SlotState::Dirty | SlotState::Error);
            let taken = is_free && step(tx, pool, number, SlotState::Cleaning, Some(owner))?;
            Ok(Some((row, taken)))
        })?;
        match taken {
            None => Err(Error::SlotNotFound {
                pool: self.pool_name(pool)?,
                slot: number,
            }),
            Some((row, true)) => Ok(row),
            Some((row, false)) => Err(Error::InvalidState {
                slot: number,
                from: row.state,
                to: SlotState::Cleaning,
            }),
        }
    }

    /// Ends a cleaning: the slot is available at `head`, or in error with a note.
    pub(crate) fn cleaned(
        &self,
        pool: i64,
        number: u32,
        token: Token,
        outcome: Result<&str, &str>,
    ) -> Result<(), Error> {
        self.write(|tx| {
            if !is_held(tx, pool, number, token)? {
                return Ok(());
            }
            match outcome {
                Ok(head) => {
                    if step(tx, pool, number, SlotState::Available, None)? {
                        tx.prepare_cached(
                            "UPDATE slot SET head = ?3, orphaned = FALSE, note = NULL WHERE pool = ?1 AND number = ?2",
                        )?
                        .execute(params![pool, number, head])?;
                    }
                }
                Err(note) => {
                    if step(tx, pool, number, SlotState::Error, None)? {
                        set_note(tx, pool, number, Some(note))?;
                    }
                }
            }
            Ok(())
        })
    }
}
