//! The slab and the index against naive models.
