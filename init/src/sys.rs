//! The system calls that std does not have, each behind a safe face. All unsafe code of the helper is here.
//!
//! Invariant: the helper has one thread. That is what makes it safe to do more than async-signal-safe work between
//! [`fork`] and [`execve`].

#![expect(unsafe_code, reason = "fork, exec, signalfd and credentials have no safe interface")]

use std::ffi::{CStr, CString};
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::c_int;

/// Number of a process.
pub(crate) type Pid = libc::pid_t;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With a code.
    Exited(u8),
    /// By a signal.
    Signaled(u8),
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The helper's own number.
pub(crate) fn own_pid() -> Pid {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getpid() }
}

/// Splits the process: `None` in the child.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the process has one thread, so the child's memory is in a consistent state.
    let pid = check(unsafe { libc::fork() })?;
    Ok((pid != 0).then_some(pid))
}

/// Ends the process at once, running nothing.
pub(crate) fn exit_now(status: u8) -> ! {
    // SAFETY: does not return.
    unsafe { libc::_exit(c_int::from(status)) }
}

/// Replaces the program; returns only when that failed.
pub(crate) fn execve(path: &CStr, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |texts: &[CString]| -> Vec<*const libc::c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: all three are ended by a null and outlive the call.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Whether this process may execute the file.
pub(crate) fn may_execute(path: &CStr) -> bool {
    // SAFETY: the path is ended by a null.
    unsafe { libc::access(path.as_ptr(), libc::X_OK) == 0 }
}

/// Takes the credentials of a user, for good.
pub(crate) fn become_user(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    // SAFETY: the pointer and the length describe one slice.
    check(unsafe { libc::setgroups(groups.len() as _, groups.as_ptr()) })?;
    // SAFETY: plain numbers.
    check(unsafe { libc::setgid(gid) })?;
    // SAFETY: plain numbers.
    check(unsafe { libc::setuid(uid) })?;
    Ok(())
}

/// Starts a session and a process group.
pub(crate) fn new_session() -> io::Result<()> {
    // SAFETY: takes nothing.
    check(unsafe { libc::setsid() }).map(drop)
}

/// Makes `target` another name of `source`, kept across exec.
pub(crate) fn duplicate(source: RawFd, target: RawFd) -> io::Result<()> {
    // SAFETY: plain numbers; the target is one of the standard three, which no owner here closes.
    check(unsafe { libc::dup2(source, target) }).map(drop)
}

/// Orphans below this process become its children, as they do for process 1.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    // SAFETY: plain numbers.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

/// This process shall be killed when its parent ends.
pub(crate) fn die_with_parent() -> io::Result<()> {
    // SAFETY: plain numbers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) }).map(drop)
}

/// Sends a signal to a process, or to a group if the number is negative. A receiver that is gone is no error to
/// anybody here.
pub(crate) fn kill(pid: Pid, signal: c_int) -> bool {
    // SAFETY: plain numbers.
    unsafe { libc::kill(pid, signal) == 0 }
}

/// Collects an ended child: any for -1. `None` when none has ended yet and `block` is false.
pub(crate) fn wait(pid: Pid, block: bool) -> io::Result<Option<(Pid, Ended)>> {
    let mut status = 0;
    let flags = if block { 0 } else { libc::WNOHANG };
    // SAFETY: the pointer is to a local.
    let pid = check(unsafe { libc::waitpid(pid, &raw mut status, flags) })?;
    if pid == 0 {
        return Ok(None);
    }
    let ended = if libc::WIFSIGNALED(status) {
        Ended::Signaled(libc::WTERMSIG(status) as u8)
    } else {
        Ended::Exited(libc::WEXITSTATUS(status) as u8)
    };
    Ok(Some((pid, ended)))
}

/// Gives the signals back what a program expects: none blocked, none ignored. Whoever started the daemon may have
/// ignored some, and a shell cannot trap what is ignored when it starts.
pub(crate) fn reset_signals() -> io::Result<()> {
    let mut none = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set, sigprocmask only reads it; the default action is always valid.
    unsafe {
        for signal in 1..=libc::SIGRTMAX() {
            // Two cannot be set, and a few belong to the C library; those are never ignored.
            libc::signal(signal, libc::SIG_DFL);
        }
        libc::sigemptyset(none.as_mut_ptr());
        check(libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut())).map(drop)
    }
}

/// Signals as something to read.
pub(crate) struct Signals(OwnedFd);

/// A signal that came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signal {
    pub(crate) number: c_int,
    pub(crate) sender: Pid,
}

impl Signals {
    /// Blocks every signal, which makes them wait to be read. Blocked ones reach even a process 1 that has no
    /// handler for them. Children are waited for even if whoever started the helper had that switched off.
    pub(crate) fn block_all() -> io::Result<Self> {
        let mut all = MaybeUninit::uninit();
        // SAFETY: sigfillset initialises the set, the others only read it; the descriptor is new and ours.
        unsafe {
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
            libc::sigfillset(all.as_mut_ptr());
            check(libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut()))?;
            let fd = check(libc::signalfd(-1, all.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?;
            Ok(Self(OwnedFd::from_raw_fd(fd)))
        }
    }

    /// The next signal, if one is waiting.
    pub(crate) fn next(&self) -> Option<Signal> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the pointer is to `size` writable bytes; a full read initialises them all.
        let info = unsafe {
            let read = libc::read(self.0.as_raw_fd(), info.as_mut_ptr().cast(), size);
            if read != size as isize {
                return None;
            }
            info.assume_init()
        };
        Some(Signal { number: info.ssi_signo as c_int, sender: info.ssi_pid as Pid })
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// What to wait for on a descriptor; a negative one waits for nothing.
pub(crate) fn interest(fd: RawFd, events: libc::c_short) -> libc::pollfd {
    libc::pollfd { fd, events, revents: 0 }
}

/// Waits until one is ready or `milliseconds` are over, -1 being never.
pub(crate) fn poll(interests: &mut [libc::pollfd], milliseconds: c_int) -> io::Result<()> {
    // SAFETY: the pointer and the length describe one slice.
    let result = unsafe { libc::poll(interests.as_mut_ptr(), interests.len() as _, milliseconds) };
    match check(result) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}
