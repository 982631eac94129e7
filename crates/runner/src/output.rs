//! `output.log`: what the program prints, in order, and notes of the runner. A disk that refuses never blocks the
//! program and never ends the runner: bytes are dropped, counted, and said at the place where they are missing.

use std::{
    borrow::Cow,
    fs::{File, OpenOptions},
    io::{self, PipeReader, PipeWriter, Read as _, Write as _},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use runyard_domain::instance::prefix;
use tokio::sync::{Notify, oneshot};

use crate::{
    launch::Lines,
    mask::{Masking, Masks},
};

/// After the disk refused, how long until it is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(500);
const BUFFER: usize = 64 << 10;
/// A line that is longer is cut where several programs print.
const LINE_MAX: usize = 64 << 10;
/// More than a pipe holds: what is read after the end of the program, when somebody goes on writing.
const PIPE_MAX: usize = 1 << 20;

/// The file and what is known about it. Shared by the pumps (threads) and the rest of the runner.
#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    /// What is not shown of what programs print.
    masks: Arc<Masks>,
    state: Mutex<State>,
    /// Told after every write.
    pub(crate) grown: Notify,
}

#[derive(Debug)]
struct State {
    file: File,
    at_line_start: bool,
    /// Bytes dropped since the last one that was written, and why.
    lost: u64,
    why: String,
    try_again: Instant,
    lost_in_all: u64,
}

impl Output {
    /// Opens the file to append to it; makes it when it is missing.
    pub(crate) fn open(path: &Path, masks: Masks) -> io::Result<Arc<Self>> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let state = State {
            file,
            at_line_start: true,
            lost: 0,
            why: String::new(),
            try_again: Instant::now(),
            lost_in_all: 0,
        };
        let (path, state, masks) = (path.to_owned(), Mutex::new(state), Arc::new(masks));
        Ok(Arc::new(Self { path, masks, state, grown: Notify::new() }))
    }

    /// Appends what a program printed.
    pub(crate) fn write(&self, bytes: &[u8]) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).append(bytes);
        self.grown.notify_one();
    }

    /// Appends a line of the runner's own.
    pub(crate) fn note(&self, text: &str) {
        let text = self.masks.clean(text);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let newline = if state.at_line_start { "" } else { "\n" };
        state.append(format!("{newline}[runyard] {text}\n").as_bytes());
        drop(state);
        self.grown.notify_one();
    }

    /// Tries for the last time to say what was lost; answers a sentence when anything was lost at all.
    pub(crate) fn finish(&self) -> Option<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.try_again = Instant::now();
        state.append(&[]);
        let (lost, why) = (state.lost_in_all, state.why.clone());
        drop(state);
        self.grown.notify_one();
        (lost > 0).then(|| format!("{lost} bytes of output could not be written ({why})"))
    }

    /// How long the file is now.
    pub(crate) fn len(&self) -> u64 {
        self.path.metadata().map_or(0, |found| found.len())
    }

    /// The last bytes of the file that come after `start`, at most `most`, as text.
    pub(crate) fn tail(&self, start: u64, most: u64) -> String {
        use std::os::unix::fs::FileExt as _;
        let end = self.len();
        let from = start.max(end.saturating_sub(most));
        let mut buffer = vec![0; end.saturating_sub(from) as usize];
        let read = File::open(&self.path).and_then(|file| file.read_at(&mut buffer, from)).unwrap_or(0);
        String::from_utf8_lossy(&buffer[..read]).into_owned()
    }
}

impl State {
    fn append(&mut self, bytes: &[u8]) {
        if self.lost > 0 && (Instant::now() < self.try_again || !self.say_what_was_lost()) {
            self.lose(bytes.len());
            return;
        }
        let mut left = bytes;
        while !left.is_empty() {
            match self.file.write(left) {
                Ok(0) => return self.refused(left.len(), &io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.at_line_start = left[written - 1] == b'\n';
                    left = &left[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.refused(left.len(), &error),
            }
        }
    }

    fn say_what_was_lost(&mut self) -> bool {
        let newline = if self.at_line_start { "" } else { "\n" };
        let mark =
            format!("{newline}[runyard] {} bytes of output are missing here: {}\n", self.lost, self.why);
        match self.file.write_all(mark.as_bytes()) {
            Ok(()) => {
                self.lost = 0;
                self.at_line_start = true;
                true
            }
            Err(error) => {
                self.refused(0, &error);
                false
            }
        }
    }

    fn refused(&mut self, bytes: usize, error: &io::Error) {
        if self.lost == 0 {
            tracing::warn!(%error, "the disk refuses the program's output: dropping it until there is room");
        }
        self.why = error.to_string();
        self.try_again = Instant::now() + TRY_AGAIN;
        self.lose(bytes);
    }

    fn lose(&mut self, bytes: usize) {
        self.lost += bytes as u64;
        self.lost_in_all += bytes as u64;
    }
}

/// A thread that moves bytes from a pipe into the output, so that a slow disk or a busy network never meets the program.
#[derive(Debug)]
pub(crate) struct Pump {
    ended: oneshot::Receiver<()>,
    /// Closing it tells the thread to take what is there and end.
    stop: Option<PipeWriter>,
}

impl Pump {
    /// Starts to read `pipe`.
    pub(crate) fn start(pipe: PipeReader, output: Arc<Output>, lines: Lines) -> io::Result<Self> {
        let (stopped, stop) = io::pipe()?;
        let (done, ended) = oneshot::channel();
        thread::Builder::new().name("output".into()).spawn(move || {
            let mut masking = Masking::new(Arc::clone(&output.masks));
            let mut held = Held { lines, bytes: Vec::new() };
            let pumped = pump(pipe, &stopped, &mut |bytes| held.pass(&masking.pass(bytes), &output));
            held.pass(&masking.end(), &output);
            held.end(&output);
            if let Err(error) = pumped {
                tracing::warn!(%error, "the pipe of the program's output broke");
            }
            let _ = done.send(());
        })?;
        Ok(Self { ended, stop: Some(stop) })
    }

    /// Waits until every writer has closed the pipe.
    pub(crate) async fn ended(&mut self) {
        if self.stop.is_some() {
            // An error is an end too: the thread is gone.
            let _ = (&mut self.ended).await;
            self.stop = None;
        }
    }

    /// Takes what the pipe holds now and ends, whoever may still have it open.
    pub(crate) async fn finish(mut self) {
        if self.stop.take().is_some() {
            let _ = self.ended.await;
        }
    }
}

/// The beginning of a line that is not whole yet.
struct Held {
    lines: Lines,
    bytes: Vec<u8>,
}

impl Held {
    fn pass(&mut self, bytes: &[u8], output: &Output) {
        if self.lines == Lines::AsTheyCome {
            return output.write(bytes);
        }
        self.bytes.extend_from_slice(bytes);
        let whole = self.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole > 0 {
            output.write(&numbered(self.lines, &self.bytes[..whole]));
            self.bytes.drain(..whole);
        } else if self.bytes.len() > LINE_MAX {
            self.end(output);
        }
    }

    /// Passes on what is held, as a line.
    fn end(&mut self, output: &Output) {
        if !self.bytes.is_empty() {
            self.bytes.push(b'\n');
            output.write(&numbered(self.lines, &self.bytes));
            self.bytes.clear();
        }
    }
}

/// Whole lines, each with what says whose it is.
fn numbered(lines: Lines, bytes: &[u8]) -> Cow<'_, [u8]> {
    let Lines::Of(rank) = lines else { return bytes.into() };
    let prefix = prefix(rank as i64);
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .flat_map(|line| [prefix.as_bytes(), line])
        .collect::<Vec<_>>()
        .concat()
        .into()
}

fn pump(mut pipe: PipeReader, stopped: &PipeReader, write: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut left_after_stop = PIPE_MAX;
    loop {
        let mut ready =
            [PollFd::new(pipe.as_fd(), PollFlags::POLLIN), PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        }
        let (readable, stopped) = (ready[0].any().unwrap_or(true), ready[1].any().unwrap_or(true));
        if !readable || left_after_stop == 0 {
            return Ok(());
        }
        match pipe.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                write(&buffer[..read]);
                if stopped {
                    left_after_stop = left_after_stop.saturating_sub(read);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_refuses_costs_bytes_and_nothing_else() {
        let output = Output::open(Path::new("/dev/full"), Masks::default()).unwrap();
        output.write(b"0123456789");
        output.write(b"more");
        let said = output.finish().unwrap();
        assert!(said.contains("14 bytes") && said.contains("No space left"), "{said}");
    }

    #[test]
    fn what_is_missing_is_said_where_it_is_missing() {
        let base = tempfile::TempDir::new().unwrap();
        let path = base.path().join("output.log");
        let output = Output::open(&path, Masks::default()).unwrap();
        output.write(b"before");
        let good = {
            let mut state = output.state.lock().unwrap();
            let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
            std::mem::replace(&mut state.file, full)
        };
        output.write(b"lost");
        {
            let mut state = output.state.lock().unwrap();
            state.file = good;
            state.try_again = Instant::now();
        }
        output.write(b"after\n");
        output.note("a note");
        assert!(output.finish().is_some());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("before\n[runyard] 4 bytes of output are missing here: "), "{text}");
        assert!(text.ends_with("\nafter\n[runyard] a note\n"), "{text}");
    }

    #[test]
    fn lines_of_several_programs_stay_whole() {
        let base = tempfile::TempDir::new().unwrap();
        let output = Output::open(&base.path().join("o"), Masks::default()).unwrap();
        let held = || Held { lines: Lines::Whole, bytes: Vec::new() };
        let (mut one, mut other) = (held(), held());
        one.pass(b"one is ", &output);
        other.pass(b"two\nthree", &output);
        one.pass(b"whole\n", &output);
        one.pass(&vec![b'x'; LINE_MAX + 1], &output);
        other.end(&output);
        one.end(&output);
        let text = output.tail(0, u64::MAX);
        let (start, long) = text.split_at("two\none is whole\n".len());
        assert_eq!(start, "two\none is whole\n");
        assert_eq!(long, format!("{}\nthree\n", "x".repeat(LINE_MAX + 1)));
    }

    #[test]
    fn every_line_of_an_instance_says_whose_it_is() {
        let base = tempfile::TempDir::new().unwrap();
        let output = Output::open(&base.path().join("o"), Masks::default()).unwrap();
        let mut held = Held { lines: Lines::Of(3), bytes: Vec::new() };
        held.pass(b"a\n\nb", &output);
        held.pass(b"c\nlast", &output);
        held.end(&output);
        assert_eq!(output.tail(0, u64::MAX), "[3] a\n[3] \n[3] bc\n[3] last\n");
    }

    #[test]
    fn a_secret_that_a_program_prints_is_not_in_the_file() {
        let base = tempfile::TempDir::new().unwrap();
        let secrets = [("TOKEN".to_owned(), "hunter2-token".to_owned())].into();
        let masks = Masks::of(&runyard_domain::secret::SecretEnv(secrets));
        let output = Output::open(&base.path().join("o"), masks).unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        let mut pump = Pump::start(reader, output.clone(), Lines::AsTheyCome).unwrap();
        writer.write_all(b"TOKEN=hunter2-token\nhunter2-").unwrap();
        drop(writer);
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(pump.ended());
        output.note("pip said hunter2-token");
        assert_eq!(output.tail(0, u64::MAX), "TOKEN=***\nhunter2-\n[runyard] pip said ***\n");
    }

    #[test]
    fn a_pump_ends_when_told_though_somebody_keeps_the_pipe() {
        let base = tempfile::TempDir::new().unwrap();
        let output = Output::open(&base.path().join("o"), Masks::default()).unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        let pump = Pump::start(reader, output.clone(), Lines::AsTheyCome).unwrap();
        writer.write_all(b"said before the end").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(pump.finish());
        assert_eq!(output.tail(5, 6), "he end");
        drop(writer);
    }
}
