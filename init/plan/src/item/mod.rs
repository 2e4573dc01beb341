//! Items: everything that a Plan can ask for. There is one enum for each stage; those
//! of stage 0 and 2 are nested by subject. An item is written by the enum of its
//! subject and read by the enum of its stage.
//!
//! | enum | stage | subject |
//! |---|---|---|
//! | [`SetupItem`] | 0 | what the process does to itself, with the host's privileges |
//! | [`CgroupItem`] | 0 | the container's cgroup |
//! | [`LeaveItem`] | 0 | into the namespaces: join, unshare, clone, map |
//! | [`Stage1`] | 1 | in the new user namespace, before the rest |
//! | [`NamespaceItem`] | 2 | what the new namespaces hold |
//! | [`RootfsItem`] | 2 | what lies in the rootfs, and how it becomes the root |
//! | [`ProcessItem`] | 2 | what makes the process the container's |
//!
//! A new item is a new line in its enum. The compiler then asks for the code that
//! carries it out (vial-init) and for its words (vial).

#[macro_use]
mod items;
mod stage0;
mod stage1;
mod stage2;

use crate::Stage;
use crate::cursor::Cursor;
use crate::field::{Fields, Giver, Shape};

pub use stage0::{CgroupItem, LeaveItem, SetupItem};
pub use stage1::Stage1;
pub use stage2::{NamespaceItem, ProcessItem, RootfsItem};

/// The bytes of a section end within an item, or hold an unknown item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The index of the item, counted over all sections.
    pub index: u32,
}

/// An item of any kind, to be written to the section of its stage.
pub trait Encode {
    /// The stage that carries it out.
    fn stage(&self) -> Stage;
    /// Its subject in the upper byte, its number in the lower.
    fn code(&self) -> u16;
    /// Gives its fields, in order.
    fn give<'f>(&'f self, giver: &mut Giver<'f>);
}

nested! {
    /// An item of stage 0, outside the container.
    Stage0 { 1 Setup(SetupItem), 2 Cgroup(CgroupItem), 3 Leave(LeaveItem), }
}

nested! {
    /// An item of stage 2, the container's first process or that of an exec.
    Stage2 { 5 Namespace(NamespaceItem), 6 Rootfs(RootfsItem), 7 Process(ProcessItem), }
}

/// An item of any stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// Of stage 0.
    Stage0(Stage0<'a>),
    /// Of stage 1.
    Stage1(Stage1<'a>),
    /// Of stage 2.
    Stage2(Stage2<'a>),
}

impl<'a> Item<'a> {
    /// Decodes the item of this stage with this code and these fields. None if the
    /// stage has no such item.
    pub fn from_fields(stage: Stage, code: u16, fields: &Fields<'a>) -> Option<Item<'a>> {
        Some(match stage {
            Stage::Zero => Item::Stage0(Stage0::from_fields(code, fields)?),
            Stage::One => Item::Stage1(Stage1::from_fields(code, fields)?),
            Stage::Two => Item::Stage2(Stage2::from_fields(code, fields)?),
        })
    }

    /// The item, for writing.
    pub fn encode(&self) -> &dyn Encode {
        match self {
            Item::Stage0(Stage0::Setup(item)) => item,
            Item::Stage0(Stage0::Cgroup(item)) => item,
            Item::Stage0(Stage0::Leave(item)) => item,
            Item::Stage1(item) => item,
            Item::Stage2(Stage2::Namespace(item)) => item,
            Item::Stage2(Stage2::Rootfs(item)) => item,
            Item::Stage2(Stage2::Process(item)) => item,
        }
    }

    /// The name of the item, unique in a Plan.
    pub fn name(&self) -> &'static str {
        match self {
            Item::Stage0(Stage0::Setup(item)) => item.name(),
            Item::Stage0(Stage0::Cgroup(item)) => item.name(),
            Item::Stage0(Stage0::Leave(item)) => item.name(),
            Item::Stage1(item) => item.name(),
            Item::Stage2(Stage2::Namespace(item)) => item.name(),
            Item::Stage2(Stage2::Rootfs(item)) => item.name(),
            Item::Stage2(Stage2::Process(item)) => item.name(),
        }
    }
}

/// The shape of the item with this code. None if there is no such item.
fn shape(code: u16) -> Option<Shape> {
    let [subject, number] = code.to_be_bytes();
    let shapes: &[Shape] = match subject {
        SetupItem::SUBJECT => &SetupItem::SHAPES,
        CgroupItem::SUBJECT => &CgroupItem::SHAPES,
        LeaveItem::SUBJECT => &LeaveItem::SHAPES,
        Stage1::SUBJECT => &Stage1::SHAPES,
        NamespaceItem::SUBJECT => &NamespaceItem::SHAPES,
        RootfsItem::SUBJECT => &RootfsItem::SHAPES,
        ProcessItem::SUBJECT => &ProcessItem::SHAPES,
        _ => return None,
    };
    shapes.get(usize::from(number)).copied()
}

/// The length in bytes of an encoded item.
pub fn item_size(item: &dyn Encode) -> usize {
    let mut size = 0;
    write_item(item, &mut |part| size += part.len());
    size
}

/// Writes an item, in parts. Returns how many strings its lists hold.
pub fn write_item(item: &dyn Encode, put: &mut dyn FnMut(&[u8])) -> usize {
    let code = item.code();
    let Some(shape) = shape(code) else { return 0 };
    let mut giver = Giver::new();
    item.give(&mut giver);
    let fields = giver.fields();
    let mut size = 0_u32;
    fields.write(shape, &mut |part| size += part.len() as u32);
    put(&code.to_le_bytes());
    put(&[0, 0]);
    put(&size.to_le_bytes());
    fields.write(shape, put);
    fields.listed()
}

/// The items of one section, in order, each with its index.
#[derive(Clone, Copy, Debug)]
pub struct Items<'a> {
    stage: Stage,
    cursor: Cursor<'a>,
    index: u32,
}

impl<'a> Items<'a> {
    /// The items in these bytes. The first one has this index.
    pub fn new(stage: Stage, section: &'a [u8], index: u32) -> Self {
        Items { stage, cursor: Cursor::new(section), index }
    }

    /// The index of the next item.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The next item as its code and its fields. None at the end. A malformed item is
    /// the last one.
    pub fn next_fields(&mut self) -> Option<Result<(u16, Fields<'a>), Malformed>> {
        if self.cursor.is_empty() {
            return None;
        }
        let read = self.read().ok_or(Malformed { index: self.index });
        self.index = self.index.wrapping_add(1);
        if read.is_err() {
            self.cursor = Cursor::new(&[]); // Nothing after it can be trusted.
        }
        Some(read)
    }

    fn read(&mut self) -> Option<(u16, Fields<'a>)> {
        let code = u16::try_from(self.cursor.u32()).ok()?;
        let bytes = self.cursor.bytes();
        if !self.cursor.is_right() {
            return None;
        }
        Some((code, Fields::read(shape(code)?, bytes)?))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = (u32, Result<Item<'a>, Malformed>);

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.index;
        let item = self.next_fields()?.and_then(|(code, fields)| {
            Item::from_fields(self.stage, code, &fields).ok_or(Malformed { index })
        });
        if item.is_err() {
            self.cursor = Cursor::new(&[]); // The same, if it is an item of another stage.
        }
        Some((index, item))
    }
}
