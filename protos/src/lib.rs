//! Wire types, made at build time from the `.proto` files in `buildkit/` and `call/`.
//!
//! One module per proto package, nested as the package name says. Nothing here has meaning of its
//! own: conversions and rules live in the crate that uses a message. Maps are ordered
//! ([`std::collections::BTreeMap`]), so that the same message always gives the same bytes.

/// LLB: BuildKit's graph language, `solver/pb/ops.proto`.
#[allow(missing_docs, clippy::all, reason = "generated code; the .proto file carries the words")]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/pb.rs"));
}

/// Descriptions and transfer of files, `github.com/tonistiigi/fsutil`.
pub mod fsutil {
    /// `Stat` and `Packet`.
    #[allow(missing_docs, clippy::all, reason = "generated code; the .proto file carries the words")]
    pub mod types {
        include!(concat!(env!("OUT_DIR"), "/fsutil.types.rs"));
    }
}

/// Call IDs, proto package `dagger`: `call/call.proto`.
#[allow(missing_docs, clippy::all, reason = "generated code; the .proto file carries the words")]
pub mod call {
    include!(concat!(env!("OUT_DIR"), "/dagger.rs"));
}

/// What a session answers and the control API asks, proto packages `moby.*`.
pub mod moby {
    /// Packages `moby.buildkit.*`.
    pub mod buildkit {
        /// The daemon's control service.
        #[allow(missing_docs, clippy::all, reason = "generated code; the .proto file carries the words")]
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/moby.buildkit.v1.rs"));

            /// Capabilities.
            pub mod apicaps {
                include!(concat!(env!("OUT_DIR"), "/moby.buildkit.v1.apicaps.rs"));
            }
            /// The gateway service: the inside of an open build.
            pub mod frontend {
                include!(concat!(env!("OUT_DIR"), "/moby.buildkit.v1.frontend.rs"));
            }
            /// Source policies.
            pub mod sourcepolicy {
                include!(concat!(env!("OUT_DIR"), "/moby.buildkit.v1.sourcepolicy.rs"));
            }
            /// Workers.
            pub mod types {
                include!(concat!(env!("OUT_DIR"), "/moby.buildkit.v1.types.rs"));
            }
        }
        /// Secrets, `session/secrets`.
        pub mod secrets {
            /// Version 1.
            #[allow(missing_docs, clippy::all, reason = "generated code; the .proto file carries the words")]
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/moby.buildkit.secrets.v1.rs"));
            }
        }
    }
    /// File sync and registry credentials, `session/filesync` and `session/auth`.
    pub mod filesync {
        /// Version 1.
        #[allow(missing_docs, clippy::all, reason = "generated code; the .proto file carries the words")]
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/moby.filesync.v1.rs"));
        }
    }
    /// Forwarded sockets, `session/sshforward`.
    pub mod sshforward {
        /// Version 1.
        #[allow(missing_docs, clippy::all, reason = "generated code; the .proto file carries the words")]
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/moby.sshforward.v1.rs"));
        }
    }
}

/// The reading half of containerd's content store, proto package `containerd.services.content.v1`.
pub mod containerd {
    /// Packages `containerd.services.*`.
    pub mod services {
        /// The content store.
        pub mod content {
            /// Version 1.
            #[allow(missing_docs, clippy::all, reason = "generated code; the .proto file carries the words")]
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/containerd.services.content.v1.rs"));
            }
        }
    }
}

/// Typed details of failures, `solver/errdefs/errdefs.proto`.
#[allow(missing_docs, clippy::all, reason = "generated code; the .proto file carries the words")]
pub mod errdefs {
    include!(concat!(env!("OUT_DIR"), "/errdefs.rs"));
}

/// How gRPC carries a failure.
pub mod google {
    /// `Status`.
    #[allow(missing_docs, clippy::all, reason = "generated code; the .proto file carries the words")]
    pub mod rpc {
        include!(concat!(env!("OUT_DIR"), "/google.rpc.rs"));
    }
}
