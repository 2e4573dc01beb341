//! What the tests of the Plan share.

use vial_plan::{Item, NamespaceItem, ProcessItem, RootfsItem, Stage2};

pub(crate) fn namespace(item: NamespaceItem<'static>) -> Item<'static> {
    Item::Stage2(Stage2::Namespace(item))
}

pub(crate) fn rootfs(item: RootfsItem<'static>) -> Item<'static> {
    Item::Stage2(Stage2::Rootfs(item))
}

pub(crate) fn process(item: ProcessItem<'static>) -> Item<'static> {
    Item::Stage2(Stage2::Process(item))
}

/// Random numbers by xorshift64, the same in each run.
pub(crate) fn random_numbers() -> impl FnMut() -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}
