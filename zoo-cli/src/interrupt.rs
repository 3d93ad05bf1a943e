//! Signals that ask the program to end: Ctrl-C, and on Unix SIGTERM and SIGHUP.
//!
//! A thread waits for them, so that what is done about them is no different from other code, and so that they arrive
//! where the program is the first process of a container, too.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use models::write::abandon;

/// The number of the signal that Ctrl-C sends.
const CTRL_C: u8 = 2;

/// `timeout` sends its signal to the process and to its group: what comes this soon after the first is the same one.
const SAME: Duration = Duration::from_millis(500);

/// When the first signal came.
static FIRST: OnceLock<Instant> = OnceLock::new();
/// Set by the first signal.
static STOP: AtomicBool = AtomicBool::new(false);
/// Whether somebody looks at [`STOP`].
static WATCHED: AtomicBool = AtomicBool::new(false);
/// The number of the newest signal, 0 before the first.
static SIGNAL: AtomicU8 = AtomicU8::new(0);

/// Begins to listen. To be called while the process has one thread: those that it starts later leave signals alone.
///
/// # Errors
/// When the system refuses.
pub fn listen() -> io::Result<()> {
    let signals = system::Signals::blocked()?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            loop {
                arrived(signals.wait());
            }
        })
        .map(drop)
}

/// From now on the first signal sets the flag that this returns, and only a second one, half a second later or more, ends
/// the process at once.
pub fn flag() -> &'static AtomicBool {
    WATCHED.store(true, Ordering::SeqCst);
    &STOP
}

/// The exit code of a process that ends because of the signal that came: 128 and its number.
pub fn exit_code() -> u8 {
    128 + match SIGNAL.load(Ordering::SeqCst) {
        0 => CTRL_C,
        signal => signal,
    }
}

fn arrived(signal: u8) {
    let first = *FIRST.get_or_init(Instant::now);
    if WATCHED.load(Ordering::SeqCst) && first.elapsed() < SAME {
        let _ = SIGNAL.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
        STOP.store(true, Ordering::SeqCst);
        return;
    }
    SIGNAL.store(signal, Ordering::SeqCst);
    abandon();
    system::end(exit_code());
}

#[cfg(unix)]
mod system {
    use std::mem::MaybeUninit;
    use std::{io, ptr};

    /// Signals that no thread takes unasked.
    pub(super) struct Signals(libc::sigset_t);

    impl Signals {
        pub(super) fn blocked() -> io::Result<Self> {
            let mut set = MaybeUninit::uninit();
            // SAFETY: the set is filled by `sigemptyset` before anything reads it.
            let (set, refused) = unsafe {
                libc::sigemptyset(set.as_mut_ptr());
                for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                    // `nohup` lets a program live on without its terminal.
                    if signal != libc::SIGHUP || !is_ignored(signal) {
                        // A shell has what it starts in the background ignore Ctrl-C.
                        libc::signal(signal, libc::SIG_DFL);
                        libc::sigaddset(set.as_mut_ptr(), signal);
                    }
                }
                let set = set.assume_init();
                let refused = libc::pthread_sigmask(libc::SIG_BLOCK, &set, ptr::null_mut());
                (set, refused)
            };
            match refused {
                0 => Ok(Self(set)),
                error => Err(io::Error::from_raw_os_error(error)),
            }
        }

        /// The number of the next one.
        pub(super) fn wait(&self) -> u8 {
            loop {
                let mut signal = 0;
                // SAFETY: both point to values of their types.
                if unsafe { libc::sigwait(&self.0, &mut signal) } == 0 {
                    return signal as u8;
                }
            }
        }
    }

    fn is_ignored(signal: libc::c_int) -> bool {
        let mut action = MaybeUninit::uninit();
        // SAFETY: it is read only where `sigaction` has filled it.
        unsafe {
            libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) == 0
                && action.assume_init_ref().sa_sigaction == libc::SIG_IGN
        }
    }

    /// Without the work of other threads being waited for or torn down.
    pub(super) fn end(code: u8) -> ! {
        // SAFETY: it does not come back.
        unsafe { libc::_exit(code.into()) }
    }
}

#[cfg(not(unix))]
mod system {
    use std::io;
    use std::sync::mpsc::{Receiver, channel};

    /// Ctrl-C and what is like it, as they come.
    pub(super) struct Signals(Receiver<()>);

    impl Signals {
        pub(super) fn blocked() -> io::Result<Self> {
            let (send, receive) = channel();
            let handler = move || drop(send.send(()));
            ctrlc::set_handler(handler).map_err(io::Error::other)?;
            Ok(Self(receive))
        }

        /// The number of the next one.
        pub(super) fn wait(&self) -> u8 {
            // The sender lives as long as the process.
            let _ = self.0.recv();
            super::CTRL_C
        }
    }

    pub(super) fn end(code: u8) -> ! {
        std::process::exit(code.into())
    }
}
