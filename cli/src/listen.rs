//! `listen`: the API at a fixed address, until a signal.

use anyhow::Context as _;

use crate::args;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::signals::Signals;
use crate::ui::{Ending, Ui};

pub(crate) async fn run(context: Context, args: args::Listen) -> Outcome {
    if let Some(module) = &args.modules.module {
        return Err(Failure::not_in_this_release(&format!("serving a module (--mod {module})")));
    }
    if args.allow_cors {
        return Err(Failure::not_in_this_release("answering web pages of other origins (--allow-cors)"));
    }
    let mode = context.mode()?;
    let mut signals = Signals::take().context("cannot take signals")?;
    let named = std::env::var("DAGGER_SESSION_TOKEN").ok().filter(|token| !token.is_empty());
    let random = named.is_none();

    let mut ui = Ui::new(mode, &context.global);
    let mut opened = tokio::select! {
        opened = context.open("treenail listen", args.disable_host_read_write, &ui) => opened?,
        _ = signals.next() => return Ok(0),
    };
    let door = opened
        .listen(&args.listen, named)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    ui.start(&opened);
    ui.note(&format!("==> server listening on http://{}/query", door.address));
    if random {
        // Nobody could ask otherwise; a token of the environment is known to whoever set it.
        ui.note(&format!("==> user name for Basic authentication: {}", door.token));
    }
    let session = opened.session().clone();
    let outcome = tokio::select! {
        _ = signals.next() => Ok(0),
        Some(reason) = session.lost() => {
            Err(anyhow::anyhow!("the session with buildkitd is lost: {reason}").into())
        }
    };
    opened.close().await;
    ui.finish(Ending::Silent).await?;
    outcome
}
