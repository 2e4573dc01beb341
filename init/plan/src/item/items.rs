//! Generates an enum of items, and the code that reads and writes them, from a list of
//! variants with their numbers and fields.

macro_rules! items {
    ($(#[doc = $about:literal])* $subject:literal $enum:ident $prefix:literal of $stage:ident {
        $( $(#[doc = $doc:literal])* $number:literal $name:ident
            { $( $(#[doc = $field_doc:literal])* $field:ident: $kind:ty, )* } )*
    }) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the fields bear the man pages' names")]
        pub enum $enum<'a> {
            $( $(#[doc = $doc])* $name { $( $(#[doc = $field_doc])* $field: $kind, )* }, )*
        }

        impl<'a> $enum<'a> {
            /// The upper byte of the items' codes.
            pub(super) const SUBJECT: u8 = $subject;
            /// The shape of each item, indexed by its number.
            pub(super) const SHAPES: [$crate::field::Shape; [$( $number, )*].len() + 1] = {
                use $crate::field::{Field, Shape};
                let mut shapes = [Shape::NONE; [$( $number, )*].len() + 1];
                $( shapes[$number] = Shape::EMPTY $( .and(<$kind as Field>::SHAPE) )*; )*
                shapes
            };

            /// Decodes the item with this code and these fields. Inlined into a match,
            /// this builds no enum value.
            #[inline(always)]
            pub fn from_fields(code: u16, fields: &$crate::Fields<'a>) -> Option<Self> {
                if code >> 8 != $subject {
                    return None;
                }
                let mut taker = $crate::field::Taker::new(fields);
                let item = match code & 0xff {
                    $( $number => $enum::$name {
                        $( $field: <$kind as $crate::field::Field>::take(&mut taker), )*
                    }, )*
                    _ => return None,
                };
                let _ = &mut taker; // An item without fields takes none.
                Some(item)
            }

            /// The name of the item, unique in its stage.
            pub fn name(&self) -> &'static str {
                match self { $( $enum::$name { .. } => concat!($prefix, stringify!($name)), )* }
            }
        }

        impl $crate::Encode for $enum<'_> {
            fn stage(&self) -> $crate::Stage {
                $crate::Stage::$stage
            }

            fn code(&self) -> u16 {
                match self { $( $enum::$name { .. } => ($subject << 8) | $number, )* }
            }

            fn give<'f>(&'f self, giver: &mut $crate::field::Giver<'f>) {
                match *self {
                    $( $enum::$name { $( $field, )* } => {
                        $( $crate::field::Field::give($field, giver); )*
                    } )*
                }
            }
        }
    };
}

/// A stage whose items are nested by subject.
macro_rules! nested {
    ($(#[doc = $about:literal])* $enum:ident { $( $subject:literal $name:ident($inner:ident), )* }) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each enum says what it is")]
        pub enum $enum<'a> {
            $( $name($inner<'a>), )*
        }

        impl<'a> $enum<'a> {
            /// Decodes the item with this code and these fields. None if the stage has
            /// no such item.
            #[inline(always)]
            pub fn from_fields(code: u16, fields: &Fields<'a>) -> Option<Self> {
                match code >> 8 {
                    $( $subject => $inner::from_fields(code, fields).map($enum::$name), )*
                    _ => None,
                }
            }
        }
    };
}
