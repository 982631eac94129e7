//! A way to a server that counts what is sent over it, and can be held: so a test decides where something is interrupted.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use crate::{SOON, Server, wait_until};

/// A port that leads to a server, on the same machine.
pub struct Wire {
    url: String,
    /// To the server.
    there: Arc<Lane>,
    /// From the server.
    back: Arc<Lane>,
}

/// One direction.
struct Lane {
    bytes: AtomicU64,
    /// When so many bytes went through, no more do.
    held_at: AtomicU64,
}

impl Lane {
    fn new() -> Arc<Self> {
        Arc::new(Self { bytes: AtomicU64::new(0), held_at: AtomicU64::new(u64::MAX) })
    }

    fn is_held(&self) -> bool {
        self.bytes.load(SeqCst) >= self.held_at.load(SeqCst)
    }

    fn copy(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            while self.is_held() {
                thread::sleep(Duration::from_millis(2));
            }
            self.bytes.fetch_add(count as u64, SeqCst);
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        // The other end hears of it; it may have gone first.
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }
}

impl Wire {
    /// A way to this server, as long as it stays on its port.
    pub fn to(server: &Server) -> Self {
        let to = server.url().trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let wire = Self { url, there: Lane::new(), back: Lane::new() };
        let (there, back) = (Arc::clone(&wire.there), Arc::clone(&wire.back));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Without a server, the client hears nothing but the end.
                let Ok(server) = TcpStream::connect(&to) else { continue };
                let (Ok(answers), Ok(client_too)) = (server.try_clone(), client.try_clone()) else {
                    continue;
                };
                let (there, back) = (Arc::clone(&there), Arc::clone(&back));
                thread::spawn(move || there.copy(client, server));
                thread::spawn(move || back.copy(answers, client_too));
            }
        });
        wire
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Bytes that were sent to the server.
    pub fn sent(&self) -> u64 {
        self.there.bytes.load(SeqCst)
    }

    /// Bytes that came from the server.
    pub fn received(&self) -> u64 {
        self.back.bytes.load(SeqCst)
    }

    /// Nothing more gets to the server once so many more bytes were sent.
    pub fn hold_after(&self, bytes: u64) {
        self.there.held_at.store(self.sent() + bytes, SeqCst);
    }

    /// Nothing more comes from the server once so many more bytes have come.
    pub fn hold_answers_after(&self, bytes: u64) {
        self.back.held_at.store(self.back.bytes.load(SeqCst) + bytes, SeqCst);
    }

    /// Waits until nothing gets through any more, in one direction.
    #[track_caller]
    pub fn wait_until_held(&self) {
        wait_until("so much was sent", 2 * SOON, || self.there.is_held() || self.back.is_held());
    }

    /// Everything gets through again.
    pub fn release(&self) {
        self.there.held_at.store(u64::MAX, SeqCst);
        self.back.held_at.store(u64::MAX, SeqCst);
    }
}
