//! The places of a pool: what lies in each, who has it, and what is known of that.

#[expect(unsafe_code, reason = "a cell whose turn the bit of its place says")]
pub(crate) mod cell;
#[expect(unsafe_code, reason = "whoever clears a bit is alone with the cell")]
pub(crate) mod idle_set;
pub(crate) mod label;
pub(crate) mod loan;
pub(crate) mod record;
