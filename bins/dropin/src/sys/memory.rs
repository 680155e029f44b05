//! Memory: when there is no more, "not known" is what the program ends with. Rust would abort, with a text of its own.
#![allow(unsafe_code)] // an allocator has no safe form

use super::exit_now;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU8, Ordering};

/// The status to end with; 0 as long as none is known.
static STATUS: AtomicU8 = AtomicU8::new(0);

/// The system's allocator, which ends the program instead of giving nothing.
struct Ending;

#[global_allocator]
static ALLOCATOR: Ending = Ending;

/// From now on the program ends with `status` if there is no memory.
pub fn end_without(status: u8) {
    STATUS.store(status, Ordering::Relaxed);
}

fn given(memory: *mut u8) -> *mut u8 {
    match STATUS.load(Ordering::Relaxed) {
        status @ 1.. if memory.is_null() => exit_now(status),
        _ => memory,
    }
}

// SAFETY: all is the system allocator's own, but that some calls do not return.
unsafe impl GlobalAlloc for Ending {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract.
        given(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        given(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        given(unsafe { System.realloc(memory, layout, size) })
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}
