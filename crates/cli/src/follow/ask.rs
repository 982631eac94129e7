//! What Ctrl-C means: on a terminal the person is asked, elsewhere there is nobody to ask.

use std::io::{self, BufRead, IsTerminal, Write};

use tokio::{signal::unix::Signal, sync::oneshot};

use super::screen::Screen;
use crate::output;

/// What the person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    GoOn,
    Stop,
    /// Leave with this exit code.
    Detach(u8),
}

/// A second Ctrl-C (or SIGTERM) while asking detaches.
pub(super) async fn choice(screen: &mut Screen, interrupt: &mut Signal, terminate: &mut Signal) -> Choice {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Choice::Detach(130);
    }
    screen.hide();
    loop {
        // Without a terminal on stderr there was nothing to ask, so this can be written.
        let _ = write!(
            io::stderr(),
            "\nThe run goes on whatever you choose but stop: [d]etach, [s]top it, [g]o on following? "
        );
        let answer = tokio::select! {
            answer = line() => Ok(answer),
            _ = interrupt.recv() => Err(130),
            _ = terminate.recv() => Err(143),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(code) => {
                output::note("");
                return Choice::Detach(code);
            }
        };
        if let Some(choice) = read(answer.as_deref()) {
            screen.unhide();
            return choice;
        }
    }
}

/// `None`: ask again.
fn read(answer: Option<&str>) -> Option<Choice> {
    match answer.map(|answer| answer.trim().to_lowercase()).as_deref() {
        // End of input: nobody is there any more.
        None | Some("d" | "detach") => Some(Choice::Detach(0)),
        Some("s" | "stop") => Some(Choice::Stop),
        Some("" | "g" | "go" | "go on") => Some(Choice::GoOn),
        Some(_) => None,
    }
}

/// A line from a thread of its own: a read from a terminal cannot be taken back, and must not hold up the exit.
async fn line() -> Option<String> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line).unwrap_or(0);
        // The asker may have left.
        let _ = sender.send((read > 0).then_some(line));
    });
    receiver.await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_answer_stops_the_run() {
        assert_eq!(read(Some("s\n")), Some(Choice::Stop));
        assert_eq!(read(Some(" Detach\n")), Some(Choice::Detach(0)));
        assert_eq!(read(Some("\n")), Some(Choice::GoOn));
        assert_eq!(read(None), Some(Choice::Detach(0)));
        assert_eq!(read(Some("what?\n")), None);
    }
}
