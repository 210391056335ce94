//! The program of the frontend's image. The daemon starts it, speaks on its standard streams, and puts what it writes
//! to standard error into its own log.
#![expect(
    clippy::print_stderr,
    reason = "the daemon's log is the only place for what the daemon cannot be told"
)]

use std::process::ExitCode;

/// Bytes of a thread's stack: musl's default is too small to rely on.
const STACK: usize = 4 << 20;

fn main() -> ExitCode {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = match runtime.worker_threads(2).thread_stack_size(STACK).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("treenail-frontend: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let served = runtime.block_on(treenail_frontend::serve());
    // Nothing that still runs has anybody to tell.
    runtime.shutdown_background();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("treenail-frontend: {error}");
            eprintln!(
                "treenail-frontend: this program is started by buildkitd, as the image of a `# syntax=` line"
            );
            ExitCode::FAILURE
        }
    }
}
