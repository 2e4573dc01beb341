//! A scope of systemd: the unit that holds a container's processes. Its cgroup is the
//! container's.

use std::path::PathBuf;

/// What systemd is asked for.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The name of the unit, as in `vial-web.scope`.
    pub name: String,
    /// The path of the cgroup that the process is then in, without the leading slash.
    pub path: PathBuf,
    /// The controller of the hierarchy that has this path, as in `name=systemd`. Empty
    /// means cgroup2.
    pub hierarchy: &'static str,
    /// How a process gets into it.
    pub way: Way,
}

/// How systemd puts a process into a scope.
#[derive(Clone, Debug)]
pub enum Way {
    /// It makes the scope of it, with these properties, in the order in which they are
    /// set.
    Make(Vec<Property>),
    /// The scope exists. The process gets into the cgroup at this path below the scope's.
    Join(PathBuf),
}

/// A property of a unit (org.freedesktop.systemd1(5)).
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// Its name, as in `MemoryMax`.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// Whether it repeats a limit that is also written to the cgroup. Without it, an
    /// older systemd limits the container as well.
    pub repeats_limit: bool,
}

/// A value of D-Bus.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number or a boolean: the code of its type, and its bits.
    Number(u8, u64),
    /// A string.
    Text(String),
    /// An array: the signature of its elements, and the elements.
    Array(String, Vec<Value>),
    /// A struct.
    Struct(Vec<Value>),
}

impl Value {
    /// A boolean.
    pub fn boolean(value: bool) -> Value {
        Value::Number(b'b', u64::from(value))
    }

    /// A number of 64 bits without a sign.
    pub fn u64(value: u64) -> Value {
        Value::Number(b't', value)
    }

    /// A string.
    pub fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    /// Its type, as in `a(ss)`.
    pub fn signature(&self) -> String {
        match self {
            Value::Number(code, _) => char::from(*code).to_string(),
            Value::Text(_) => "s".to_owned(),
            Value::Array(of, _) => format!("a{of}"),
            Value::Struct(fields) => {
                let fields: String = fields.iter().map(Value::signature).collect();
                format!("({fields})")
            }
        }
    }
}

impl Property {
    /// A property.
    pub fn new(name: &str, value: Value) -> Property {
        Property { name: name.to_owned(), value, repeats_limit: false }
    }

    /// One that repeats a limit.
    pub fn limit(name: &str, value: Value) -> Property {
        Property { repeats_limit: true, ..Property::new(name, value) }
    }
}
