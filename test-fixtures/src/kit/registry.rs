//! A registry on the loopback interface, with storage that is kept between runs.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result};

use super::keeper::{Fate, Kept};
use super::{Kit, host, upload};

/// A running registry; it stops when the value is dropped, its images stay.
#[derive(Debug)]
pub struct Registry {
    address: String,
    _process: Kept,
}

impl Registry {
    /// Starts a registry on a free port. Several may run on the same storage.
    ///
    /// # Errors
    /// When it is not installed or does not answer.
    pub fn start(kit: &Kit) -> Result<Self> {
        // The port is free when we look and may be taken when the registry opens it, so look again.
        let mut attempt = 0;
        loop {
            attempt += 1;
            match Self::start_once(kit) {
                Err(error) if attempt == 3 => return Err(error),
                Err(_) => {}
                Ok(registry) => return Ok(registry),
            }
        }
    }

    fn start_once(kit: &Kit) -> Result<Self> {
        let program = host::find("docker-registry").context("no such program: `docker-registry`")?;
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).context("no free port")?.port();
        let address = format!("127.0.0.1:{port}");
        let state = kit.scratch("registry-")?;
        let config = state.join("config.yml");
        let storage = kit.root().join("registry");
        // No descriptor cache: another process may push to the same storage.
        let text = format!(
            "version: 0.1\nlog:\n  level: warn\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    \
             rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: {address}\n",
            storage.display()
        );
        fs::write(&config, text).context("cannot write the registry's configuration")?;
        let command = [program.display().to_string(), "serve".into(), config.display().to_string()];
        let process = Kept::start(&state, Fate::Remove, false, &command)?;
        process.wait_until("the registry", Duration::from_secs(30), || {
            upload::request(&address, "GET", "/v2/", upload::Body::Empty)
                .is_ok_and(|answer| answer.status == 200)
        })?;
        Ok(Self { address, _process: process })
    }

    /// `host:port`, spoken to over plain HTTP.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}
