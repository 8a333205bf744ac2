//! Values that are kept small come back whole.
#![cfg(feature = "compress")]

use brolly_ttl_cache::{Cache, CompressError, Compressed, MemSize};

#[test]
fn every_value_comes_back_as_it_was() {
    for length in [0, 1, 1_000, 1_022, 1_023, 5_000, 100_000] {
        let value = "ab".repeat(length / 2) + &"c".repeat(length % 2);
        let kept = Compressed::new(&value).expect("text");
        assert_eq!(kept.get().expect("whole"), value);
        // Two quotes are added by JSON; 1 KiB is the limit.
        assert_eq!(kept.is_compressed(), length + 2 > 1_024, "{length}");
        assert_eq!(kept.raw_bytes(), length as u64 + 2 + 9);
        assert!(kept.kept_bytes() <= kept.raw_bytes());
    }
}

#[test]
fn what_does_not_become_smaller_is_kept_as_it_is() {
    let mut random = 1_u64;
    let noise: String = (0..20_000)
        .map(|_| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from_u32(0x4e00 + (random >> 50) as u32).expect("a character")
        })
        .collect();
    let kept = Compressed::new(&noise).expect("text");
    assert!(!kept.is_compressed());
    assert_eq!(kept.get().expect("whole"), noise);
}

#[test]
fn any_damage_is_an_error_and_never_another_value() {
    let value = vec!["line".to_owned(); 1_000];
    let kept = Compressed::new(&value).expect("text");
    let bytes = kept.as_bytes().to_vec();
    for at in 0..bytes.len() {
        for bit in [0, 7] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let read = Compressed::<Vec<String>>::from_bytes(damaged).and_then(|kept| kept.get());
            assert!(matches!(read, Err(CompressError::Damaged)), "byte {at}");
        }
        assert!(
            Compressed::<Vec<String>>::from_bytes(&bytes[..at]).is_err(),
            "cut at {at}"
        );
    }
    let whole = Compressed::<Vec<String>>::from_bytes(bytes).expect("sound");
    assert_eq!(whole.get().expect("whole"), value);
}

#[test]
fn a_length_that_cannot_be_true_is_not_allocated() {
    let mut bomb = vec![1];
    bomb.extend(u32::MAX.to_le_bytes());
    bomb.extend([0; 4]);
    assert!(matches!(
        Compressed::<String>::from_bytes(bomb),
        Err(CompressError::Damaged)
    ));
}

#[test]
fn another_type_is_an_error() {
    let kept = Compressed::new(&7_u64).expect("a number");
    let other = Compressed::<String>::from_bytes(kept.as_bytes()).expect("sound bytes");
    assert!(matches!(other.get(), Err(CompressError::Read(_))));
}

#[test]
fn a_weigher_sees_what_is_kept() {
    let cache: Cache<u64, Compressed<String>> = Cache::builder()
        .max_weight(100_000)
        .weigher(|_, value: &Compressed<String>| value.mem_size())
        .build()
        .expect("valid");
    for key in 0..100 {
        cache.insert(key, Compressed::new(&"x".repeat(10_000)).expect("text"));
    }
    assert_eq!(cache.len(), 100, "a megabyte of text fits into 100 kB");
    assert_eq!(
        cache.get(&5).expect("there").get().expect("whole").len(),
        10_000
    );
}
