//! Extended regular expressions (regex(7)) for ids, which are ASCII. The time that a
//! match takes grows only with the lengths of both. The crate regex-lite would do the
//! same with 37 KB.

use crate::error::Error;

/// An expression, as a program for `matches`.
#[derive(Debug)]
pub struct Pattern(Vec<Op>);

/// Distances are counted from the step itself.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// One of these characters, a bit each.
    One(u128),
    /// Goes on in both places.
    Fork(isize, isize),
    /// Only at the beginning.
    Begin,
    /// Only at the end.
    End,
}

/// The longest expression in bytes, and in steps.
const MAX_TEXT: usize = 256;
const MAX_STEPS: usize = 4096;

/// Every character.
const ANY: u128 = u128::MAX;

type Class = (&'static [u8], fn(&u8) -> bool);

const CLASSES: [Class; 8] = [
    (b"alnum", u8::is_ascii_alphanumeric),
    (b"alpha", u8::is_ascii_alphabetic),
    (b"digit", u8::is_ascii_digit),
    (b"lower", u8::is_ascii_lowercase),
    (b"punct", u8::is_ascii_punctuation),
    (b"space", u8::is_ascii_whitespace),
    (b"upper", u8::is_ascii_uppercase),
    (b"xdigit", u8::is_ascii_hexdigit),
];

impl Pattern {
    /// Reads an expression.
    pub fn new(text: &str) -> Result<Pattern, Error> {
        let wrong = |why: &str| Error::new(format_args!("regular expression {text}: {why}"));
        if text.len() > MAX_TEXT {
            return Err(Error::new(format_args!("regular expression: over {MAX_TEXT} bytes")));
        }
        let mut reader = Reader { text: text.as_bytes(), steps: Vec::new() };
        reader.choice().map_err(wrong)?;
        match reader.text {
            [] => Ok(Pattern(reader.steps)),
            _ => Err(wrong("a ) without its (")),
        }
    }

    /// Whether it matches a part of the text.
    pub fn matches(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let mut next = Vec::new();
        for at in 0..=text.len() {
            let mut todo = std::mem::take(&mut next);
            todo.push(0);
            let mut seen = vec![false; self.0.len() + 1];
            while let Some(place) = todo.pop() {
                if std::mem::replace(&mut seen[place], true) {
                    continue;
                }
                let to = |distance| place.saturating_add_signed(distance);
                match self.0.get(place) {
                    None => return true,
                    Some(Op::Fork(one, other)) => todo.extend([to(*one), to(*other)]),
                    Some(Op::Begin) if at == 0 => todo.push(to(1)),
                    Some(Op::End) if at == text.len() => todo.push(to(1)),
                    Some(Op::One(set))
                        if text.get(at).is_some_and(|byte| set & bit(*byte) != 0) =>
                    {
                        next.push(to(1));
                    }
                    _ => {}
                }
            }
        }
        false
    }
}

fn bit(byte: u8) -> u128 {
    if byte.is_ascii() { 1 << byte } else { 0 }
}

/// What is left to read, and the steps so far.
struct Reader<'a> {
    text: &'a [u8],
    steps: Vec<Op>,
}

type Read<T> = Result<T, &'static str>;

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.text.split_first()?;
        self.text = rest;
        Some(*first)
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.text.first() == Some(&byte);
        if is_next {
            self.next();
        }
        is_next
    }

    /// Expressions with | between them.
    fn choice(&mut self) -> Read<()> {
        let start = self.steps.len();
        self.sequence()?;
        if !self.take(b'|') {
            return Ok(());
        }
        let length = self.length_from(start);
        self.steps.insert(start, Op::Fork(1, length + 2));
        let jump = self.steps.len();
        self.steps.push(Op::End);
        self.choice()?;
        let behind = self.length_from(jump);
        self.steps[jump] = Op::Fork(behind, behind);
        Ok(())
    }

    fn sequence(&mut self) -> Read<()> {
        while !matches!(self.text, [] | [b'|' | b')', ..]) {
            let start = self.steps.len();
            self.atom()?;
            while let [b'*' | b'+' | b'?' | b'{', ..] = self.text {
                self.repeat(start)?;
            }
            if self.steps.len() > MAX_STEPS {
                return Err("too large");
            }
        }
        Ok(())
    }

    fn atom(&mut self) -> Read<()> {
        let one = match self.next().ok_or("ends too early")? {
            b'(' => {
                self.choice()?;
                return if self.take(b')') { Ok(()) } else { Err("a ( without its )") };
            }
            b'^' => Op::Begin,
            b'$' => Op::End,
            b'.' => Op::One(ANY),
            b'[' => Op::One(self.set()?),
            b'*' | b'+' | b'?' | b'{' => return Err("nothing to repeat"),
            b'\\' => match self.next() {
                Some(byte) if byte.is_ascii_punctuation() => Op::One(bit(byte)),
                _ => return Err("a \\ stands before what is no special character"),
            },
            byte => Op::One(bit(byte)),
        };
        self.steps.push(one);
        Ok(())
    }

    /// How often what begins at a step may come.
    fn repeat(&mut self, start: usize) -> Read<()> {
        let (least, most) = match self.next() {
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'?') => (0, Some(1)),
            _ => self.bounds()?,
        };
        let part = self.steps.split_off(start);
        if (part.len() + 2) * most.unwrap_or(least + 1) > MAX_STEPS {
            return Err("too large");
        }
        let length = part.len().cast_signed();
        (0..least).for_each(|_| self.steps.extend_from_slice(&part));
        match most {
            None => {
                self.steps.push(Op::Fork(1, length + 2));
                self.steps.extend_from_slice(&part);
                self.steps.push(Op::Fork(-length - 1, -length - 1));
            }
            Some(most) => (least..most).for_each(|_| {
                self.steps.push(Op::Fork(1, length + 1));
                self.steps.extend_from_slice(&part);
            }),
        }
        Ok(())
    }

    /// `2}`, `2,}` or `2,4}`.
    fn bounds(&mut self) -> Read<(usize, Option<usize>)> {
        let wrong = "{ } holds no bounds up to 255";
        let least = self.number().ok_or(wrong)?;
        let most = match self.take(b',') {
            false => Some(least),
            true => self.number(),
        };
        let is_right = self.take(b'}') && most.is_none_or(|most| least <= most);
        if is_right { Ok((least, most)) } else { Err(wrong) }
    }

    fn number(&mut self) -> Option<usize> {
        let digits = self.text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.text.split_at(digits);
        self.text = rest;
        let number: u8 = std::str::from_utf8(number).ok()?.parse().ok()?;
        Some(number.into())
    }

    /// The characters between [ and ].
    fn set(&mut self) -> Read<u128> {
        let (is_not, mut set, mut is_first) = (self.take(b'^'), 0, true);
        loop {
            let byte = self.next().ok_or("a [ without its ]")?;
            if byte == b']' && !is_first {
                return Ok(if is_not { !set } else { set });
            }
            is_first = false;
            if byte == b'[' && self.take(b':') {
                let class = |(name, _): &&Class| {
                    let rest = self.text.strip_prefix(*name);
                    rest.is_some_and(|rest| rest.starts_with(b":]"))
                };
                let (name, holds) = CLASSES.iter().find(class).ok_or("an unknown [: :]")?;
                self.text = &self.text[name.len() + 2..];
                set |= (0..128).filter(holds).map(bit).fold(0, |all, one| all | one);
                continue;
            }
            let last = match self.text {
                [b'-', last, ..] if *last != b']' => {
                    let last = *last;
                    self.text = &self.text[2..];
                    last
                }
                _ => byte,
            };
            if last < byte {
                return Err("a range in [ ] ends before it begins");
            }
            set |= (byte..=last).map(bit).fold(0, |all, one| all | one);
        }
    }

    fn length_from(&self, start: usize) -> isize {
        (self.steps.len() - start).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_matches_as_regex_7_says() {
        for (pattern, is, is_not) in [
            ("web", "web my-web1 websocket", "we eb"),
            ("^web$", "web", "web1 aweb"),
            ("^web", "web1", "aweb"),
            ("^(web|db)-[0-9]+$", "web-1 db-22", "web- web-1a db1 -1"),
            ("^a|b$", "ab ax xb", "xa bx"),
            ("^[^a-c]*$", "xyz d", "xaz c"),
            ("^[]x-]+$", "] x- -", "y"),
            ("^a{2}$", "aa", "a aaa"),
            ("^a{2,}$", "aa aaaa", "a"),
            ("^(ab){1,2}$", "ab abab", "a ababab"),
            ("^a{0,1}b?$", "a b ab", "aa bb"),
            ("^x(a|b*)*y$", "xy xaby xbbbay", "xcy"),
            ("^a.c$", "abc a.c", "ac abbc"),
            (r"^a\.c$", "a.c", "abc"),
            ("^[[:alpha:]_][[:digit:]]$", "a1 _2", "11 ab"),
            ("^(a*)+$", "a aaaa", "b"),
            ("^()$|x", "x", "y"),
            ("", "anything", ""),
        ] {
            let pattern = Pattern::new(pattern).unwrap();
            is.split_whitespace().for_each(|id| assert!(pattern.matches(id), "{pattern:?} {id}"));
            let none = is_not.split_whitespace();
            none.for_each(|id| assert!(!pattern.matches(id), "{pattern:?} {id}"));
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for (pattern, why) in [
            ("(", "( without"),
            ("a)", ") without"),
            ("[a", "[ without"),
            ("[]", "[ without"),
            ("*", "nothing to repeat"),
            ("a|*", "nothing to repeat"),
            ("a{2", "no bounds"),
            ("a{x}", "no bounds"),
            ("a{3,2}", "no bounds"),
            ("a{256}", "no bounds"),
            ("((a{255}){255}){255}", "too large"),
            ("[z-a]", "ends before"),
            ("[[:word:]]", "unknown [: :]"),
            (r"\w", "no special"),
            (r"\", "no special"),
        ] {
            let error = Pattern::new(pattern).unwrap_err().to_string();
            assert!(error.contains(why), "{pattern}: {error}");
        }
        assert!(Pattern::new(&"(".repeat(300)).is_err());
        assert!(Pattern::new("é").is_ok_and(|pattern| !pattern.matches("e")));
    }

    #[test]
    fn its_time_does_not_explode() {
        let pattern = Pattern::new("^(a?){200}a{200}$").unwrap();
        assert!(pattern.matches(&"a".repeat(300)));
        assert!(!pattern.matches(&("a".repeat(300) + "b")));
    }
}
