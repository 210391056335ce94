//! Single files over http or https.

use crate::caps;
use crate::digest::Digest;
use crate::options::OpOptions;
use crate::output::Output;
use crate::source::Source;

/// One downloaded file, alone in its tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// `http://…` or `https://…`
    pub url: String,
    /// What the content must be.
    pub checksum: Option<Digest>,
    /// The file's name; `None` takes it from the answer or the address.
    pub filename: Option<String>,
    /// Permission bits; only the lowest nine count, and 0 is as good as none.
    pub permissions: Option<u32>,
    /// Owner; 0 is the default.
    pub uid: u32,
    /// Group; 0 is the default.
    pub gid: u32,
    /// The secret that holds the `Authorization` header.
    pub auth_header_secret: Option<String>,
    /// The `Accept` header.
    pub accept: Option<String>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// An armoured OpenPGP public key and detached signature.
    pub signature: Option<(String, String)>,
}

impl Http {
    /// A file by its address.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// The tree that holds the file.
    pub fn output(self, options: OpOptions) -> Output {
        Source::from(self).output(options)
    }
}

impl From<Http> for Source {
    /// # Source
    /// BuildKit v0.32.2 `client/llb/source.go`, `HTTP`; the capability's misspelling is upstream's.
    fn from(http: Http) -> Self {
        let mut source = Self::new(http.url);
        let id = |id: u32| (id != 0).then(|| id.to_string());
        source.cap(caps::SOURCE_HTTP);
        source.optional(
            "http.checksum",
            http.checksum.map(|digest| digest.to_string()),
            Some(caps::SOURCE_HTTP_CHECKSUM),
        );
        source.optional("http.filename", http.filename, None);
        source.optional(
            "http.perm",
            http.permissions
                .map(|mode| mode & 0o777)
                .filter(|mode| *mode != 0)
                .map(|mode| format!("0{mode:o}")),
            Some(caps::SOURCE_HTTP_PERM),
        );
        source.optional("http.uid", id(http.uid), Some(caps::SOURCE_HTTP_UID_GID));
        source.optional("http.gid", id(http.gid), Some(caps::SOURCE_HTTP_UID_GID));
        source.optional("http.authheadersecret", http.auth_header_secret, Some(caps::SOURCE_HTTP_AUTH));
        source.optional("http.header.accept", http.accept, Some(caps::SOURCE_HTTP_HEADER));
        source.optional("http.header.user-agent", http.user_agent, Some(caps::SOURCE_HTTP_HEADER));
        if let Some((key, signature)) = http.signature {
            source.attr("http.sig.pubkey", key);
            source.attr("http.sig.signature", signature);
            source.cap(caps::SOURCE_HTTP_SIGNATURE_VERIFY);
        }
        source
    }
}
