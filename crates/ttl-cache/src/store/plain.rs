//! [`Plain`]: data that may be copied while somebody writes it, because a torn copy can be told and
//! thrown away.

use std::mem::MaybeUninit;
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8,
    NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize,
};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// Plain data: bytes that mean nothing but themselves.
///
/// Integers, floats, `bool`, `char`, the `NonZero` integers, and arrays of them. Types that hold
/// pointers, or padding, are not plain. Implemented here and nowhere else.
pub trait Plain: Copy + Send + Sync + 'static + sealed::Sealed {}

mod sealed {
    /// # Safety
    ///
    /// Every byte of a value is initialised (no padding), and no byte is part of a pointer.
    #[allow(unreachable_pub, reason = "a supertrait of a public trait")]
    pub unsafe trait Sealed {}
}

macro_rules! plain {
    ($($type:ty),* $(,)?) => {$(
        // SAFETY: a primitive without padding and without a pointer.
        unsafe impl sealed::Sealed for $type {}
        impl Plain for $type {}
    )*};
}

plain!(
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    f32,
    f64,
    bool,
    char,
    NonZeroU8,
    NonZeroU16,
    NonZeroU32,
    NonZeroU64,
    NonZeroU128,
    NonZeroUsize,
    NonZeroI8,
    NonZeroI16,
    NonZeroI32,
    NonZeroI64,
    NonZeroI128,
    NonZeroIsize,
    (),
);

// SAFETY: an array has no padding between its elements, nor around them.
unsafe impl<T: Plain, const N: usize> sealed::Sealed for [T; N] {}
impl<T: Plain, const N: usize> Plain for [T; N] {}

macro_rules! words {
    ($word:ty, $atomic:ty, $load:ident, $store:ident) => {
        /// # Safety
        ///
        /// As for [`load`], with an alignment of the word at least.
        #[inline(always)]
        unsafe fn $load<T>(from: *const T) -> MaybeUninit<T> {
            let mut copy = MaybeUninit::<T>::uninit();
            let to = copy.as_mut_ptr().cast::<$word>();
            for at in 0..size_of::<T>() / size_of::<$word>() {
                // SAFETY: inside the value, which is aligned for the word by contract, as is
                // `copy`, and all of whose bytes are initialised. Whoever writes there at the same
                // time does so by `store`, that is, by atomic words of the same size.
                unsafe {
                    let word = &*from.cast::<$atomic>().add(at);
                    to.add(at).write(word.load(Ordering::Relaxed));
                }
            }
            copy
        }

        /// # Safety
        ///
        /// As for [`store`], with an alignment of the word at least.
        #[inline(always)]
        unsafe fn $store<T>(to: *mut T, value: &T) {
            let from = std::ptr::from_ref(value).cast::<$word>();
            for at in 0..size_of::<T>() / size_of::<$word>() {
                // SAFETY: as in the load; all bytes of `value` are initialised by contract.
                unsafe {
                    let word = &*to.cast::<$atomic>().add(at);
                    word.store(from.add(at).read(), Ordering::Relaxed);
                }
            }
        }
    };
}

words!(u64, AtomicU64, load_8, store_8);
words!(u32, AtomicU32, load_4, store_4);
words!(u16, AtomicU16, load_2, store_2);
words!(u8, AtomicU8, load_1, store_1);

/// Copies a value that may be written at the same time, word by word. The copy may be torn: it
/// means something only once the caller knows that nobody wrote meanwhile.
///
/// # Safety
///
/// `from` is aligned and valid for reads, `T` is [`Plain`], all bytes there are initialised, and
/// all writes to it are either ordered with this call or done by [`store`].
#[inline(always)]
pub(super) unsafe fn load<T>(from: *const T) -> MaybeUninit<T> {
    // SAFETY: by contract; the size of a type is a multiple of its alignment, so its words are
    // whole.
    unsafe {
        match align_of::<T>() {
            1 => load_1(from),
            2 => load_2(from),
            4 => load_4(from),
            _ => load_8(from),
        }
    }
}

/// Writes a value that may be copied at the same time by [`load`].
///
/// # Safety
///
/// `to` is aligned and valid for writes, `T` is [`Plain`], and nobody else writes there.
#[inline(always)]
pub(super) unsafe fn store<T>(to: *mut T, value: &T) {
    // SAFETY: by contract, as in the load.
    unsafe {
        match align_of::<T>() {
            1 => store_1(to, value),
            2 => store_2(to, value),
            4 => store_4(to, value),
            _ => store_8(to, value),
        }
    }
}
