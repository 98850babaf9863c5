//! Where the labels of this thread's pictures stand, for tests alone.

use std::cell::RefCell;

/// A label, and the left, top, right and bottom of what its letters fill, px.
pub(crate) type Label = (String, [f64; 4]);

thread_local! {
    static LATEST: RefCell<Vec<Label>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn put(text: &str, area: [f64; 4]) {
    LATEST.with_borrow_mut(|labels| labels.push((text.to_owned(), area)));
}

/// Takes them: what follows is of the next picture.
#[cfg(test)]
pub(crate) fn take() -> Vec<Label> {
    LATEST.take()
}
