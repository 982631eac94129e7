//! GETs over one connection that is kept, as the clients of other systems make them. Reads what comes and knows nothing
//! of what it means.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use crate::Result;

/// A connection to a server.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
    token: String,
}

impl Connection {
    pub(crate) fn open(url: &str, token: &str) -> Result<Self> {
        let host = url.strip_prefix("http://").ok_or("no http:// address")?.to_owned();
        let stream = TcpStream::connect(&host)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(256 << 10, stream), host, token: token.to_owned() })
    }

    /// The body of a success.
    pub(crate) fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        let (host, token) = (&self.host, &self.token);
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let (mut length, mut chunked) = (None, false);
        loop {
            let header = self.line()?.to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = Some(value.trim().parse()?);
            }
            chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
        }
        let mut body = Vec::new();
        if chunked {
            while self.chunk(&mut body)? {}
        } else {
            self.take(&mut body, length.ok_or("an answer without a length")?)?;
        }
        if status.contains(" 200 ") {
            return Ok(body);
        }
        Err(format!("GET {path}: {status}: {}", String::from_utf8_lossy(&body)).into())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn take(&mut self, body: &mut Vec<u8>, length: u64) -> Result<()> {
        let read = (&mut self.stream).take(length).read_to_end(body)?;
        if read as u64 == length { Ok(()) } else { Err("an answer was cut".into()) }
    }

    /// `false`: it was the last one.
    fn chunk(&mut self, body: &mut Vec<u8>) -> Result<bool> {
        let size = u64::from_str_radix(self.line()?.split(';').next().unwrap_or_default().trim(), 16)?;
        self.take(body, size)?;
        self.line()?;
        Ok(size > 0)
    }
}
