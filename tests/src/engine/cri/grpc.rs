//! A client for gRPC's unary calls over a unix socket: HTTP/2 (RFC 9113) without TLS, one
//! connection a call.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::hpack::{self, Header};
use super::protobuf::{Fields, Message};

/// gRPC's code for a call that took too long.
pub(super) const DEADLINE_EXCEEDED: &str = "4";
/// gRPC's code for what does not exist.
pub(super) const NOT_FOUND: &str = "5";

/// How long to wait for the next bytes of an answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a client sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The only stream of a connection, and the number of the connection itself.
const STREAM: u32 = 1;
const CONNECTION: u32 = 0;
/// The largest payload that every peer accepts.
const LARGEST: usize = 16384;
/// How much the peer may send unasked. Answers are smaller.
const WINDOW: u32 = 1 << 24;

/// The types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// The flags of frames: the first is END_STREAM for some types and ACK for others.
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// Settings.
const HEADER_TABLE_SIZE: u16 = 1;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// Why a call failed.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    /// gRPC's code; None if there was no answer.
    pub(super) code: Option<String>,
    pub(super) message: String,
}

impl From<Failed> for String {
    fn from(failed: Failed) -> Self {
        match failed.code {
            Some(code) => format!("code {code}: {}", failed.message),
            None => failed.message,
        }
    }
}

impl<T: ToString> From<T> for Failed {
    fn from(message: T) -> Self {
        Self { code: None, message: message.to_string() }
    }
}

/// Calls a method, as in `runtime.v1.RuntimeService/Version`, and returns its answer.
///
/// # Errors
/// There is no such socket, the peer breaks the protocol, or the method failed.
pub(super) fn call(socket: &Path, method: &str, message: &Message) -> Result<Fields, Failed> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut connection = Connection { stream };
    connection.ask(method, message)?;
    let (headers, body) = connection.answer()?;
    let header = |name| headers.iter().find(|(other, _)| other == name).map(|(_, value)| value);
    let code = header("grpc-status").ok_or("gRPC: the answer has no grpc-status")?;
    if code != "0" {
        let message = header("grpc-message").cloned().unwrap_or_default();
        return Err(Failed { code: Some(code.clone()), message });
    }
    // The message follows a byte that tells whether it is compressed, and its length.
    Ok(Fields::read(body.get(5..).ok_or("gRPC: the answer has no message")?)?)
}

struct Connection {
    stream: UnixStream,
}

struct Frame {
    kind: u8,
    flags: u8,
    payload: Vec<u8>,
}

impl Connection {
    fn ask(&mut self, method: &str, message: &Message) -> Result<(), Failed> {
        let setting =
            |name: u16, value: u32| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
        let settings =
            [setting(HEADER_TABLE_SIZE, 0), setting(INITIAL_WINDOW_SIZE, WINDOW)].concat();
        let mut headers = Vec::new();
        for (name, value) in [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", &format!("/{method}")),
            (":authority", "localhost"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ] {
            hpack::write(&mut headers, name, value);
        }
        let length = u32::try_from(message.bytes().len())?.to_be_bytes();
        let data = [&[0], &length[..], message.bytes()].concat();
        if data.len() > LARGEST {
            return Err("gRPC: the message does not fit into a frame".into());
        }
        self.stream.write_all(PREFACE)?;
        self.send(SETTINGS, 0, CONNECTION, &settings)?;
        self.send(WINDOW_UPDATE, 0, CONNECTION, &WINDOW.to_be_bytes())?;
        self.send(HEADERS, END_HEADERS, STREAM, &headers)?;
        self.send(DATA, END_STREAM, STREAM, &data)
    }

    /// Waits for the answer's end. Returns its headers and trailers, and its body.
    fn answer(&mut self) -> Result<(Vec<Header>, Vec<u8>), Failed> {
        let (mut headers, mut body) = (Vec::new(), Vec::new());
        let (mut block, mut ended) = (Vec::new(), false);
        loop {
            let Frame { kind, flags, payload } = self.receive()?;
            if matches!(kind, DATA | HEADERS) {
                if flags & PADDED != 0 {
                    return Err("HTTP/2: a frame has padding".into());
                }
                ended = flags & END_STREAM != 0;
            }
            match kind {
                DATA => body.extend(payload),
                HEADERS | CONTINUATION => {
                    block.extend(payload);
                    if flags & END_HEADERS != 0 {
                        headers.extend(hpack::read(&block)?);
                        block.clear();
                    }
                }
                SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, CONNECTION, &[])?,
                PING if flags & ACK == 0 => self.send(PING, ACK, CONNECTION, &payload)?,
                RST_STREAM | GOAWAY => {
                    return Err(format!("HTTP/2: a frame of type {kind}: {payload:x?}").into());
                }
                _ => {} // A larger window, or an answer to our settings.
            }
            if ended && block.is_empty() {
                return Ok((headers, body));
            }
        }
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<(), Failed> {
        let [_, length @ ..] = u32::try_from(payload.len())?.to_be_bytes();
        let frame = [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat();
        Ok(self.stream.write_all(&frame)?)
    }

    fn receive(&mut self) -> Result<Frame, Failed> {
        let mut header = [0; 9];
        self.stream.read_exact(&mut header)?;
        let [a, b, c, kind, flags, ..] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload)?;
        Ok(Frame { kind, flags, payload })
    }
}
