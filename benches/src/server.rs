//! The product's server as a process on a data folder, from exec to end. Knows nothing of its insides.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use runyard_client::Client;

use crate::{Result, Settings, get::Connection, process};

/// A server that does not answer by then never will.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often a server that starts is asked.
const LOOK: Duration = Duration::from_micros(200);

/// A server that answers. Killed with this value.
pub(crate) struct Server {
    process: Child,
    url: String,
    token: String,
    /// From exec to the first answer.
    pub(crate) ready_after: Duration,
}

impl Server {
    /// Starts one; returns when `/healthz` answers.
    pub(crate) fn start(settings: &Settings, data: &Path, database: Option<&str>) -> Result<Self> {
        fs::create_dir_all(data)?;
        let log = data.with_extension("log");
        let address = free_address()?;
        let mut command = Command::new(&settings.runyard);
        command.args(["serve", "--listen", &address.to_string(), "--data"]).arg(data);
        command.args(database.iter().flat_map(|url| ["--database", url]));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let began = Instant::now();
        let mut process = command.spawn()?;
        while !healthy(address) {
            if began.elapsed() > PATIENCE || process.try_wait()?.is_some() {
                let _ = process.kill();
                return Err(
                    format!("the server did not start; it said:\n{}", fs::read_to_string(&log)?).into()
                );
            }
            thread::sleep(LOOK);
        }
        let ready_after = began.elapsed();
        let token = fs::read_to_string(data.join("token"))?.trim().to_owned();
        Ok(Self { process, url: format!("http://{address}"), token, ready_after })
    }

    /// A client with the admin token.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url, &self.token)
    }

    /// A connection with the admin token, for what the client has no call for.
    pub(crate) fn connection(&self) -> Result<Connection> {
        Connection::open(&self.url, &self.token)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        process::resident(self.id())
    }

    /// Ends it as an operator does.
    pub(crate) fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGTERM)?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails when it has ended, which is well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn healthy(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
