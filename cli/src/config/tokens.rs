//! The tokens of a JSON text that say how it is nested, each with its place. Numbers
//! and words lie between them. What is no JSON has tokens, too, and an end.

use std::ops::Range;

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `{`
    Object,
    /// `[`
    List,
    /// `}` or `]`
    End,
    /// `,`
    Comma,
    /// `:`, behind the key of a member.
    Colon,
    /// A string with its quotes, a key or a value.
    String,
}

/// The tokens of a text, in order.
pub(super) struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Tokens { text, at: 0 }
    }
}

impl Iterator for Tokens<'_> {
    type Item = (Token, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let start = self.at;
            let rest = self.text.get(start..)?;
            let (token, length) = match rest.first()? {
                b'{' => (Token::Object, 1),
                b'[' => (Token::List, 1),
                b'}' | b']' => (Token::End, 1),
                b',' => (Token::Comma, 1),
                b':' => (Token::Colon, 1),
                b'"' => (Token::String, length_of_string(rest)),
                _ => {
                    self.at += 1;
                    continue;
                }
            };
            self.at += length;
            return Some((token, start..self.at));
        }
    }
}

/// The length of a string that begins with its quote, with the other one.
fn length_of_string(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_hold_no_tokens_and_every_text_ends() {
        let text = br#"{"a\"]": [null, 1.5, "}"], "null": "\\"}"#;
        let tokens: Vec<Token> = Tokens::new(text).map(|(token, _)| token).collect();
        let member = [Token::String, Token::Colon];
        let list = [Token::List, Token::Comma, Token::Comma, Token::String, Token::End];
        let parts: [&[Token]; 7] = [
            &[Token::Object],
            &member,
            &list,
            &[Token::Comma],
            &member,
            &[Token::String],
            &[Token::End],
        ];
        assert_eq!(tokens, parts.concat());
        for length in 0..text.len() {
            let last = Tokens::new(&text[..length]).last();
            assert!(last.is_none_or(|(_, place)| place.end <= length));
        }
        assert_eq!(Tokens::new(b"\"\\").last(), Some((Token::String, 0..2)));
    }
}
