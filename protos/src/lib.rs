//! Wire types, made at build time from the `.proto` files in `buildkit/` and `call/`.
//!
//! One module per proto package, nested as the package name says. Nothing here has meaning of its
//! own: conversions and rules live in the crate that uses a message. Maps are ordered
//! ([`std::collections::BTreeMap`]), so that the same message always gives the same bytes.

/// LLB: BuildKit's graph language, `solver/pb/ops.proto`.
#[allow(
    missing_docs,
    clippy::all,
    reason = "generated code; the .proto file carries the words"
)]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/pb.rs"));
}

/// Descriptions and transfer of files, `github.com/tonistiigi/fsutil`.
pub mod fsutil {
    /// `Stat` and `Packet`.
    #[allow(
        missing_docs,
        clippy::all,
        reason = "generated code; the .proto file carries the words"
    )]
    pub mod types {
        include!(concat!(env!("OUT_DIR"), "/fsutil.types.rs"));
    }
}
