//! Structs that are read from JSON objects.

/// Defines structs that are read from objects. Behind the type of a field stands its
/// name in JSON, with `needed` if it must be there. A field without one is never read.
macro_rules! object {
    ($(
        $(#[$of_struct:meta])*
        pub struct $name:ident {
            $(
                $(#[$of_field:meta])*
                pub $field:ident: $type:ty $(= $json:literal $($needed:ident)?)?,
            )*
        }
    )*) => { $(
        $(#[$of_struct])*
        pub struct $name {
            $($(#[$of_field])* pub $field: $type,)*
        }

        impl $crate::config::field::Field for $name {
            fn kind_of() -> $crate::config::field::Kind {
                const MEMBERS: &[$crate::config::field::Member] = &[$($(
                    $crate::config::field::Member {
                        name: $json,
                        needed: $crate::config::field::is_needed(&[$(stringify!($needed))?]),
                    },
                )?)*];
                $crate::config::field::Kind::Object(MEMBERS)
            }

            fn kind(&self) -> $crate::config::field::Kind {
                Self::kind_of()
            }

            fn part(
                &mut self,
                part: $crate::config::field::Part<'_>,
            ) -> Option<&mut dyn $crate::config::field::Field> {
                let $crate::config::field::Part::Member(wanted) = part else { return None };
                let mut index = 0..;
                $($(
                    const _: &str = $json;
                    if index.next() == Some(wanted) {
                        return Some(&mut self.$field);
                    }
                )?)*
                None
            }
        }
    )* };
}
pub(crate) use object;
