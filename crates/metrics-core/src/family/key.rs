//! [`Key`]: label values as one string of bytes, kept in place while they are short.

use std::str;

/// The bytes that are kept without an allocation.
const INLINE: usize = 30;

/// Follows each value. It occurs in no text, so two lists of values are the same only if their
/// keys are.
const END: u8 = 0xff;

/// Label values as one string of bytes.
pub(crate) enum Key {
    Short { len: u8, bytes: [u8; INLINE] },
    Long(Box<[u8]>),
}

impl Key {
    pub(crate) fn new(values: &[&str]) -> Self {
        let len: usize = values.iter().map(|value| value.len() + 1).sum();
        let mut all = Vec::with_capacity(len);
        for value in values {
            all.extend_from_slice(value.as_bytes());
            all.push(END);
        }
        if len > INLINE {
            return Self::Long(all.into());
        }
        let mut bytes = [0; INLINE];
        bytes[..len].copy_from_slice(&all);
        let len = u8::try_from(len).expect("a short key is short");
        Self::Short { len, bytes }
    }

    /// Whether these are its values.
    #[inline]
    pub(crate) fn is(&self, values: &[&str]) -> bool {
        let mut rest = self.bytes();
        for value in values {
            match rest.strip_prefix(value.as_bytes()) {
                Some([END, others @ ..]) => rest = others,
                _ => return false,
            }
        }
        rest.is_empty()
    }

    /// Its values.
    pub(crate) fn values(&self) -> impl Iterator<Item = &str> {
        let values = self.bytes().split_inclusive(|byte| *byte == END);
        values.map(|value| str::from_utf8(&value[..value.len() - 1]).expect("made of texts"))
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn values_that_run_together_are_told_apart() {
        assert!(!Key::new(&["ab", "c"]).is(&["a", "bc"]));
        assert!(!Key::new(&["ab"]).is(&["ab", ""]));
        assert!(!Key::new(&["ab", ""]).is(&["ab"]));
    }

    proptest! {
        #[test]
        fn a_key_is_its_values_and_no_others(
            ours in vec(".{0,12}", 0..5),
            theirs in vec(".{0,12}", 0..5),
        ) {
            let [ours, theirs] = [&ours, &theirs].map(|it| {
                it.iter().map(String::as_str).collect::<Vec<_>>()
            });
            let key = Key::new(&ours);
            prop_assert!(key.is(&ours));
            prop_assert_eq!(key.is(&theirs), ours == theirs);
            prop_assert_eq!(key.values().collect::<Vec<_>>(), ours);
        }
    }
}
